// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {OtpGated} from "../../../src-sol/OtpGated.sol";
import {IOtpVerifier} from "../../../src-sol/interfaces/IOtpVerifier.sol";
import {Fixture} from "../../utils/Fixture.sol";

/// @notice Each of OtpGated's ways, with nothing behind it but a count.
contract Gate is OtpGated {
    uint256 public passed;

    constructor(IOtpVerifier verifier) OtpGated(verifier) {}

    function verified(IOtpVerifier.Ticket calldata ticket, bytes32 purpose, bytes32 payloadHash, bytes32 codeHash)
        external
        onlyVerified(ticket, purpose, payloadHash, codeHash)
    {
        ++passed;
    }

    function withCode(IOtpVerifier.Ticket calldata ticket, bytes32 purpose, bytes32 payloadHash, string calldata code)
        external
        onlyWithCode(ticket, purpose, payloadHash, code)
    {
        ++passed;
    }

    function consume(IOtpVerifier.Ticket calldata ticket, bytes32 purpose, bytes32 payloadHash, bytes32 codeHash)
        external
    {
        _consumeOtp(ticket, purpose, payloadHash, codeHash);
        ++passed;
    }

    function verifyAndConsume(
        IOtpVerifier.Ticket calldata ticket,
        bytes32 purpose,
        bytes32 payloadHash,
        string calldata code
    ) external {
        _verifyAndConsumeOtp(ticket, purpose, payloadHash, code);
        ++passed;
    }

    function spendNonce() external returns (uint256) {
        return _useNonce();
    }

    function actionOf(bytes32 payloadHash) external view returns (bytes32) {
        return _actionOf(payloadHash);
    }
}

/// @notice A gate, and a code of the subject for it.
abstract contract GateFixture is Fixture {
    Gate internal gate;
    IOtpVerifier.Ticket internal ticket;
    bytes32 internal action;

    function setUp() public override {
        super.setUp();
        gate = new Gate(verifier);
        action = _action(address(gate), PAYLOAD_HASH);
        uint40 serial = verifier.nextSerial(issuer, WITHDRAW);
        bytes32 id = _id(issuer, WITHDRAW, serial, subject, action, CODE);
        vm.prank(issuer);
        verifier.setOtp(WITHDRAW, serial, id, type(uint64).max);
        ticket = _ticket(issuer, WITHDRAW, serial, _roots(id), 0);
    }
}

/// @notice What all four ways have to refuse, and how they pass.
abstract contract GateChecks is GateFixture {
    /// @dev The call that is under test; `code` in whichever form it takes.
    function _callGate(Gate gate_, bytes32 purpose, bytes32 payloadHash, string memory code) internal virtual;

    /// @dev What has to come before it.
    function _prepare() internal virtual;

    function _expectRefused(address sender, Gate gate_, bytes32 purpose, bytes32 payloadHash, string memory code)
        internal
    {
        _expectId(IOtpVerifier.WrongCode.selector, ticket.id);
        vm.prank(sender);
        _callGate(gate_, purpose, payloadHash, code);
        assertEq(gate_.passed(), 0);
    }

    function _checkSender() internal {
        _prepare();
        _expectRefused(stranger, gate, WITHDRAW, PAYLOAD_HASH, CODE);
        _expectRefused(address(gate), gate, WITHDRAW, PAYLOAD_HASH, CODE);
    }

    function _checkPurpose() internal {
        _prepare();
        vm.expectRevert(abi.encodeWithSelector(IOtpVerifier.WrongPurpose.selector, WITHDRAW));
        vm.prank(subject);
        _callGate(gate, LOGIN, PAYLOAD_HASH, CODE);
        assertEq(gate.passed(), 0);
    }

    function _checkPayload(bytes32 other) internal {
        vm.assume(other != PAYLOAD_HASH);
        _prepare();
        _expectRefused(subject, gate, WITHDRAW, other, CODE);
    }

    function _checkGate() internal {
        _prepare();
        _expectRefused(subject, new Gate(verifier), WITHDRAW, PAYLOAD_HASH, CODE);
    }

    function _checkCode() internal {
        _prepare();
        _expectRefused(subject, gate, WITHDRAW, PAYLOAD_HASH, "482913");
    }

    function _checkAgain() internal {
        _prepare();
        vm.prank(subject);
        _callGate(gate, WITHDRAW, PAYLOAD_HASH, CODE);
        _expectId(IOtpVerifier.OtpUsed.selector, ticket.id);
        vm.prank(subject);
        _callGate(gate, WITHDRAW, PAYLOAD_HASH, CODE);
        assertEq(gate.passed(), 1);
    }

    function _checkPass() internal {
        _prepare();
        vm.expectEmit(address(verifier));
        emit IOtpVerifier.OtpConsumed(ticket.id, subject, address(gate), issuer, WITHDRAW);
        vm.prank(subject);
        _callGate(gate, WITHDRAW, PAYLOAD_HASH, CODE);
        assertEq(gate.passed(), 1);
        _assertStatus(ticket, IOtpVerifier.Status.Consumed);
    }
}
