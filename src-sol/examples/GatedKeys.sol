// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {OtpGated} from "../OtpGated.sol";
import {IOtpVerifier} from "../interfaces/IOtpVerifier.sol";

/// @title GatedKeys
/// @notice Holds one signing key per account, and changes it only against a one-time code: who steals the wallet key
/// cannot put a key of his own in place of the owner's. An example of a consumer whose whole gate is one modifier.
contract GatedKeys is OtpGated {
    /// @notice The account's key is another from now on.
    event KeyChanged(address indexed account, address indexed key, uint256 nonce);

    /// @notice EIP-712 type of what a code authorises.
    bytes32 public constant KEY_CHANGE_TYPEHASH = keccak256("KeyChange(address key,uint256 nonce)");

    /// @notice The purpose that a key change demands.
    bytes32 public constant PURPOSE = "keys";

    /// @notice Each account's key; zero before the first change.
    mapping(address account => address) public keyOf;

    constructor(IOtpVerifier verifier) OtpGated(verifier) {}

    /// @notice Changes the sender's key after `verify`: the second of two steps.
    function changeKey(address key, IOtpVerifier.Ticket calldata ticket, bytes32 codeHash)
        external
        onlyVerified(ticket, PURPOSE, payloadHashOf(key, _useNonce()), codeHash)
    {
        _setKey(key);
    }

    /// @notice Verifies and changes the sender's key in one step.
    function changeKeyWithCode(address key, IOtpVerifier.Ticket calldata ticket, string calldata code)
        external
        onlyWithCode(ticket, PURPOSE, payloadHashOf(key, _useNonce()), code)
    {
        _setKey(key);
    }

    /// @notice EIP-712 hashStruct of the change.
    function payloadHashOf(address key, uint256 nonce) public pure returns (bytes32) {
        return keccak256(abi.encode(KEY_CHANGE_TYPEHASH, key, nonce));
    }

    /// @notice The `action` to ask a code for and to verify.
    function actionOf(address key, uint256 nonce) external view returns (bytes32) {
        return _actionOf(payloadHashOf(key, nonce));
    }

    function _setKey(address key) private {
        keyOf[msg.sender] = key;
        emit KeyChanged(msg.sender, key, nonces[msg.sender] - 1);
    }
}
