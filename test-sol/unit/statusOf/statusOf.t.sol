// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../../src-sol/interfaces/IOtpVerifier.sol";
import {Fixture} from "../../utils/Fixture.sol";

contract StatusOfTest is Fixture {
    function test_FollowsTheCodesLife() external {
        (IOtpVerifier.Ticket memory ticket,) = _issueBatch(issuer, WITHDRAW, 7, 6);
        _assertStatus(ticket, IOtpVerifier.Status.Issued);
        skip(TTL);
        _assertStatus(ticket, IOtpVerifier.Status.Issued);
        _verify(ticket);
        _assertStatus(ticket, IOtpVerifier.Status.Verified);
        skip(GRACE);
        uint256 snapshot = vm.snapshotState();
        _consume(ticket);
        _assertStatus(ticket, IOtpVerifier.Status.Consumed);
        vm.revertToState(snapshot);
        skip(1);
        _assertStatus(ticket, IOtpVerifier.Status.Verified);
        _revoke(ticket);
        _assertStatus(ticket, IOtpVerifier.Status.Revoked);
    }

    function test_WhenOneSecondPastExpiry() external {
        IOtpVerifier.Ticket memory ticket = _issue();
        skip(TTL + 1);
        _assertStatus(ticket, IOtpVerifier.Status.Expired);
    }

    function test_WhenTheTicketProvesNothing(IOtpVerifier.Ticket calldata any) external {
        _issueBatch(issuer, WITHDRAW, 80, 0);
        _assertStatus(any, IOtpVerifier.Status.Unknown);
    }

    function test_WhenTheTicketLies() external {
        (IOtpVerifier.Ticket memory ticket,) = _issueBatch(issuer, WITHDRAW, 4, 0);
        ticket.serial = 1;
        _assertStatus(ticket, IOtpVerifier.Status.Unknown);
        ticket.serial = 0;
        ticket.issuer = otherIssuer;
        _assertStatus(ticket, IOtpVerifier.Status.Unknown);
        ticket.issuer = issuer;
        ticket.purpose = LOGIN;
        _assertStatus(ticket, IOtpVerifier.Status.Unknown);
        ticket.purpose = WITHDRAW;
        _assertStatus(ticket, IOtpVerifier.Status.Issued);
    }
}
