// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../../src-sol/interfaces/IOtpVerifier.sol";
import {Fixture} from "../../utils/Fixture.sol";

contract RevokeBatchesTest is Fixture {
    IOtpVerifier.Ticket private ticket;
    bytes32 private root;

    function setUp() public override {
        super.setUp();
        (ticket, root) = _issueBatch(issuer, WITHDRAW, 80, 1);
    }

    function _revokeAs(address by) private {
        vm.expectEmit(address(verifier));
        emit IOtpVerifier.OtpBatchRevoked(root, issuer, by);
        vm.prank(by);
        verifier.revokeBatches(issuer, _roots(root));
        assertEq(_states(issuer, root), type(uint160).max);
    }

    function test_RevertWhen_TheCallerIsNeitherTheIssuerNorAGuardian() external {
        address[4] memory others = [stranger, subject, governor, otherIssuer];
        for (uint256 i = 0; i < others.length; ++i) {
            _expectMissingRole(others[i], keccak256("GUARDIAN_ROLE"));
            vm.prank(others[i]);
            verifier.revokeBatches(issuer, _roots(root));
        }
    }

    function test_RevertWhen_TheIssuerWasRemoved() external {
        vm.prank(governor);
        verifier.removeIssuer(issuer);
        _expectMissingRole(issuer, keccak256("ISSUER_ROLE"));
        vm.prank(issuer);
        verifier.revokeBatches(issuer, _roots(root));
    }

    function test_RevertWhen_ARootIsUnknown() external {
        bytes32[] memory roots = new bytes32[](2);
        (roots[0], roots[1]) = (root, keccak256("another"));
        _expectId(IOtpVerifier.UnknownOtp.selector, roots[1]);
        vm.prank(guardian);
        verifier.revokeBatches(issuer, roots);
        assertEq(_states(issuer, root), 0, "all or nothing");

        _expectId(IOtpVerifier.UnknownOtp.selector, root);
        vm.prank(otherIssuer);
        verifier.revokeBatches(otherIssuer, _roots(root));
    }

    function test_WhenTheIssuerRevokesItsOwn() external {
        _revokeAs(issuer);
        _assertStatus(ticket, IOtpVerifier.Status.Revoked);
    }

    function test_WhenAGuardianRevokesAnyWhilePaused() external {
        _pause();
        _revokeAs(guardian);
    }

    function test_WhenACodeOfItWasVerified() external {
        _verify(ticket);
        _revokeAs(guardian);
        _expectId(IOtpVerifier.OtpIsRevoked.selector, ticket.id);
        _consume(ticket);
    }

    function test_LeavesWhatIsConsumedAndKeepsTheRest() external {
        _verify(ticket);
        _consume(ticket);
        (uint40 expiry, uint16 grace, uint40 first,) = verifier.batchOf(issuer, root);
        vm.prank(issuer);
        verifier.revokeBatches(issuer, _roots(root));
        (uint40 expiryNow, uint16 graceNow, uint40 firstNow, uint160 states) = verifier.batchOf(issuer, root);
        assertEq(states, type(uint160).max - 4, "11 everywhere, 10 at place 1");
        assertEq(expiryNow, expiry);
        assertEq(graceNow, grace);
        assertEq(firstNow, first);
    }

    function test_WhenItIsRevokedAlready() external {
        _revokeAs(guardian);
        vm.recordLogs();
        vm.prank(guardian);
        verifier.revokeBatches(issuer, _roots(root));
        assertEq(vm.getRecordedLogs().length, 0);
    }

    function test_TouchesNoOtherBatch() external {
        (, bytes32 other) = _issueBatch(issuer, WITHDRAW, 2, 0);
        bytes32[] memory ids = _ids(issuer, WITHDRAW, 0, 80);
        vm.prank(otherIssuer);
        assertEq(verifier.setOtps(WITHDRAW, 0, ids, type(uint64).max), root, "copied");
        _revokeAs(guardian);
        assertEq(_states(issuer, other), 0);
        assertEq(_states(otherIssuer, root), 0);
    }
}
