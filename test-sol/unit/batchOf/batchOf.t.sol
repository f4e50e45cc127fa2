// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Fixture} from "../../utils/Fixture.sol";

contract BatchOfTest is Fixture {
    function test_WhenTheRootIsUnknown() external view {
        (uint40 expiry, uint16 grace, uint40 first, uint160 states) = verifier.batchOf(issuer, keccak256("none"));
        assertEq(uint256(expiry) + grace + first + states, 0);
    }

    function test_WhenTheIssuerIsAnother() external {
        (, bytes32 root) = _issueBatch(issuer, WITHDRAW, 3, 0);
        (uint40 expiry, uint16 grace, uint40 first, uint160 states) = verifier.batchOf(otherIssuer, root);
        assertEq(uint256(expiry) + grace + first + states, 0);
    }

    function test_TellsTheBatchAsItIsStored() external {
        _issueBatch(issuer, WITHDRAW, 3, 0);
        (, bytes32 root) = _issueBatch(issuer, WITHDRAW, 3, 0);
        (uint40 expiry, uint16 grace, uint40 first, uint160 states) = verifier.batchOf(issuer, root);
        assertEq(expiry, block.timestamp + TTL);
        assertEq(grace, GRACE);
        assertEq(first, 3);
        assertEq(states, 0);
    }
}
