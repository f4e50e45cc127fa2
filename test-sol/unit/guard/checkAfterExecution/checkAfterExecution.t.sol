// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {OtpSafeGuard} from "../../../../src-sol/OtpSafeGuard.sol";
import {ISafe} from "../../../../src-sol/interfaces/ISafe.sol";
import {GuardFixture} from "../GuardFixture.sol";
import {Enum} from "@safe-global/safe-contracts/contracts/common/Enum.sol";

contract GuardCheckAfterExecutionTest is GuardFixture {
    function test_DoesNothing(bytes32 hash, bool success) external {
        _execute(_call(address(guard), abi.encodeCall(OtpSafeGuard.requestRemoval, ())));
        vm.record();
        vm.prank(address(safe));
        guard.checkAfterExecution(hash, success);
        (, bytes32[] memory writes) = vm.accesses(address(guard));
        assertEq(writes.length, 0);
    }

    /// @dev As a batch would take it away, whose call the guard cannot read.
    function test_WhenTheGuardIsGone() external {
        _execute(_call(address(guard), abi.encodeCall(OtpSafeGuard.requestRemoval, ())));
        address[2] memory next = [address(0), address(new OtpSafeGuard(verifier, LOGIN))];
        for (uint256 i = 0; i < next.length; ++i) {
            (, uint256 before,,,) = guard.settingsOf(address(safe));
            assertNotEq(before, 0);
            SafeCall memory batch = _call(address(new GuardChanger()), abi.encodeCall(GuardChanger.run, (next[i])));
            batch.operation = Enum.Operation.DelegateCall;
            _approveAndExecute(batch);
            (, uint256 afterwards,,,) = guard.settingsOf(address(safe));
            assertEq(afterwards, 0);
            vm.startPrank(address(safe));
            safe.setGuard(address(guard));
            guard.requestRemoval();
            vm.stopPrank();
        }
    }
}

/// @notice What a batch does in the Safe's own place.
contract GuardChanger {
    function run(address guard) external {
        ISafe(address(this)).setGuard(guard);
    }
}
