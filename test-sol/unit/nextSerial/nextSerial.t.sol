// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Fixture} from "../../utils/Fixture.sol";

contract NextSerialTest is Fixture {
    function test_WhenNothingWasIssued() external view {
        assertEq(verifier.nextSerial(issuer, LOGIN), 0);
    }

    function test_WhenCodesWereIssued() external {
        _issueBatch(issuer, WITHDRAW, 3, 0);
        _issueBatch(issuer, WITHDRAW, 3, 0);
        assertEq(verifier.nextSerial(issuer, WITHDRAW), 6);
    }
}
