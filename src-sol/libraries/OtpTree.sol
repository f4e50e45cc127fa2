// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title OtpTree
/// @notice The Merkle tree over one issuance and its log loop, in assembly: at 80 codes these loops are what decides
/// the gas of a code. `test-sol/fuzz/OtpTree.t.sol` holds each function against a plain version.
library OtpTree {
    /// @dev topic0 of `OtpSet`. Written out because assembly cannot read an interface's selector; a test compares.
    bytes32 internal constant OTP_SET_TOPIC = keccak256("OtpSet(bytes32,bytes32,uint256)");

    /// @notice `keccak256(abi.encode(purpose, uint256(serial), id))`: 96 bytes, so that no leaf is an inner node's hash.
    function leaf(bytes32 purpose, uint256 serial, bytes32 id) internal pure returns (bytes32 hash) {
        assembly ("memory-safe") {
            let m := mload(0x40)
            mstore(m, purpose)
            mstore(add(m, 0x20), serial)
            mstore(add(m, 0x40), id)
            hash := keccak256(m, 0x60)
        }
    }

    /// @notice The root over `ids` with the serials `first`, `first + 1`, ...; `ids` is not empty.
    /// @dev The tree's array read backwards is a queue: the leaves in order, then each next node is the hash of the two
    /// oldest nodes not yet hashed, and the last one is the root. The queue lies in free memory, behind 96 bytes in
    /// which the leaves are put together.
    function rootOf(bytes32 purpose, uint256 first, bytes32[] calldata ids) internal pure returns (bytes32 root) {
        assembly ("memory-safe") {
            let m := mload(0x40)
            let head := add(m, 0x60)
            let tail := head

            mstore(m, purpose)
            let id := ids.offset
            for { let end := add(id, shl(5, ids.length)) } lt(id, end) { id := add(id, 0x20) } {
                mstore(add(m, 0x20), first)
                mstore(add(m, 0x40), calldataload(id))
                mstore(tail, keccak256(m, 0x60))
                tail := add(tail, 0x20)
                first := add(first, 1)
            }

            // n leaves make n - 1 inner nodes: stop when one node is left between head and tail
            for {} gt(sub(tail, head), 0x20) { head := add(head, 0x40) } {
                let a := mload(head)
                let b := mload(add(head, 0x20))
                // the smaller first; in order they are hashed where they lie
                switch gt(a, b)
                case 0 { mstore(tail, keccak256(head, 0x40)) }
                default {
                    mstore(0x00, b)
                    mstore(0x20, a)
                    mstore(tail, keccak256(0x00, 0x40))
                }
                tail := add(tail, 0x20)
            }
            root := mload(head)
        }
    }

    /// @notice Emits `OtpSet(ids[i], root, first + i)` for each id, in order.
    function emitEach(bytes32 root, uint256 first, bytes32[] calldata ids) internal {
        bytes32 topic = OTP_SET_TOPIC;
        assembly ("memory-safe") {
            let id := ids.offset
            for { let end := add(id, shl(5, ids.length)) } lt(id, end) { id := add(id, 0x20) } {
                mstore(0x00, first)
                log3(0x00, 0x20, topic, calldataload(id), root)
                first := add(first, 1)
            }
        }
    }
}
