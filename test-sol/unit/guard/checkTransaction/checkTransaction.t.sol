// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {OtpSafeGuard} from "../../../../src-sol/OtpSafeGuard.sol";
import {IOtpVerifier} from "../../../../src-sol/interfaces/IOtpVerifier.sol";
import {GuardFixture} from "../GuardFixture.sol";
import {ModuleManager} from "@safe-global/safe-contracts/contracts/base/ModuleManager.sol";
import {Enum} from "@safe-global/safe-contracts/contracts/common/Enum.sol";

contract GuardCheckTransactionTest is GuardFixture {
    function test_RevertWhen_NobodyApproved() external {
        _expectRefused(_payment(1));
        _expectRefused(_payment(0));
        _expectRefused(_call(to, hex"01"));
        assertEq(to.balance, 0);
    }

    function test_RevertWhen_AnotherTransactionWasApproved() external {
        _approve(_safeTxHash(safe, _payment(1 ether)));
        _expectRefused(_payment(2 ether));
        SafeCall memory other = _payment(1 ether);
        other.to = stranger;
        _expectRefused(other);
        other = _payment(1 ether);
        other.data = hex"00";
        _expectRefused(other);
        other = _payment(1 ether);
        other.operation = Enum.Operation.DelegateCall;
        _expectRefused(other);
    }

    /// @dev The refund is in the hash as well: an approved payment cannot be sent with one.
    function test_RevertWhen_ARefundWasAdded() external {
        _approve(_safeTxHash(safe, _payment(1 ether)));
        bytes32 hash =
            safe.getTransactionHash(to, 1 ether, "", Enum.Operation.Call, 0, 0, 1, address(0), stranger, safe.nonce());
        bytes memory signatures = _signatures(keys, hash, 2);
        vm.expectRevert(abi.encodeWithSelector(OtpSafeGuard.NotApproved.selector, address(safe), hash));
        safe.execTransaction(to, 1 ether, "", Enum.Operation.Call, 0, 0, 1, address(0), payable(stranger), signatures);
    }

    function test_RevertWhen_Replayed() external {
        SafeCall memory payment = _payment(1 ether);
        _approveAndExecute(payment);
        _expectRefused(payment); // at the next nonce it is another transaction
        assertEq(to.balance, 1 ether);
    }

    function test_RevertWhen_TheApproverWasReplaced() external {
        SafeCall memory change = _configure(stranger, 0);
        SafeCall memory payment = _payment(1 ether);
        _approve(_safeTxHash(safe, payment, safe.nonce() + 1));
        _approveAndExecute(change);
        _expectRefused(payment); // the word of the old one is void
        bytes32 hash = _safeTxHash(safe, payment);
        IOtpVerifier.Ticket memory ticket = _issueApproval(stranger, address(safe), hash);
        vm.prank(stranger);
        guard.approve(address(safe), hash, ticket, CODE);
        _execute(payment);
    }

    function test_AnApproverThatIsNamedAgainHasItsWordAgain() external {
        SafeCall memory payment = _payment(1 ether);
        _approve(_safeTxHash(safe, payment, safe.nonce() + 2));
        _approveAndExecute(_configure(stranger, 0));
        SafeCall memory back = _configure(subject, 0);
        bytes32 hash = _safeTxHash(safe, back);
        IOtpVerifier.Ticket memory ticket = _issueApproval(stranger, address(safe), hash);
        vm.prank(stranger);
        guard.approve(address(safe), hash, ticket, CODE);
        _execute(back);
        _execute(payment);
    }

    function test_RevertWhen_ADelegatecallWasNotApproved() external {
        SafeCall memory removal = _call(address(new GuardRemover()), abi.encodeCall(GuardRemover.run, ()));
        removal.operation = Enum.Operation.DelegateCall;
        _expectRefused(removal);
        assertEq(_guardOf(safe), address(guard));
        // with data or without, to whomever: also where a call would need no code
        removal = _call(address(safe), "");
        removal.operation = Enum.Operation.DelegateCall;
        _expectRefused(removal);
        removal = _call(address(guard), abi.encodeCall(OtpSafeGuard.requestRemoval, ()));
        removal.operation = Enum.Operation.DelegateCall;
        _expectRefused(removal);
    }

    function test_RevertWhen_TheGuardOrItsSettingsAreChangedWithoutACode() external {
        _expectRefused(_setGuard(address(0)));
        _expectRefused(_configure(stranger, 0));
        _expectRefused(_configure(subject, 100 ether));
        _expectRefused(_call(address(guard), abi.encodeCall(OtpSafeGuard.cancelRemoval, ())));
        _expectRefused(_call(address(guard), ""));
        _approveAndExecute(_setGuard(address(0)));
        _execute(_payment(1 ether));
    }

    function test_TwoOwnersAndACodePass() external {
        SafeCall memory payment = _payment(1 ether);
        bytes32 hash = _safeTxHash(safe, payment);
        _approve(hash);
        _execute(payment);
        assertEq(to.balance, 1 ether);
        assertEq(guard.approvedUntil(address(safe), subject, hash), 0, "one execution");
    }

    function test_AnApprovalLasts24HoursAndNoSecondLonger() external {
        SafeCall memory payment = _payment(1 ether);
        _approve(_safeTxHash(safe, payment));
        skip(24 hours + 1);
        _expectRefused(payment);
        _approve(_safeTxHash(safe, payment));
        skip(24 hours);
        _execute(payment);
    }

    /// @dev With gas set the Safe goes on when the call inside fails: its nonce is gone, and so is the approval.
    function test_AFailedExecutionUsesTheApprovalUp() external {
        bytes memory data = abi.encodeCall(IOtpVerifier.pause, ());
        bytes32 hash = safe.getTransactionHash(
            address(verifier), 0, data, Enum.Operation.Call, 100_000, 0, 0, address(0), address(0), safe.nonce()
        );
        _approve(hash);
        bytes memory signatures = _signatures(keys, hash, 2);
        bool passed = safe.execTransaction(
            address(verifier), 0, data, Enum.Operation.Call, 100_000, 0, 0, address(0), payable(address(0)), signatures
        );
        assertFalse(passed);
        assertEq(guard.approvedUntil(address(safe), subject, hash), 0);
    }

    function test_AModuleCannotBeEnabledWithoutACodeAndPassesTheGuardByAfterwards() external {
        SafeCall memory enable = _call(address(safe), abi.encodeCall(ModuleManager.enableModule, (stranger)));
        _expectRefused(enable);
        vm.expectRevert("GS104");
        vm.prank(stranger);
        safe.execTransactionFromModule(to, 1 ether, "", Enum.Operation.Call);

        _approveAndExecute(enable); // the owners and the approver meant it
        vm.prank(stranger);
        assertTrue(safe.execTransactionFromModule(to, 1 ether, "", Enum.Operation.Call));
        assertEq(to.balance, 1 ether, "what the warning says");
    }

    function test_SomebodyWhoPlaysASafeTouchesNothingOfAnother() external {
        SafeCall memory payment = _payment(1 ether);
        bytes32 hash = _safeTxHash(safe, payment);
        _approve(hash);
        FakeSafe fake = new FakeSafe(hash);
        vm.expectRevert(abi.encodeWithSelector(OtpSafeGuard.NotApproved.selector, address(fake), hash));
        vm.prank(address(fake));
        guard.checkTransaction(
            to, 1 ether, "", Enum.Operation.Call, 0, 0, 0, address(0), payable(address(0)), "", stranger
        );
        _execute(payment);
    }

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

    /// @dev What the warning of `configure` says: the second period begins a second after the first one ends.
    function test_TwoPeriodsThatMeetSeeLessThanTwiceTheLimitInADay() external {
        _approveAndExecute(_configure(subject, 1 ether));
        _execute(_payment(1));
        skip(1 days);
        _execute(_payment(1 ether - 1));
        skip(1);
        _execute(_payment(1 ether));
        skip(1 days - 1); // a day after the second payment
        _expectRefused(_payment(1));
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
}

/// @notice What a thief of the owners' keys would have the Safe run in its own place.
contract GuardRemover {
    function run() external {
        bytes32 slot = keccak256("guard_manager.guard.address");
        assembly ("memory-safe") {
            sstore(slot, 0)
        }
    }
}

/// @notice Says of itself whatever helps it.
contract FakeSafe {
    bytes32 private immutable _HASH;

    constructor(bytes32 hash) {
        _HASH = hash;
    }

    function nonce() external pure returns (uint256) {
        return 1;
    }

    fallback() external {
        bytes32 hash = _HASH;
        assembly ("memory-safe") {
            mstore(0, hash)
            return(0, 32)
        }
    }
}
