// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

// the loops that the gas goals hang on
// solhint-disable no-inline-assembly

/// @title OtpTree
/// @notice The Merkle tree over one issuance and its log loop, in assembly: at 80 codes these three loops decide what a
/// code costs. `test-sol/fuzz/OtpTree.t.sol` holds each against a plain version.
/// @dev Each loop does one element a round until what is left is a multiple of four, then four a round: the jumps and
/// comparisons of a round cost a third of its work.
library OtpTree {
    /// @dev topic0 of `OtpSet`; a test compares it with the interface's.
    bytes32 internal constant OTP_SET_TOPIC = keccak256("OtpSet(bytes32,bytes32,uint256)");

    /// @notice The root over `ids` with the serials `first`, `first + 1`, ...; `ids` is not empty.
    /// @dev The tree's array read backwards is a queue: the leaves in order, then each next node is the hash of the two
    /// oldest nodes not yet hashed, and the last one is the root. The queue lies in free memory, behind 96 bytes in
    /// which the leaves are put together.
    function rootOf(bytes32 purpose, uint256 first, bytes32[] calldata ids) internal pure returns (bytes32 root) {
        assembly ("memory-safe") {
            function putLeaf(m, at, serial, id) {
                mstore(add(m, 0x20), serial)
                mstore(add(m, 0x40), calldataload(id))
                mstore(at, keccak256(m, 0x60))
            }

            // the smaller of the pair goes to 0x00, the other to 0x20
            function putNode(at, pair) {
                let a := mload(pair)
                let b := mload(add(pair, 0x20))
                let place := shl(5, gt(a, b))
                mstore(place, a)
                mstore(xor(place, 0x20), b)
                mstore(at, keccak256(0x00, 0x40))
            }

            let m := mload(0x40)
            let head := add(m, 0x60)
            let tail := head
            mstore(m, purpose)

            let id := ids.offset
            let end := add(id, shl(5, and(ids.length, 3)))
            for {} lt(id, end) { id := add(id, 0x20) } {
                putLeaf(m, tail, first, id)
                first := add(first, 1)
                tail := add(tail, 0x20)
            }
            end := add(ids.offset, shl(5, ids.length))
            for {} lt(id, end) { id := add(id, 0x80) } {
                putLeaf(m, tail, first, id)
                putLeaf(m, add(tail, 0x20), add(first, 1), add(id, 0x20))
                putLeaf(m, add(tail, 0x40), add(first, 2), add(id, 0x40))
                putLeaf(m, add(tail, 0x60), add(first, 3), add(id, 0x60))
                first := add(first, 4)
                tail := add(tail, 0x80)
            }

            // n leaves make n - 1 inner nodes
            let nodes := sub(ids.length, 1)
            end := add(tail, shl(5, and(nodes, 3)))
            for {} lt(tail, end) { tail := add(tail, 0x20) } {
                putNode(tail, head)
                head := add(head, 0x40)
            }
            end := add(tail, shl(5, and(nodes, not(3))))
            for {} lt(tail, end) { tail := add(tail, 0x80) } {
                putNode(tail, head)
                putNode(add(tail, 0x20), add(head, 0x40))
                putNode(add(tail, 0x40), add(head, 0x80))
                putNode(add(tail, 0x60), add(head, 0xc0))
                head := add(head, 0x100)
            }
            root := mload(sub(tail, 0x20))
        }
    }

    /// @notice Emits `OtpSet(ids[i], root, first + i)` for each id, in order.
    function emitEach(bytes32 root, uint256 first, bytes32[] calldata ids) internal {
        bytes32 topic = OTP_SET_TOPIC;
        assembly ("memory-safe") {
            function emitOne(topic0, id, root_, serial) {
                mstore(0x00, serial)
                log3(0x00, 0x20, topic0, calldataload(id), root_)
            }

            let id := ids.offset
            let end := add(id, shl(5, and(ids.length, 3)))
            for {} lt(id, end) { id := add(id, 0x20) } {
                emitOne(topic, id, root, first)
                first := add(first, 1)
            }
            end := add(ids.offset, shl(5, ids.length))
            for {} lt(id, end) { id := add(id, 0x80) } {
                emitOne(topic, id, root, first)
                emitOne(topic, add(id, 0x20), root, add(first, 1))
                emitOne(topic, add(id, 0x40), root, add(first, 2))
                emitOne(topic, add(id, 0x60), root, add(first, 3))
                first := add(first, 4)
            }
        }
    }
}
