// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../../src-sol/interfaces/IOtpVerifier.sol";
import {Fixture} from "../../utils/Fixture.sol";

contract RevokeTest is Fixture {
    IOtpVerifier.Ticket private ticket;
    bytes32 private root;

    function setUp() public override {
        super.setUp();
        (ticket, root) = _issueBatch(issuer, WITHDRAW, 4, 3);
    }

    function _expectRevoked(address by) private {
        vm.expectEmit(address(verifier));
        emit IOtpVerifier.OtpRevoked(ticket.id, issuer, by);
        vm.prank(by);
        verifier.revoke(_list(ticket));
        assertEq(_states(issuer, root), 3 << 6);
        _assertStatus(ticket, IOtpVerifier.Status.Revoked);
    }

    function test_RevertWhen_TheCallerHasNoRole() external {
        address[3] memory others = [stranger, subject, governor];
        for (uint256 i = 0; i < others.length; ++i) {
            _expectMissingRole(others[i], keccak256("ISSUER_ROLE"));
            vm.prank(others[i]);
            verifier.revoke(_list(ticket));
        }
        _expectMissingRole(stranger, keccak256("ISSUER_ROLE"));
        vm.prank(stranger);
        verifier.revoke(new IOtpVerifier.Ticket[](0));
    }

    function test_RevertWhen_AnIssuerRevokesAnothers() external {
        _expectMissingRole(otherIssuer, keccak256("GUARDIAN_ROLE"));
        vm.prank(otherIssuer);
        verifier.revoke(_list(ticket));
    }

    function test_RevertWhen_TheIssuerWasRemoved() external {
        vm.prank(guardian);
        verifier.removeIssuer(issuer);
        _expectMissingRole(issuer, keccak256("ISSUER_ROLE"));
        vm.prank(issuer);
        verifier.revoke(_list(ticket));
    }

    function test_RevertWhen_ATicketIsUnknown() external {
        IOtpVerifier.Ticket[] memory list = new IOtpVerifier.Ticket[](2);
        (list[0], list[1]) = (ticket, ticket);
        list[1].id = keccak256("another");
        _expectId(IOtpVerifier.UnknownOtp.selector, list[1].id);
        vm.prank(guardian);
        verifier.revoke(list);
        assertEq(_states(issuer, root), 0, "all or nothing");
    }

    function test_WhenAnIssuerRevokesItsOwn() external {
        _expectRevoked(issuer);
    }

    function test_WhenAGuardianRevokesAny() external {
        _expectRevoked(guardian);
    }

    function test_WorksWhilePaused() external {
        _pause();
        _expectRevoked(issuer);
    }

    function test_RevokesWhatIsVerified() external {
        _verify(ticket);
        _expectRevoked(guardian);
    }

    function test_RevokesWhatIsExpired() external {
        skip(TTL + GRACE + 1);
        _expectRevoked(guardian);
    }

    function test_PassesOverWhatIsConsumedOrRevoked() external {
        _verify(ticket);
        _consume(ticket);
        uint40 first = ticket.serial - 3;
        bytes32[] memory ids = _ids(issuer, WITHDRAW, first, 4);
        IOtpVerifier.Ticket[] memory list = new IOtpVerifier.Ticket[](3);
        list[0] = ticket;
        (list[1], list[2]) = (_ticket(issuer, WITHDRAW, first, ids, 0), _ticket(issuer, WITHDRAW, first, ids, 0));
        vm.recordLogs();
        vm.prank(issuer);
        verifier.revoke(list);
        assertEq(vm.getRecordedLogs().length, 1, "one event for the one that changed");
        assertEq(_states(issuer, root), (2 << 6) | 3);
    }
}
