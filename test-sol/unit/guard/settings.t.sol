// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {OtpSafeGuard} from "../../../src-sol/OtpSafeGuard.sol";
import {GuardFixture} from "./GuardFixture.sol";
import {ModuleManager} from "@safe-global/safe-contracts/contracts/base/ModuleManager.sol";
import {Enum} from "@safe-global/safe-contracts/contracts/common/Enum.sol";

contract GuardSettingsTest is GuardFixture {
    // --- configure

    function test_ConfigureSetsApproverAndLimit() external {
        SafeCall memory change = _configure(stranger, 2 ether);
        _approve(_safeTxHash(safe, change));
        vm.expectEmit(address(guard));
        emit OtpSafeGuard.Configured(address(safe), stranger, 2 ether);
        _execute(change);
        (address approver, uint256 limit,,,) = guard.settingsOf(address(safe));
        assertEq(approver, stranger);
        assertEq(limit, 2 ether);
    }

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

    function test_ASafeThatForgotToConfigureCanDoSo() external {
        OtpSafeGuard other = new OtpSafeGuard(verifier, WITHDRAW);
        _approveAndExecute(_setGuard(address(other)));
        guard = other;
        _expectRefused(_payment(1 ether));
        _execute(_configure(subject, 0));
        _expectRefused(_configure(subject, 1));
        _approveAndExecute(_payment(1 ether));
    }

    // --- the limit

    function test_PaymentsWithinTheLimitNeedNoCodeAndAboveItDo() external {
        _approveAndExecute(_configure(subject, 2 ether));
        _execute(_payment(1.5 ether));
        _expectRefused(_payment(0.5 ether + 1)); // a day's payments count together
        _execute(_payment(0.5 ether));
        _expectRefused(_payment(1));
        assertEq(to.balance, 2 ether);
        _approveAndExecute(_payment(3 ether));
        skip(1 days + 1);
        _expectRefused(_payment(2 ether + 1));
        _execute(_payment(2 ether));
    }

    function test_TheLimitHoldsThroughTheDaysLastSecond() external {
        _approveAndExecute(_configure(subject, 1 ether));
        _execute(_payment(1 ether));
        skip(1 days);
        _expectRefused(_payment(1));
        skip(1);
        _execute(_payment(1 ether));
    }

    function test_ALoweredLimitHoldsAtOnce() external {
        _approveAndExecute(_configure(subject, 2 ether));
        _execute(_payment(1 ether));
        _approveAndExecute(_configure(subject, 0.5 ether));
        _expectRefused(_payment(0.1 ether));
    }

    function test_OnlyPlainPaymentsAreWithinTheLimit() external {
        _approveAndExecute(_configure(subject, 2 ether));
        SafeCall memory c = _payment(1);
        c.data = hex"a9059cbb"; // a token's transfer moves what no limit in ether measures
        _expectRefused(c);
        c = _payment(1);
        c.operation = Enum.Operation.DelegateCall;
        _expectRefused(c);
        _expectRefused(_call(address(safe), abi.encodeCall(ModuleManager.enableModule, (stranger))));

        // the refund would drain the Safe past the limit
        bytes32 hash =
            safe.getTransactionHash(to, 1, "", Enum.Operation.Call, 0, 1, 1 ether, address(0), stranger, safe.nonce());
        bytes memory signatures = _signatures(keys, hash, 2);
        vm.expectRevert(abi.encodeWithSelector(OtpSafeGuard.NotApproved.selector, address(safe), hash));
        safe.execTransaction(to, 1, "", Enum.Operation.Call, 0, 1, 1 ether, address(0), payable(stranger), signatures);
    }

    function test_AnEmptyTransactionToItselfVoidsANonce() external {
        uint256 nonce = safe.nonce();
        _execute(_call(address(safe), ""));
        assertEq(safe.nonce(), nonce + 1);
    }

    // --- the way out

    function _request() private view returns (SafeCall memory) {
        return _call(address(guard), abi.encodeCall(OtpSafeGuard.requestRemoval, ()));
    }

    function test_TheGuardGoesWithoutACodeAfterTheDelay() external {
        vm.prank(guardian);
        verifier.pause(); // whatever becomes of the verifier
        SafeCall memory request = _request();
        vm.expectEmit(address(guard));
        emit OtpSafeGuard.RemovalRequested(address(safe), block.timestamp + 3 days, block.timestamp + 10 days);
        _execute(request);
        skip(3 days - 1);
        _expectRefused(_setGuard(address(0)));
        skip(1);
        _execute(_setGuard(address(0)));
        assertEq(_guardOf(safe), address(0));
        _execute(_payment(10 ether));
    }

    function test_ARequestOpensNothingElse() external {
        _execute(_request());
        skip(3 days);
        _expectRefused(_setGuard(stranger));
        _expectRefused(_payment(1));
        _expectRefused(_configure(stranger, 0));
        _expectRefused(_call(address(safe), abi.encodeCall(ModuleManager.enableModule, (stranger))));
    }

    function test_ARequestIsForgottenAfterItsWindow() external {
        _execute(_request());
        skip(10 days + 1);
        _expectRefused(_setGuard(address(0)));
        _execute(_request());
        skip(10 days);
        _execute(_setGuard(address(0)));
    }

    function test_RevertWhen_NobodyAsked() external {
        _expectRefused(_setGuard(address(0)));
        skip(30 days);
        _expectRefused(_setGuard(address(0)));
    }

    function test_ARequestIsGoodForOneRemoval() external {
        _execute(_request());
        skip(3 days);
        _execute(_setGuard(address(0)));
        _execute(_setGuard(address(guard)));
        _expectRefused(_setGuard(address(0)));
    }

    function test_ACodeCancelsARequest() external {
        _execute(_request());
        SafeCall memory cancel = _call(address(guard), abi.encodeCall(OtpSafeGuard.cancelRemoval, ()));
        _approve(_safeTxHash(safe, cancel));
        vm.expectEmit(address(guard));
        emit OtpSafeGuard.RemovalCancelled(address(safe));
        _execute(cancel);
        skip(3 days);
        _expectRefused(_setGuard(address(0)));
    }
}
