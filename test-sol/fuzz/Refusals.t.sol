// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {IVerifier} from "../utils/IVerifier.sol";
import {Refusal} from "../utils/Refusal.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";

/// @notice What is refused for another reason than its code or its ticket: always with the same error, and nothing written.
contract RefusalsFuzzTest is Refusal {
    bytes32 private constant ISSUER_ROLE = keccak256("ISSUER_ROLE");
    bytes32 private constant GUARDIAN_ROLE = keccak256("GUARDIAN_ROLE");
    bytes32 private constant GOVERNOR_ROLE = keccak256("GOVERNOR_ROLE");

    function _assertRoleMissing(address caller, bytes memory data, bytes32 role) private {
        bytes4 error = IAccessControl.AccessControlUnauthorizedAccount.selector;
        _assertRefused(caller, data, abi.encodeWithSelector(error, caller, role));
    }

    function testFuzz_WithoutARole(address caller, bytes32 purpose, address account, bytes32 role) external {
        vm.assume(caller != governor && caller != guardian && caller != issuer && caller != otherIssuer);
        (IOtpVerifier.Ticket memory ticket, bytes32 root) = _issueBatch(issuer, WITHDRAW, 3, 1);
        uint64 soon = _soon();
        _assertRoleMissing(caller, abi.encodeCall(IOtpVerifier.setOtp, (purpose, 0, role, soon)), ISSUER_ROLE);
        bytes memory data = abi.encodeCall(IOtpVerifier.setOtps, (purpose, 0, _roots(role), soon));
        _assertRoleMissing(caller, data, ISSUER_ROLE);
        _assertRoleMissing(caller, abi.encodeCall(IOtpVerifier.revoke, (_list(ticket))), ISSUER_ROLE);
        data = abi.encodeCall(IOtpVerifier.revokeBatches, (issuer, _roots(root)));
        _assertRoleMissing(caller, data, GUARDIAN_ROLE);
        data = abi.encodeCall(IOtpVerifier.revokeBatches, (caller, _roots(root)));
        _assertRoleMissing(caller, data, ISSUER_ROLE);
        data = abi.encodeCall(IOtpVerifier.setPolicy, (purpose, _policy(TTL, GRACE, 3, true)));
        _assertRoleMissing(caller, data, GOVERNOR_ROLE);
        _assertRoleMissing(caller, abi.encodeCall(IOtpVerifier.removeIssuer, (account)), GUARDIAN_ROLE);
        _assertRoleMissing(caller, abi.encodeCall(IOtpVerifier.pause, ()), GUARDIAN_ROLE);
        _assertRoleMissing(caller, abi.encodeCall(IOtpVerifier.unpause, ()), GOVERNOR_ROLE);
        _assertRoleMissing(caller, abi.encodeCall(IAccessControl.grantRole, (role, account)), 0);
        _assertRoleMissing(caller, abi.encodeCall(IAccessControl.revokeRole, (role, account)), 0);
        _assertRefused(
            caller,
            abi.encodeCall(IOtpVerifier.initialize, (caller, caller, new address[](0))),
            abi.encodeWithSelector(IVerifier.InvalidInitialization.selector)
        );
    }

    function testFuzz_WhilePaused(IOtpVerifier.Ticket calldata ticket, bytes32 word, string calldata code) external {
        IOtpVerifier.Ticket memory live = _issue();
        bytes memory signature = _signature(live.id, _action(), _soon());
        uint64 soon = _soon();
        _pause();
        bytes[7] memory calls = [
            abi.encodeCall(IOtpVerifier.setOtp, (WITHDRAW, 1, word, soon)),
            abi.encodeCall(IOtpVerifier.setOtps, (WITHDRAW, 1, _roots(word), soon)),
            abi.encodeCall(IOtpVerifier.verify, (live, _action(), CODE)),
            abi.encodeCall(IOtpVerifier.verify, (ticket, word, code)),
            abi.encodeCall(IOtpVerifier.verifyFor, (subject, live, _action(), CODE, soon, signature)),
            abi.encodeCall(IOtpVerifier.consume, (live, subject, WITHDRAW, PAYLOAD_HASH, _hash(CODE))),
            abi.encodeCall(IOtpVerifier.verifyAndConsume, (live, subject, WITHDRAW, PAYLOAD_HASH, CODE))
        ];
        address[7] memory callers = [issuer, issuer, subject, subject, stranger, consumer, consumer];
        for (uint256 i = 0; i < calls.length; ++i) {
            _assertRefused(callers[i], calls[i], abi.encodeWithSelector(IVerifier.EnforcedPause.selector));
        }
    }

    function testFuzz_BatchSizes(uint256 size, bytes32 purpose, uint40 first) external {
        size = size % 2 == 0 ? 0 : bound(size, 81, 300);
        _assertRefused(
            issuer,
            abi.encodeCall(IOtpVerifier.setOtps, (purpose, first, new bytes32[](size), _soon())),
            abi.encodeWithSelector(IOtpVerifier.BadBatchSize.selector, size)
        );
    }

    function testFuzz_PurposesWithoutAPolicy(bytes32 purpose, uint40 first, bytes32 id) external {
        vm.assume(purpose != LOGIN && purpose != WITHDRAW);
        bytes memory error = abi.encodeWithSelector(IOtpVerifier.PurposeDisabled.selector, purpose);
        _assertRefused(issuer, abi.encodeCall(IOtpVerifier.setOtp, (purpose, first, id, _soon())), error);
        _assertRefused(issuer, abi.encodeCall(IOtpVerifier.setOtps, (purpose, first, _roots(id), _soon())), error);
    }

    function testFuzz_AnotherPurposeThanDemanded(bytes32 purpose) external {
        vm.assume(purpose != WITHDRAW);
        IOtpVerifier.Ticket memory ticket = _issue();
        bytes memory error = abi.encodeWithSelector(IOtpVerifier.WrongPurpose.selector, WITHDRAW);
        bytes memory both =
            abi.encodeCall(IOtpVerifier.verifyAndConsume, (ticket, subject, purpose, PAYLOAD_HASH, CODE));
        _assertRefused(consumer, both, error);
        _verify(ticket);
        bytes memory data = abi.encodeCall(IOtpVerifier.consume, (ticket, subject, purpose, PAYLOAD_HASH, _hash(CODE)));
        _assertRefused(consumer, data, error);
    }

    /// @dev Any bytes, another's signature, and the subject's for another code, action or deadline.
    function testFuzz_Signatures(bytes calldata junk, uint256 key, bytes32 other, uint8 which) external {
        IOtpVerifier.Ticket memory ticket = _issue();
        bytes32 action = _action();
        uint64 deadline = _soon();
        vm.assume(other != ticket.id && other != action);
        bytes memory signature = junk;
        if (which % 5 == 1) signature = _signature(other, action, deadline);
        if (which % 5 == 2) signature = _signature(ticket.id, other, deadline);
        if (which % 5 == 3) signature = _signature(ticket.id, action, deadline + 1);
        if (which % 5 == 4) {
            key = bound(key, 1, 2 ** 128);
            vm.assume(key != subjectKey);
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, other);
            signature = abi.encodePacked(r, s, v);
        }
        _assertRefused(
            stranger,
            abi.encodeCall(IOtpVerifier.verifyFor, (subject, ticket, action, CODE, deadline, signature)),
            abi.encodeWithSelector(IOtpVerifier.InvalidSignature.selector, subject)
        );
    }

    /// @dev One that is unknown, at any place among those that are known: none is revoked.
    function testFuzz_ListsAreRevokedWhollyOrNotAtAll(uint256 size, uint256 at, bytes32 unknown) external {
        size = bound(size, 1, 10);
        at = bound(at, 0, size - 1);
        IOtpVerifier.Ticket[] memory tickets = new IOtpVerifier.Ticket[](size);
        bytes32[] memory roots = new bytes32[](size);
        for (uint256 i = 0; i < size; ++i) {
            (tickets[i], roots[i]) = _issueBatch(issuer, WITHDRAW, 2, i % 2);
            vm.assume(unknown != roots[i] && unknown != tickets[i].id);
        }
        (tickets[at].id, roots[at]) = (unknown, unknown);
        bytes4 error = IOtpVerifier.UnknownOtp.selector;
        _assertRefused(guardian, abi.encodeCall(IOtpVerifier.revoke, (tickets)), error, unknown);
        _assertRefused(guardian, abi.encodeCall(IOtpVerifier.revokeBatches, (issuer, roots)), error, unknown);
        _assertRefused(issuer, abi.encodeCall(IOtpVerifier.revoke, (tickets)), error, unknown);
        _assertRefused(issuer, abi.encodeCall(IOtpVerifier.revokeBatches, (issuer, roots)), error, unknown);
    }

    /// @dev Whatever it was when it was revoked, and whoever shows what afterwards, however late.
    function testFuzz_RevokedCodes(uint256 size, uint256 place, bool verifiedBefore, bool wholeBatch, uint32 later)
        external
    {
        size = bound(size, 1, 80);
        (IOtpVerifier.Ticket memory ticket, bytes32 root) =
            _issueBatch(issuer, WITHDRAW, size, bound(place, 0, size - 1));
        if (verifiedBefore) _verify(ticket);
        if (wholeBatch) {
            vm.prank(issuer);
            verifier.revokeBatches(issuer, _roots(root));
        } else {
            _revoke(ticket);
        }
        skip(later);
        bytes4 error = IOtpVerifier.OtpIsRevoked.selector;
        _assertStatus(ticket, IOtpVerifier.Status.Revoked);
        _assertRefused(subject, abi.encodeCall(IOtpVerifier.verify, (ticket, _action(), CODE)), error, ticket.id);
        bytes memory data = abi.encodeCall(IOtpVerifier.consume, (ticket, subject, WITHDRAW, PAYLOAD_HASH, _hash(CODE)));
        _assertRefused(consumer, data, error, ticket.id);
        data = abi.encodeCall(IOtpVerifier.verifyAndConsume, (ticket, subject, WITHDRAW, PAYLOAD_HASH, CODE));
        _assertRefused(consumer, data, error, ticket.id);
    }
}
