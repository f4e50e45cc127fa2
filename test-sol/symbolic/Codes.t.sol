// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {Deployed} from "./Deployed.sol";
import {Test} from "forge-std/Test.sol";

/// @notice When exactly a code is good and what its use changes, in any state: any batch, with any of its codes in any
/// state, at any root to which a path of two hashes leads.
contract CodesProof is Deployed, Test {
    function setUp() external {
        _deploy(address(0x60), address(0x61), new address[](0));
        _anyState();
    }

    function _anyTicket(uint256 length) private pure returns (IOtpVerifier.Ticket memory ticket) {
        ticket.id = SVM.createBytes32("id");
        ticket.issuer = address(uint160(uint256(SVM.createBytes32("issuer"))));
        ticket.purpose = SVM.createBytes32("purpose");
        ticket.serial = uint40(uint256(SVM.createBytes32("serial")));
        ticket.proof = new bytes32[](length);
        for (uint256 i = 0; i < length; ++i) {
            ticket.proof[i] = SVM.createBytes32("sibling");
        }
    }

    /// @dev The path up, in this file's own words.
    function _root(IOtpVerifier.Ticket memory ticket) private pure returns (bytes32 node) {
        node = keccak256(abi.encode(ticket.purpose, uint256(ticket.serial), ticket.id));
        for (uint256 i = 0; i < ticket.proof.length; ++i) {
            bytes32 sibling = ticket.proof[i];
            node = node < sibling ? keccak256(abi.encode(node, sibling)) : keccak256(abi.encode(sibling, node));
        }
    }

    function _id(IOtpVerifier.Ticket memory t, address subject, bytes32 action, bytes32 codeHash)
        private
        view
        returns (bytes32)
    {
        return keccak256(
            abi.encode(
                block.chainid, address(verifier), t.issuer, t.purpose, uint256(t.serial), subject, action, codeHash
            )
        );
    }

    struct Slot {
        uint256 expiry;
        uint256 grace;
        uint256 first;
        uint256 states;
        uint256 place;
        uint256 state;
        bool found;
    }

    function _slot(IOtpVerifier.Ticket memory ticket) private view returns (Slot memory s) {
        (s.expiry, s.grace, s.first, s.states) = verifier.batchOf(ticket.issuer, _root(ticket));
        unchecked {
            s.place = uint256(ticket.serial) - s.first;
        }
        s.found = (s.expiry | s.grace | s.first | s.states) != 0 && s.place < 80;
        s.state = (s.states >> (2 * s.place)) & 3;
    }

    /// @dev The code's two bits have the new state, and nothing else of the slot changed.
    function _assertMoved(IOtpVerifier.Ticket memory ticket, Slot memory s, uint256 state) private view {
        Slot memory now_ = _slot(ticket);
        assert(now_.expiry == s.expiry && now_.grace == s.grace && now_.first == s.first);
        assert(now_.states == (s.states & ~(3 << (2 * s.place))) | (state << (2 * s.place)));
    }

    function _found(uint256 length) private view {
        IOtpVerifier.Ticket memory ticket = _anyTicket(length);
        assert((verifier.statusOf(ticket) != IOtpVerifier.Status.Unknown) == _slot(ticket).found);
    }

    function check_ATicketWithoutAPathIsFoundInItsBatchAlone() external view {
        _found(0);
    }

    function check_ATicketWithAPathOfOneIsFoundInItsBatchAlone() external view {
        _found(1);
    }

    function check_ATicketWithAPathOfTwoIsFoundInItsBatchAlone() external view {
        _found(2);
    }

    function check_ATicketWithAPathOfThreeIsFoundInItsBatchAlone() external view {
        _found(3);
    }

    function check_VerifyPassesExactlyWhenItShould(address caller, bytes32 action, uint40 time) external {
        IOtpVerifier.Ticket memory ticket = _anyTicket(1);
        bytes memory code = SVM.createBytes(31, "code");
        vm.warp(time);
        Slot memory s = _slot(ticket);
        bool expected = !verifier.paused() && s.found && s.state == 0 && time <= s.expiry
            && ticket.id == _id(ticket, caller, action, keccak256(code));
        vm.prank(caller);
        (bool ok,) = address(verifier).call(abi.encodeCall(IOtpVerifier.verify, (ticket, action, string(code))));
        assert(ok == expected);
        if (ok) _assertMoved(ticket, s, 1);
    }

    function check_ConsumePassesExactlyWhenItShould(
        address caller,
        address subject,
        bytes32 purpose,
        bytes32 payloadHash,
        bytes32 codeHash,
        uint40 time
    ) external {
        IOtpVerifier.Ticket memory ticket = _anyTicket(2);
        vm.warp(time);
        Slot memory s = _slot(ticket);
        bytes32 action = keccak256(abi.encode(caller, payloadHash));
        bool expected = !verifier.paused() && s.found && s.state == 1 && time <= s.expiry + s.grace
            && ticket.purpose == purpose && ticket.id == _id(ticket, subject, action, codeHash);
        vm.prank(caller);
        (bool ok,) = address(verifier)
            .call(abi.encodeCall(IOtpVerifier.consume, (ticket, subject, purpose, payloadHash, codeHash)));
        assert(ok == expected);
        if (ok) _assertMoved(ticket, s, 2);
    }

    /// @dev One direction: the solver does not come to an end with the other, which Verifier.t.sol has for one code.
    function check_VerifyAndConsumePassesOnlyWhenItShould(
        address caller,
        address subject,
        bytes32 purpose,
        bytes32 payloadHash,
        uint40 time
    ) external {
        IOtpVerifier.Ticket memory ticket = _anyTicket(1);
        bytes memory code = SVM.createBytes(31, "code");
        vm.warp(time);
        Slot memory s = _slot(ticket);
        bool paused = verifier.paused();
        vm.prank(caller);
        (bool ok,) = address(verifier)
            .call(abi.encodeCall(IOtpVerifier.verifyAndConsume, (ticket, subject, purpose, payloadHash, string(code))));
        if (!ok) return;
        bytes32 action = keccak256(abi.encode(caller, payloadHash));
        assert(!paused && s.found && s.state == 0 && time <= s.expiry && ticket.purpose == purpose);
        assert(ticket.id == _id(ticket, subject, action, keccak256(code)));
        _assertMoved(ticket, s, 2);
    }
}

