// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../../src-sol/interfaces/IOtpVerifier.sol";
import {Fixture} from "../../utils/Fixture.sol";
import {IVerifier} from "../../utils/IVerifier.sol";

contract ConsumeTest is Fixture {
    IOtpVerifier.Ticket private ticket;
    bytes32 private root;

    function setUp() public override {
        super.setUp();
        (ticket, root) = _issueBatch(issuer, WITHDRAW, 80, 79);
    }

    function _expectRefused(
        bytes memory error,
        address caller,
        address subject_,
        bytes32 payloadHash,
        string memory code
    ) private {
        uint160 before = _states(issuer, root);
        vm.expectRevert(error);
        vm.prank(caller);
        verifier.consume(ticket, subject_, WITHDRAW, payloadHash, _hash(code));
        assertEq(_states(issuer, root), before, "a failed call changes nothing");
    }

    function test_RevertWhen_Paused() external {
        _verify(ticket);
        _pause();
        _expectRefused(abi.encodeWithSelector(IVerifier.EnforcedPause.selector), consumer, subject, PAYLOAD_HASH, CODE);
    }

    function test_RevertWhen_ThePurposeIsAnother() external {
        _verify(ticket);
        vm.expectRevert(abi.encodeWithSelector(IOtpVerifier.WrongPurpose.selector, WITHDRAW));
        vm.prank(consumer);
        verifier.consume(ticket, subject, LOGIN, PAYLOAD_HASH, _hash(CODE));
    }

    function test_RevertWhen_TheTicketIsUnknown() external {
        ticket.serial++;
        _expectRefused(
            abi.encodeWithSelector(IOtpVerifier.UnknownOtp.selector, ticket.id), consumer, subject, PAYLOAD_HASH, CODE
        );
    }

    function test_RevertWhen_Revoked() external {
        _verify(ticket);
        _revoke(ticket);
        skip(TTL + GRACE + 1);
        _expectRefused(
            abi.encodeWithSelector(IOtpVerifier.OtpIsRevoked.selector, ticket.id), stranger, subject, PAYLOAD_HASH, CODE
        );
    }

    function test_RevertWhen_ConsumedAlready() external {
        _verify(ticket);
        _consume(ticket);
        skip(TTL + GRACE + 1);
        _expectRefused(
            abi.encodeWithSelector(IOtpVerifier.OtpUsed.selector, ticket.id), consumer, subject, PAYLOAD_HASH, CODE
        );
    }

    function test_RevertWhen_NotVerified() external {
        skip(TTL + GRACE + 1);
        _expectRefused(
            abi.encodeWithSelector(IOtpVerifier.OtpNotVerified.selector, ticket.id),
            consumer,
            subject,
            PAYLOAD_HASH,
            CODE
        );
    }

    function test_RevertWhen_PastTheGrace() external {
        uint256 last = block.timestamp + TTL + GRACE;
        _verify(ticket);
        vm.warp(last + 1);
        _expectRefused(
            abi.encodeWithSelector(IOtpVerifier.OtpExpired.selector, ticket.id, last),
            stranger,
            subject,
            PAYLOAD_HASH,
            CODE
        );
    }

    function test_RevertWhen_TheConsumerIsAnother() external {
        _verify(ticket);
        _expectRefused(
            abi.encodeWithSelector(IOtpVerifier.WrongCode.selector, ticket.id), stranger, subject, PAYLOAD_HASH, CODE
        );
        _expectRefused(
            abi.encodeWithSelector(IOtpVerifier.WrongCode.selector, ticket.id), subject, subject, PAYLOAD_HASH, CODE
        );
    }

    function test_RevertWhen_TheSubjectIsAnother(address other) external {
        vm.assume(other != subject);
        _verify(ticket);
        _expectRefused(
            abi.encodeWithSelector(IOtpVerifier.WrongCode.selector, ticket.id), consumer, other, PAYLOAD_HASH, CODE
        );
    }

    function test_RevertWhen_ThePayloadIsAnother(bytes32 other) external {
        vm.assume(other != PAYLOAD_HASH);
        _verify(ticket);
        _expectRefused(
            abi.encodeWithSelector(IOtpVerifier.WrongCode.selector, ticket.id), consumer, subject, other, CODE
        );
    }

    function test_RevertWhen_TheCodeHashIsAnother() external {
        _verify(ticket);
        _expectRefused(
            abi.encodeWithSelector(IOtpVerifier.WrongCode.selector, ticket.id), consumer, subject, PAYLOAD_HASH, "wrong"
        );
    }

    function test_PassesThroughTheLastSecondOfTheGrace() external {
        skip(TTL);
        _verify(ticket);
        skip(GRACE);
        _consume(ticket);
        _assertStatus(ticket, IOtpVerifier.Status.Consumed);
    }

    function test_MarksThatCodeAloneAndLogsIt() external {
        _verify(ticket);
        vm.expectEmit(address(verifier));
        emit IOtpVerifier.OtpConsumed(ticket.id, subject, consumer, issuer, WITHDRAW);
        _consume(ticket);
        assertEq(_states(issuer, root), uint160(2) << 158);
    }
}
