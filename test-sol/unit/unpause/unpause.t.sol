// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../../src-sol/interfaces/IOtpVerifier.sol";
import {Fixture} from "../../utils/Fixture.sol";
import {IVerifier} from "../../utils/IVerifier.sol";

contract UnpauseTest is Fixture {
    function test_RevertWhen_TheCallerIsNoGovernor() external {
        _pause();
        address[3] memory others = [guardian, issuer, stranger];
        for (uint256 i = 0; i < others.length; ++i) {
            _expectMissingRole(others[i], keccak256("GOVERNOR_ROLE"));
            vm.prank(others[i]);
            verifier.unpause();
        }
    }

    function test_RevertWhen_NotPaused() external {
        vm.expectRevert(IVerifier.ExpectedPause.selector);
        vm.prank(governor);
        verifier.unpause();
    }

    function test_LetsCodesWorkAgain() external {
        IOtpVerifier.Ticket memory ticket = _issue();
        _pause();
        vm.expectEmit(address(verifier));
        emit IVerifier.Unpaused(governor);
        vm.prank(governor);
        verifier.unpause();
        _verify(ticket);
    }
}
