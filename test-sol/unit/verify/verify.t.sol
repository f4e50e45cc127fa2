// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../../src-sol/interfaces/IOtpVerifier.sol";
import {Fixture} from "../../utils/Fixture.sol";
import {IVerifier} from "../../utils/IVerifier.sol";

contract VerifyTest is Fixture {
    IOtpVerifier.Ticket private ticket;
    bytes32 private action;
    bytes32 private root;

    function setUp() public override {
        super.setUp();
        action = _action();
        (ticket, root) = _issueBatch(issuer, WITHDRAW, 5, 2);
    }

    function _expectRefused(bytes4 selector, address caller, IOtpVerifier.Ticket memory t, string memory code) private {
        bytes32 before = _batchWord();
        _expectId(selector, t.id);
        vm.prank(caller);
        verifier.verify(t, action, code);
        assertEq(_batchWord(), before, "a failed call changes nothing");
    }

    function _batchWord() private view returns (bytes32) {
        (uint40 expiry, uint16 grace, uint40 first, uint160 states) = verifier.batchOf(issuer, root);
        return keccak256(abi.encode(expiry, grace, first, states));
    }

    function test_RevertWhen_Paused() external {
        _pause();
        vm.expectRevert(IVerifier.EnforcedPause.selector);
        vm.prank(subject);
        verifier.verify(ticket, action, CODE);
    }

    function test_RevertWhen_TheTicketLiesAboutItsId() external {
        ticket.id = keccak256("another");
        _expectRefused(IOtpVerifier.UnknownOtp.selector, subject, ticket, CODE);
    }

    function test_RevertWhen_TheTicketLiesAboutItsIssuer() external {
        ticket.issuer = otherIssuer;
        _expectRefused(IOtpVerifier.UnknownOtp.selector, subject, ticket, CODE);
    }

    function test_RevertWhen_TheTicketLiesAboutItsPurpose() external {
        ticket.purpose = LOGIN;
        _expectRefused(IOtpVerifier.UnknownOtp.selector, subject, ticket, CODE);
    }

    function test_RevertWhen_TheTicketLiesAboutItsSerial(uint40 serial) external {
        vm.assume(serial != ticket.serial);
        ticket.serial = serial;
        _expectRefused(IOtpVerifier.UnknownOtp.selector, subject, ticket, CODE);
    }

    function test_RevertWhen_TheProofIsWrong() external {
        bytes32[] memory proof = ticket.proof;
        ticket.proof = new bytes32[](0);
        _expectRefused(IOtpVerifier.UnknownOtp.selector, subject, ticket, CODE);
        // lengthened
        ticket.proof = new bytes32[](proof.length + 1);
        for (uint256 i = 0; i < proof.length; ++i) {
            ticket.proof[i] = proof[i];
        }
        _expectRefused(IOtpVerifier.UnknownOtp.selector, subject, ticket, CODE);
        // reordered
        (proof[0], proof[1]) = (proof[1], proof[0]);
        ticket.proof = proof;
        _expectRefused(IOtpVerifier.UnknownOtp.selector, subject, ticket, CODE);
    }

    /// @dev No proof leads there, so the stored first serial is moved: the place comes out at -1, and at 80.
    function test_RevertWhen_ThePlaceIsOutsideTheBatch() external {
        _issueBatch(issuer, WITHDRAW, 80, 0);
        IOtpVerifier.Ticket memory one = _issue();
        _moveFirst(one, one.serial + 1);
        _expectRefused(IOtpVerifier.UnknownOtp.selector, subject, one, CODE);
        _moveFirst(one, one.serial - 80);
        _expectRefused(IOtpVerifier.UnknownOtp.selector, subject, one, CODE);
        _moveFirst(one, one.serial - 79);
        _verify(one);
    }

    function _moveFirst(IOtpVerifier.Ticket memory one, uint40 first) private {
        // mapping(address => mapping(bytes32 => Batch)) in the first slot of the namespace
        bytes32 base = 0x2080fb54add3e565ec7b7c80c5bcce9568748794d6d11dfafa00d339439f5800;
        root = keccak256(abi.encode(one.purpose, uint256(one.serial), one.id));
        bytes32 slot = keccak256(abi.encode(root, keccak256(abi.encode(issuer, base))));
        uint256 word = uint256(vm.load(address(verifier), slot));
        word = (word & ~(uint256(type(uint40).max) << 56)) | (uint256(first) << 56);
        vm.store(address(verifier), slot, bytes32(word));
        (,, uint40 stored,) = verifier.batchOf(issuer, root);
        assertEq(stored, first, "slot");
    }

    function test_RevertWhen_Revoked() external {
        _verify(ticket);
        _revoke(ticket);
        skip(TTL + 1);
        _expectRefused(IOtpVerifier.OtpIsRevoked.selector, stranger, ticket, "wrong");
    }

    function test_RevertWhen_VerifiedAlready() external {
        _verify(ticket);
        _expectRefused(IOtpVerifier.OtpUsed.selector, subject, ticket, CODE);
        skip(TTL + 1);
        _expectRefused(IOtpVerifier.OtpUsed.selector, stranger, ticket, "wrong");
    }

    function test_RevertWhen_ConsumedAlready() external {
        _verify(ticket);
        _consume(ticket);
        _expectRefused(IOtpVerifier.OtpUsed.selector, subject, ticket, CODE);
    }

    function test_RevertWhen_Expired() external {
        uint256 expiry = block.timestamp + TTL;
        vm.warp(expiry + 1);
        vm.expectRevert(abi.encodeWithSelector(IOtpVerifier.OtpExpired.selector, ticket.id, expiry));
        vm.prank(stranger);
        verifier.verify(ticket, action, "wrong");
    }

    function test_RevertWhen_TheWalletIsAnother() external {
        _expectRefused(IOtpVerifier.WrongCode.selector, stranger, ticket, CODE);
        _expectRefused(IOtpVerifier.WrongCode.selector, issuer, ticket, CODE);
        _expectRefused(IOtpVerifier.WrongCode.selector, consumer, ticket, CODE);
    }

    function test_RevertWhen_TheActionIsAnother(bytes32 other) external {
        vm.assume(other != action);
        action = other;
        _expectRefused(IOtpVerifier.WrongCode.selector, subject, ticket, CODE);
    }

    function test_RevertWhen_TheCodeIsAnother(string calldata code) external {
        vm.assume(_hash(code) != _hash(CODE));
        _expectRefused(IOtpVerifier.WrongCode.selector, subject, ticket, code);
    }

    function test_RevertWhen_OnlyTheDigitsAreShown() external {
        _expectRefused(IOtpVerifier.WrongCode.selector, subject, ticket, "482913");
    }

    function test_RevertWhen_OnAnotherChain() external {
        vm.chainId(block.chainid + 1);
        _expectRefused(IOtpVerifier.WrongCode.selector, subject, ticket, CODE);
    }

    /// @dev An id copied from the mempool into another issuer's batch commits to the first issuer, and opens nowhere else.
    function test_RevertWhen_TheIdWasCopiedByAnotherIssuer() external {
        bytes32 id = ticket.id;
        vm.prank(otherIssuer);
        verifier.setOtp(WITHDRAW, ticket.serial, id, type(uint64).max);
        IOtpVerifier.Ticket memory copy = ticket;
        copy.issuer = otherIssuer;
        copy.proof = new bytes32[](0);
        _assertStatus(copy, IOtpVerifier.Status.Issued);
        _expectRefused(IOtpVerifier.WrongCode.selector, subject, copy, CODE);
        _verify(ticket);
    }

    function test_PassesAtTheSecondOfExpiry() external {
        skip(TTL);
        _verify(ticket);
        _assertStatus(ticket, IOtpVerifier.Status.Verified);
    }

    function test_MarksThatCodeAloneAndLogsIt() external {
        vm.expectEmit(address(verifier));
        emit IOtpVerifier.OtpVerified(ticket.id, subject, action, issuer, WITHDRAW);
        vm.prank(subject);
        assertTrue(verifier.verify(ticket, action, CODE));
        assertEq(_states(issuer, root), 1 << 4);
    }

    function test_WhenTheBatchHasAnySizeAndTheCodeAnyPlace(uint256 size, uint256 place, string calldata code) external {
        size = bound(size, 1, 80);
        place = bound(place, 0, size - 1);
        uint40 first = verifier.nextSerial(issuer, LOGIN);
        bytes32[] memory ids = new bytes32[](size);
        for (uint256 i = 0; i < size; ++i) {
            ids[i] = _id(issuer, LOGIN, first + uint40(i), subject, action, code);
        }
        vm.prank(issuer);
        root = verifier.setOtps(LOGIN, first, ids, type(uint64).max);
        IOtpVerifier.Ticket memory one = _ticket(issuer, LOGIN, first, ids, place);
        vm.prank(subject);
        assertTrue(verifier.verify(one, action, code));
        assertEq(_states(issuer, root), uint160(1) << uint160(2 * place));
        for (uint256 i = 0; i < size; ++i) {
            IOtpVerifier.Ticket memory each = _ticket(issuer, LOGIN, first, ids, i);
            _assertStatus(each, i == place ? IOtpVerifier.Status.Verified : IOtpVerifier.Status.Issued);
        }
    }
}
