// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {OtpSafeGuard} from "../../../../src-sol/OtpSafeGuard.sol";
import {IOtpVerifier} from "../../../../src-sol/interfaces/IOtpVerifier.sol";
import {IVerifier} from "../../../utils/IVerifier.sol";
import {GuardFixture} from "../GuardFixture.sol";

contract GuardApproveTest is GuardFixture {
    function test_RevertWhen_TheCallerIsNotTheApprover() external {
        bytes32 hash = _safeTxHash(safe, _payment(1 ether));
        address[2] memory others = [vm.addr(keys[0]), address(safe)];
        for (uint256 i = 0; i < others.length; ++i) {
            IOtpVerifier.Ticket memory ticket = _issueApproval(others[i], address(safe), hash);
            vm.expectRevert(abi.encodeWithSelector(OtpSafeGuard.NotApprover.selector, address(safe), others[i]));
            vm.prank(others[i]);
            guard.approve(address(safe), hash, ticket, CODE);
        }
    }

    function test_RevertWhen_TheSafeNeverNamedAnApprover() external {
        address other = makeAddr("other safe");
        IOtpVerifier.Ticket memory ticket = _issueApproval(subject, other, "hash");
        vm.expectRevert(abi.encodeWithSelector(OtpSafeGuard.NotApprover.selector, other, subject));
        vm.prank(subject);
        guard.approve(other, "hash", ticket, CODE);
    }

    function test_RevertWhen_TheCodeIsForAnotherSafeOrTransaction() external {
        bytes32 hash = _safeTxHash(safe, _payment(1 ether));
        IOtpVerifier.Ticket memory ticket = _issueApproval(subject, stranger, hash);
        _expectId(IOtpVerifier.WrongCode.selector, ticket.id);
        vm.prank(subject);
        guard.approve(address(safe), hash, ticket, CODE);

        ticket = _issueApproval(subject, address(safe), keccak256("another"));
        _expectId(IOtpVerifier.WrongCode.selector, ticket.id);
        vm.prank(subject);
        guard.approve(address(safe), hash, ticket, CODE);
        assertEq(guard.approvedUntil(address(safe), subject, hash), 0);
    }

    function test_RevertWhen_TheCodeIsOfAnotherPurpose() external {
        bytes32 hash = _safeTxHash(safe, _payment(1 ether));
        bytes32 id = _id(issuer, LOGIN, 0, subject, guard.actionOf(address(safe), hash), CODE);
        vm.prank(issuer);
        verifier.setOtp(LOGIN, 0, id, type(uint64).max);
        vm.expectRevert(abi.encodeWithSelector(IOtpVerifier.WrongPurpose.selector, LOGIN));
        vm.prank(subject);
        guard.approve(address(safe), hash, _ticket(issuer, LOGIN, 0, _roots(id), 0), CODE);
        assertEq(guard.approvedUntil(address(safe), subject, hash), 0);
    }

    function test_RevertWhen_TheCodeIsUsedAgain() external {
        bytes32 hash = _safeTxHash(safe, _payment(1 ether));
        IOtpVerifier.Ticket memory ticket = _issueApproval(subject, address(safe), hash);
        vm.startPrank(subject);
        guard.approve(address(safe), hash, ticket, CODE);
        _expectId(IOtpVerifier.OtpUsed.selector, ticket.id);
        guard.approve(address(safe), hash, ticket, CODE);
        vm.stopPrank();
    }

    function test_RevertWhen_TheVerifierIsPaused() external {
        bytes32 hash = _safeTxHash(safe, _payment(1 ether));
        IOtpVerifier.Ticket memory ticket = _issueApproval(subject, address(safe), hash);
        _pause();
        vm.expectRevert(IVerifier.EnforcedPause.selector);
        vm.prank(subject);
        guard.approve(address(safe), hash, ticket, CODE);
    }

    function test_SpendsTheCodeAndStoresTheApproval() external {
        bytes32 hash = _safeTxHash(safe, _payment(1 ether));
        IOtpVerifier.Ticket memory ticket = _issueApproval(subject, address(safe), hash);
        vm.expectEmit(address(guard));
        emit OtpSafeGuard.Approved(address(safe), hash, subject, block.timestamp + 24 hours);
        vm.expectEmit(address(verifier));
        emit IOtpVerifier.OtpConsumed(ticket.id, subject, address(guard), issuer, WITHDRAW);
        vm.prank(subject);
        guard.approve(address(safe), hash, ticket, CODE);
        assertEq(guard.approvedUntil(address(safe), subject, hash), block.timestamp + 24 hours);
        _assertStatus(ticket, IOtpVerifier.Status.Consumed);
    }
}
