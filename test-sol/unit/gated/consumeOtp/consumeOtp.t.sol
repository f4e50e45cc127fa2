// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../../../src-sol/interfaces/IOtpVerifier.sol";
import {Gate, GateChecks} from "../GateFixture.sol";

contract GatedConsumeOtpTest is GateChecks {
    function _callGate(Gate gate_, bytes32 purpose, bytes32 payloadHash, string memory code) internal override {
        gate_.consume(ticket, purpose, payloadHash, _hash(code));
    }

    function _prepare() internal override {
        vm.prank(subject);
        verifier.verify(ticket, action, CODE);
    }

    function test_RevertWhen_TheSenderDidNotVerify() external {
        _expectId(IOtpVerifier.OtpNotVerified.selector, ticket.id);
        vm.prank(subject);
        _callGate(gate, WITHDRAW, PAYLOAD_HASH, CODE);
        assertEq(gate.passed(), 0);
    }

    function test_RevertWhen_TheSenderIsAnother() external {
        _checkSender();
    }

    function test_RevertWhen_ThePurposeIsAnother() external {
        _checkPurpose();
    }

    function test_RevertWhen_ThePayloadIsAnother(bytes32 other) external {
        _checkPayload(other);
    }

    function test_RevertWhen_TheGateIsAnother() external {
        _checkGate();
    }

    function test_RevertWhen_TheCodeIsAnother() external {
        _checkCode();
    }

    function test_RevertWhen_CalledAgain() external {
        _checkAgain();
    }

    function test_SpendsTheCodeAndGoesOn() external {
        _checkPass();
    }
}
