// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

// the hashes that the gas goals hang on
// solhint-disable no-inline-assembly

/// @title OtpHash
/// @notice The protocol's hashes, in assembly that builds them in free memory and leaves it free. What they are is said in
/// Solidity above each; `test-sol/fuzz/OtpHash.t.sol` holds each against that line.
library OtpHash {
    /// @notice `keccak256(abi.encode(purpose, uint256(serial), id))`: 96 bytes, so that no leaf is an inner node's hash.
    function leafOf(bytes32 purpose, uint256 serial, bytes32 id) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let m := mload(0x40)
            mstore(m, purpose)
            mstore(add(m, 0x20), serial)
            mstore(add(m, 0x40), id)
            hash := keccak256(m, 0x60)
        }
    }

    /// @notice `keccak256(abi.encode(block.chainid, address(this), issuer, purpose, serial, subject, action, codeHash))`
    function idOf(address issuer, bytes32 purpose, uint256 serial, address subject, bytes32 action, bytes32 codeHash)
        internal
        view
        returns (bytes32 hash)
    {
        assembly ("memory-safe") {
            let m := mload(0x40)
            mstore(m, chainid())
            mstore(add(m, 0x20), address())
            // what is above the 20 bytes of an address in its stack slot is not defined
            mstore(add(m, 0x40), shr(96, shl(96, issuer)))
            mstore(add(m, 0x60), purpose)
            mstore(add(m, 0x80), serial)
            mstore(add(m, 0xa0), shr(96, shl(96, subject)))
            mstore(add(m, 0xc0), action)
            mstore(add(m, 0xe0), codeHash)
            hash := keccak256(m, 0x100)
        }
    }

    /// @notice `keccak256(abi.encode(consumer, payloadHash))`
    function actionOf(address consumer, bytes32 payloadHash) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            mstore(0x00, shr(96, shl(96, consumer)))
            mstore(0x20, payloadHash)
            hash := keccak256(0x00, 0x40)
        }
    }

    /// @notice `keccak256(bytes(code))`
    function codeHashOf(string calldata text) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let m := mload(0x40)
            calldatacopy(m, text.offset, text.length)
            hash := keccak256(m, text.length)
        }
    }
}
