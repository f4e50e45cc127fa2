// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Fixture} from "../../utils/Fixture.sol";

contract PolicyOfTest is Fixture {
    function test_WhenThePurposeHasNone() external view {
        assertEq(abi.encode(verifier.policyOf("none")), abi.encode(_policy(0, 0, 0, false)));
    }

    function test_TellsThePolicyThatWasSet() external view {
        assertEq(abi.encode(verifier.policyOf(WITHDRAW)), abi.encode(_policy(TTL, GRACE, 3, true)));
    }
}
