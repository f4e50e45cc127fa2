// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {GuardFixture} from "../GuardFixture.sol";

contract GuardActionOfTest is GuardFixture {
    function test_NamesTheGuardAsConsumer(address safe_, bytes32 hash) external view {
        assertEq(guard.actionOf(safe_, hash), _action(address(guard), guard.payloadHashOf(safe_, hash)));
    }
}
