// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../../src-sol/interfaces/IOtpVerifier.sol";
import {Fixture} from "../../utils/Fixture.sol";
import {IVerifier} from "../../utils/IVerifier.sol";

contract PauseTest is Fixture {
    function test_RevertWhen_TheCallerIsNeitherGuardianNorGovernor() external {
        address[2] memory others = [stranger, issuer];
        for (uint256 i = 0; i < others.length; ++i) {
            _expectMissingRole(others[i], keccak256("GUARDIAN_ROLE"));
            vm.prank(others[i]);
            verifier.pause();
        }
    }

    function test_RevertWhen_PausedAlready() external {
        _pause();
        vm.expectRevert(IVerifier.EnforcedPause.selector);
        _pause();
    }

    function test_WhenAGuardianPauses() external {
        _expectPausedBy(guardian);
    }

    function test_WhenTheGovernorPauses() external {
        _expectPausedBy(governor);
    }

    function _expectPausedBy(address by) private {
        vm.expectEmit(address(verifier));
        emit IVerifier.Paused(by);
        vm.prank(by);
        verifier.pause();
        assertTrue(verifier.paused());
    }

    function test_LetsRolesPoliciesAndViewsGoOn() external {
        IOtpVerifier.Ticket memory ticket = _issue();
        _pause();
        _assertStatus(ticket, IOtpVerifier.Status.Issued);
        bytes32 role = keccak256("ISSUER_ROLE");
        vm.startPrank(governor);
        verifier.grantRole(role, stranger);
        verifier.setPolicy(LOGIN, _policy(90, 0, 1, true));
        vm.stopPrank();
        assertTrue(verifier.hasRole(role, stranger));
        assertEq(verifier.policyOf(LOGIN).ttl, 90);
    }

    function test_StopsNoClock() external {
        IOtpVerifier.Ticket memory ticket = _issue();
        _pause();
        skip(TTL + 1);
        _assertStatus(ticket, IOtpVerifier.Status.Expired);
    }
}
