// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {GuardFixture} from "../GuardFixture.sol";

contract GuardCheckAfterExecutionTest is GuardFixture {
    function test_DoesNothing(bytes32 hash, bool success) external {
        vm.record();
        guard.checkAfterExecution(hash, success);
        (, bytes32[] memory writes) = vm.accesses(address(guard));
        assertEq(writes.length, 0);
    }
}
