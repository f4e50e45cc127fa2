// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../../src-sol/interfaces/IOtpVerifier.sol";
import {Fixture} from "../../utils/Fixture.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";

contract RemoveIssuerTest is Fixture {
    bytes32 private constant ISSUER = keccak256("ISSUER_ROLE");

    function test_RevertWhen_TheCallerIsNeitherGuardianNorGovernor() external {
        address[3] memory others = [stranger, issuer, otherIssuer];
        for (uint256 i = 0; i < others.length; ++i) {
            _expectMissingRole(others[i], keccak256("GUARDIAN_ROLE"));
            vm.prank(others[i]);
            verifier.removeIssuer(issuer);
        }
    }

    function test_WhenAGuardianRemoves() external {
        _expectRemovedBy(guardian);
    }

    function test_WhenTheGovernorRemoves() external {
        _expectRemovedBy(governor);
    }

    function test_WorksWhilePaused() external {
        _pause();
        _expectRemovedBy(guardian);
    }

    function _expectRemovedBy(address by) private {
        vm.expectEmit(address(verifier));
        emit IAccessControl.RoleRevoked(ISSUER, issuer, by);
        vm.prank(by);
        verifier.removeIssuer(issuer);
        assertFalse(verifier.hasRole(ISSUER, issuer));
        assertTrue(verifier.hasRole(ISSUER, otherIssuer));
    }

    function test_WhenTheRemovedIssuerIssuesInTheSameBlock() external {
        vm.prank(guardian);
        verifier.removeIssuer(issuer);
        _expectMissingRole(issuer, ISSUER);
        vm.prank(issuer);
        verifier.setOtp(LOGIN, 0, keccak256("id"), type(uint64).max);
    }

    function test_WhenItsCodesAreLive() external {
        IOtpVerifier.Ticket memory ticket = _issue();
        vm.prank(guardian);
        verifier.removeIssuer(issuer);
        _verify(ticket);
        _consume(ticket);
    }

    function test_WhenTheAccountIsNoIssuer() external {
        vm.recordLogs();
        vm.prank(guardian);
        verifier.removeIssuer(guardian);
        assertEq(vm.getRecordedLogs().length, 0);
        assertTrue(verifier.hasRole(keccak256("GUARDIAN_ROLE"), guardian));
    }
}
