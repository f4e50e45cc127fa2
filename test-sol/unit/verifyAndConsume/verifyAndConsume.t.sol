// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../../src-sol/interfaces/IOtpVerifier.sol";
import {Fixture} from "../../utils/Fixture.sol";
import {IVerifier} from "../../utils/IVerifier.sol";

contract VerifyAndConsumeTest is Fixture {
    IOtpVerifier.Ticket private ticket;
    bytes32 private root;

    function setUp() public override {
        super.setUp();
        (ticket, root) = _issueBatch(issuer, WITHDRAW, 3, 1);
    }

    function _call(address caller, string memory code) private {
        vm.prank(caller);
        verifier.verifyAndConsume(ticket, subject, WITHDRAW, PAYLOAD_HASH, code);
    }

    function test_RevertWhen_Paused() external {
        _pause();
        vm.expectRevert(IVerifier.EnforcedPause.selector);
        _call(consumer, CODE);
    }

    function test_RevertWhen_ThePurposeIsAnother() external {
        vm.expectRevert(abi.encodeWithSelector(IOtpVerifier.WrongPurpose.selector, WITHDRAW));
        vm.prank(consumer);
        verifier.verifyAndConsume(ticket, subject, LOGIN, PAYLOAD_HASH, CODE);
    }

    function test_RevertWhen_TheTicketIsUnknown() external {
        ticket.proof = new bytes32[](0);
        _expectId(IOtpVerifier.UnknownOtp.selector, ticket.id);
        _call(consumer, CODE);
    }

    function test_RevertWhen_Revoked() external {
        _revoke(ticket);
        _expectId(IOtpVerifier.OtpIsRevoked.selector, ticket.id);
        _call(consumer, CODE);
    }

    function test_RevertWhen_VerifiedAlready() external {
        _verify(ticket);
        _expectId(IOtpVerifier.OtpUsed.selector, ticket.id);
        _call(consumer, CODE);
    }

    function test_RevertWhen_ConsumedAlready() external {
        _call(consumer, CODE);
        _expectId(IOtpVerifier.OtpUsed.selector, ticket.id);
        _call(consumer, CODE);
    }

    function test_RevertWhen_Expired() external {
        uint256 expiry = block.timestamp + TTL;
        vm.warp(expiry + 1);
        vm.expectRevert(abi.encodeWithSelector(IOtpVerifier.OtpExpired.selector, ticket.id, expiry));
        _call(consumer, CODE);
    }

    function test_RevertWhen_TheConsumerIsAnother() external {
        _expectId(IOtpVerifier.WrongCode.selector, ticket.id);
        _call(stranger, CODE);
        _expectId(IOtpVerifier.WrongCode.selector, ticket.id);
        _call(subject, CODE);
    }

    function test_RevertWhen_TheCodeIsAnother() external {
        _expectId(IOtpVerifier.WrongCode.selector, ticket.id);
        _call(consumer, "wrong");
    }

    function test_RevertWhen_TheSubjectIsAnother() external {
        _expectId(IOtpVerifier.WrongCode.selector, ticket.id);
        vm.prank(consumer);
        verifier.verifyAndConsume(ticket, address(0), WITHDRAW, PAYLOAD_HASH, CODE);
    }

    function test_LogsVerifiedThenConsumed() external {
        skip(TTL);
        vm.expectEmit(address(verifier));
        emit IOtpVerifier.OtpVerified(ticket.id, subject, _action(), issuer, WITHDRAW);
        vm.expectEmit(address(verifier));
        emit IOtpVerifier.OtpConsumed(ticket.id, subject, consumer, issuer, WITHDRAW);
        _call(consumer, CODE);
        assertEq(_states(issuer, root), 2 << 2);
        _assertStatus(ticket, IOtpVerifier.Status.Consumed);
    }
}
