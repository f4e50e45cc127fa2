// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../../src-sol/interfaces/IOtpVerifier.sol";
import {Fixture} from "../../utils/Fixture.sol";

contract ComputeIdTest is Fixture {
    function testFuzz_IsTheHashOfWhatItCommitsTo(
        address issuer_,
        bytes32 purpose,
        uint40 serial,
        address subject_,
        bytes32 action,
        string calldata code
    ) external view {
        assertEq(
            verifier.computeId(issuer_, purpose, serial, subject_, action, keccak256(bytes(code))),
            _id(issuer_, purpose, serial, subject_, action, code)
        );
    }

    function testFuzz_NamesTheChain(uint64 chainId) external {
        vm.assume(chainId != block.chainid && chainId != 0);
        bytes32 here = verifier.computeId(issuer, LOGIN, 0, subject, 0, 0);
        vm.chainId(chainId);
        assertNotEq(verifier.computeId(issuer, LOGIN, 0, subject, 0, 0), here);
    }
}

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

    function test_ExpiredOneSecondAfterExpiry() external {
        IOtpVerifier.Ticket memory ticket = _issue();
        skip(TTL + 1);
        _assertStatus(ticket, IOtpVerifier.Status.Expired);
    }

    function testFuzz_UnknownForATicketThatProvesNothing(IOtpVerifier.Ticket calldata any) external {
        _issueBatch(issuer, WITHDRAW, 80, 0);
        _assertStatus(any, IOtpVerifier.Status.Unknown);
    }

    function test_UnknownForEachLie() external {
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

contract PlainViewsTest is Fixture {
    function test_AllZeroForWhatIsNotThere() external view {
        (uint40 expiry, uint16 grace, uint40 first, uint160 states) = verifier.batchOf(issuer, keccak256("none"));
        assertEq(uint256(expiry) + grace + first + states, 0);
        assertEq(verifier.nextSerial(issuer, LOGIN), 0);
        assertEq(abi.encode(verifier.policyOf("none")), abi.encode(_policy(0, 0, 0, false)));
    }

    function test_TellWhatWasSet() external {
        (, bytes32 root) = _issueBatch(issuer, WITHDRAW, 3, 0);
        (, root) = _issueBatch(issuer, WITHDRAW, 3, 0);
        (uint40 expiry, uint16 grace, uint40 first, uint160 states) = verifier.batchOf(issuer, root);
        assertEq(expiry, block.timestamp + TTL);
        assertEq(grace, GRACE);
        assertEq(first, 3);
        assertEq(states, 0);
        assertEq(verifier.nextSerial(issuer, WITHDRAW), 6);
        assertEq(abi.encode(verifier.policyOf(WITHDRAW)), abi.encode(_policy(TTL, GRACE, 3, true)));
        assertEq(verifier.version(), "1.0.0");
    }
}
