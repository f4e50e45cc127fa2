// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {PlainTree} from "../utils/PlainTree.sol";
import {Refusal} from "../utils/Refusal.sol";

/// @notice Tickets that lie and proofs that prove nothing: unknown to every function that takes a ticket.
contract TicketsFuzzTest is Refusal {
    bytes32[] private ids;

    function _issueAny(uint256 size, uint256 place) private returns (IOtpVerifier.Ticket memory ticket) {
        uint40 first = verifier.nextSerial(issuer, WITHDRAW);
        (ticket,) = _issueBatch(issuer, WITHDRAW, size, place);
        ids = _ids(issuer, WITHDRAW, first, size);
    }

    /// @dev Cut by any number of its hashes, at either end.
    function testFuzz_ProofsCut(uint256 size, uint256 place, uint256 left, bool atTheRoot) external {
        size = bound(size, 2, 80);
        IOtpVerifier.Ticket memory ticket = _issueAny(size, bound(place, 0, size - 1));
        bytes32[] memory whole = ticket.proof;
        left = bound(left, 0, whole.length - 1);
        ticket.proof = new bytes32[](left);
        for (uint256 i = 0; i < left; ++i) {
            ticket.proof[i] = whole[atTheRoot ? i : whole.length - left + i];
        }
        _assertUnknownEverywhere(ticket);
    }

    function testFuzz_ProofsLengthened(uint256 size, uint256 place, bytes32 more, uint256 at) external {
        size = bound(size, 1, 80);
        IOtpVerifier.Ticket memory ticket = _issueAny(size, bound(place, 0, size - 1));
        bytes32[] memory whole = ticket.proof;
        at = bound(at, 0, whole.length);
        ticket.proof = new bytes32[](whole.length + 1);
        for (uint256 i = 0; i < ticket.proof.length; ++i) {
            ticket.proof[i] = i < at ? whole[i] : i == at ? more : whole[i - 1];
        }
        _assertUnknownEverywhere(ticket);
    }

    function testFuzz_ProofsReordered(uint256 size, uint256 place, uint256 a, uint256 b) external {
        size = bound(size, 4, 80);
        IOtpVerifier.Ticket memory ticket = _issueAny(size, bound(place, 0, size - 1));
        a = bound(a, 0, ticket.proof.length - 2);
        b = bound(b, a + 1, ticket.proof.length - 1);
        (ticket.proof[a], ticket.proof[b]) = (ticket.proof[b], ticket.proof[a]);
        _assertUnknownEverywhere(ticket);
    }

    function testFuzz_ProofsWithOneBitChanged(uint256 size, uint256 place, uint256 at, uint8 bit) external {
        size = bound(size, 2, 80);
        IOtpVerifier.Ticket memory ticket = _issueAny(size, bound(place, 0, size - 1));
        at = bound(at, 0, ticket.proof.length - 1);
        ticket.proof[at] ^= bytes32(uint256(1) << bit);
        _assertUnknownEverywhere(ticket);
    }

    function testFuzz_ProofsOfAnotherPlaceOrBatch(uint256 size, uint256 place, uint256 other) external {
        size = bound(size, 2, 80);
        place = bound(place, 0, size - 1);
        other = bound(other, 0, size - 1);
        IOtpVerifier.Ticket memory ticket = _issueAny(size, place);
        bytes32[] memory right = ticket.proof;
        if (other != place) {
            ticket.proof = PlainTree.proof(WITHDRAW, ticket.serial - uint40(place), ids, other);
            _assertUnknownEverywhere(ticket);
        }
        IOtpVerifier.Ticket memory later = _issueAny(size, place);
        ticket.proof = later.proof;
        _assertUnknownEverywhere(ticket);
        later.proof = right;
        _assertUnknownEverywhere(later);
    }

    /// @dev The node over a pair as id, with the rest of the pair's proof: a leaf is a hash of 96 bytes, a node of 64.
    function testFuzz_InnerNodesAsLeaves(uint256 size, uint256 node, uint40 serial) external {
        size = bound(size, 2, 80);
        IOtpVerifier.Ticket memory ticket = _issueAny(size, 0);
        bytes32[] memory tree = PlainTree.nodes(WITHDRAW, ticket.serial, ids);
        uint256 index = bound(node, 0, size - 2);
        ticket.id = tree[index];
        ticket.serial = uint40(bound(serial, 0, size));
        ticket.proof = _pathOf(tree, index);
        _assertUnknownEverywhere(ticket);
        // nor its children, as purpose and id
        ticket.purpose = tree[2 * index + 1];
        ticket.id = tree[2 * index + 2];
        _assertUnknownEverywhere(ticket);
    }

    function _pathOf(bytes32[] memory tree, uint256 index) private pure returns (bytes32[] memory path) {
        uint256 depth = 0;
        for (uint256 i = index; i > 0; i = (i - 1) / 2) {
            ++depth;
        }
        path = new bytes32[](depth);
        for (uint256 d = 0; d < depth; ++d) {
            path[d] = tree[index % 2 == 1 ? index + 1 : index - 1];
            index = (index - 1) / 2;
        }
    }

    function testFuzz_TicketsThatLie(uint256 size, uint256 place, IOtpVerifier.Ticket memory lie, uint8 which)
        external
    {
        size = bound(size, 1, 80);
        IOtpVerifier.Ticket memory ticket = _issueAny(size, bound(place, 0, size - 1));
        bytes32 before = keccak256(abi.encode(ticket));
        if (which % 5 == 0) ticket.id = lie.id;
        if (which % 5 == 1) ticket.issuer = which % 2 == 0 ? lie.issuer : otherIssuer;
        if (which % 5 == 2) ticket.purpose = which % 2 == 0 ? lie.purpose : LOGIN;
        if (which % 5 == 3) ticket.serial = which % 2 == 0 ? lie.serial : ticket.serial + 1;
        if (which % 5 == 4) ticket.proof = lie.proof;
        vm.assume(keccak256(abi.encode(ticket)) != before);
        _assertUnknownEverywhere(ticket);
    }

    /// @dev An issuer that revokes by a ticket that names another as issuer is told so before anything is read.
    function testFuzz_AnIssuerRevokesByNoLie(address named) external {
        vm.assume(named != issuer);
        IOtpVerifier.Ticket memory ticket = _issueAny(3, 1);
        ticket.issuer = named;
        bytes4 error = bytes4(keccak256("AccessControlUnauthorizedAccount(address,bytes32)"));
        bytes memory expected = abi.encodeWithSelector(error, issuer, keccak256("GUARDIAN_ROLE"));
        _assertRefused(issuer, abi.encodeCall(IOtpVerifier.revoke, (_list(ticket))), expected);
    }
}
