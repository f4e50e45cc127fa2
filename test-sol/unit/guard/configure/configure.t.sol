// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {OtpSafeGuard} from "../../../../src-sol/OtpSafeGuard.sol";
import {GuardFixture} from "../GuardFixture.sol";

contract GuardConfigureTest is GuardFixture {
    function test_RevertWhen_TheApproverIsZeroOrTheSafeItself() external {
        address[2] memory bad = [address(0), address(safe)];
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(OtpSafeGuard.BadApprover.selector, bad[i]));
            vm.prank(address(safe));
            guard.configure(bad[i], 0);
        }
    }

    function test_RevertWhen_TheSafeHasAModule() external {
        vm.prank(address(safe));
        safe.enableModule(stranger);
        vm.expectRevert(abi.encodeWithSelector(OtpSafeGuard.HasModule.selector, stranger));
        vm.prank(address(safe));
        guard.configure(subject, 0);
    }

    function test_SetsApproverAndLimit() external {
        SafeCall memory change = _configure(stranger, 2 ether);
        _approve(_safeTxHash(safe, change));
        vm.expectEmit(address(guard));
        emit OtpSafeGuard.Configured(address(safe), stranger, 2 ether);
        _execute(change);
        (address approver,,, uint256 limit,) = guard.settingsOf(address(safe));
        assertEq(approver, stranger);
        assertEq(limit, 2 ether);
    }

    function test_ForgetsARemovalThatWasAskedFor() external {
        _execute(_call(address(guard), abi.encodeCall(OtpSafeGuard.requestRemoval, ())));
        _approveAndExecute(_configure(subject, 0));
        skip(3 days);
        _expectRefused(_setGuard(address(0)));
    }

    function test_WhenNobodyConfiguredASafeUnderTheGuard() external {
        OtpSafeGuard other = new OtpSafeGuard(verifier, WITHDRAW);
        _approveAndExecute(_setGuard(address(other)));
        guard = other;
        _expectRefused(_payment(1 ether));
        _execute(_configure(subject, 0));
        _expectRefused(_configure(subject, 1));
        _approveAndExecute(_payment(1 ether));
    }
}
