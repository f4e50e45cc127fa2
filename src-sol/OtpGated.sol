// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "./interfaces/IOtpVerifier.sol";

/// @title OtpGated
/// @notice Inherit this, and a function asks for a one-time code in one line: in two steps, where the wallet has called
/// `verify` before (`onlyVerified`, `_consumeOtp`), or in one (`onlyWithCode`, `_verifyAndConsumeOtp`).
/// @dev What it takes off your hands: the subject is always `msg.sender`, never a value that a caller chose.
/// What it leaves to you:
/// - a purpose that is a constant of yours, or a code of a weaker policy would do;
/// - a payload, the EIP-712 hashStruct of everything that the function does, so that a code for one thing does not do for
///   another;
/// - in the payload a nonce (`_useNonce`) where doing a thing twice would hurt;
/// - no way around: a function that reaches the same effect without a code makes the gate worthless.
///
/// Reentrancy: the verifier calls nobody, so neither line gives control away, and a code is spent before your function
/// goes on. Who calls your function again from inside of it needs another code. Effects before interactions all the same.
abstract contract OtpGated {
    /// @notice Where codes are checked.
    IOtpVerifier public immutable VERIFIER;

    /// @notice The nonce that the account's next gated call carries. A code that is never used blocks nothing: the nonce
    /// moves with a call that passes, and then every other code for the old nonce is worthless.
    mapping(address account => uint256) public nonces;

    /// @dev Passes when the sender verified a code for exactly this; spends it.
    modifier onlyVerified(IOtpVerifier.Ticket calldata ticket, bytes32 purpose, bytes32 payloadHash, bytes32 codeHash) {
        _consumeOtp(ticket, purpose, payloadHash, codeHash);
        _;
    }

    /// @dev Passes when the sender shows a code for exactly this; verifies and spends it.
    modifier onlyWithCode(
        IOtpVerifier.Ticket calldata ticket,
        bytes32 purpose,
        bytes32 payloadHash,
        string calldata code
    ) {
        _verifyAndConsumeOtp(ticket, purpose, payloadHash, code);
        _;
    }

    /// @notice A contract that trusts one verifier for good.
    /// @param verifier The OtpVerifier's proxy.
    constructor(IOtpVerifier verifier) {
        VERIFIER = verifier;
    }

    /// @dev Spends a code that the sender verified; reverts with the verifier's error otherwise.
    function _consumeOtp(IOtpVerifier.Ticket calldata ticket, bytes32 purpose, bytes32 payloadHash, bytes32 codeHash)
        internal
    {
        VERIFIER.consume(ticket, msg.sender, purpose, payloadHash, codeHash);
    }

    /// @dev Verifies and spends the sender's code; reverts with the verifier's error otherwise.
    function _verifyAndConsumeOtp(
        IOtpVerifier.Ticket calldata ticket,
        bytes32 purpose,
        bytes32 payloadHash,
        string calldata code
    ) internal {
        VERIFIER.verifyAndConsume(ticket, msg.sender, purpose, payloadHash, code);
    }

    /// @dev The sender's nonce, used up.
    function _useNonce() internal returns (uint256) {
        return nonces[msg.sender]++;
    }

    /// @dev What a code for this payload authorises: the `action` to ask a code for and to verify.
    function _actionOf(bytes32 payloadHash) internal view returns (bytes32) {
        return keccak256(abi.encode(address(this), payloadHash));
    }
}