/// @notice A batch of four as setOtps makes it, and any ticket with a path of up to three.
contract ForgedTicketsProof is Deployed, Test {
    address private constant ISSUER = address(0x70);
    bytes32[] private ids;

    function setUp() external {
        address[] memory issuers = new address[](1);
        issuers[0] = ISSUER;
        _deploy(address(0x60), address(0x61), issuers);
        vm.prank(address(0x60));
        verifier.setPolicy("withdraw", IOtpVerifier.Policy(60, 300, 3, true));
        for (uint256 i = 0; i < 4; ++i) {
            ids.push(keccak256(abi.encode("id", i)));
        }
        vm.prank(ISSUER);
        verifier.setOtps("withdraw", 7, ids, type(uint64).max);
    }

    function check_OnlyTheFourAreFound(
        address issuer,
        bytes32 purpose,
        uint40 serial,
        bytes32 id,
        bytes32[3] memory path
    ) external view {
        IOtpVerifier.Ticket memory ticket = IOtpVerifier.Ticket(id, issuer, purpose, serial, new bytes32[](0));
        for (uint256 length = 0; length <= 3; ++length) {
            ticket.proof = new bytes32[](length);
            for (uint256 i = 0; i < length; ++i) {
                ticket.proof[i] = path[i];
            }
            if (verifier.statusOf(ticket) == IOtpVerifier.Status.Unknown) continue;
            assert(issuer == ISSUER && purpose == "withdraw" && serial >= 7 && serial < 11 && id == ids[serial - 7]);
        }
    }
}
