// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {OtpTree} from "../../src-sol/libraries/OtpTree.sol";
import {PlainTree} from "../utils/PlainTree.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Test} from "forge-std/Test.sol";
import {Vm} from "forge-std/Vm.sol";

contract OtpTreeTest is Test {
    function rootOf(bytes32 purpose, uint256 first, bytes32[] calldata ids) external pure returns (bytes32) {
        return OtpTree.rootOf(purpose, first, ids);
    }

    function emitEach(bytes32 root, uint256 first, bytes32[] calldata ids) external {
        OtpTree.emitEach(root, first, ids);
    }

    function _ids(bytes32 seed, uint256 size) private pure returns (bytes32[] memory ids) {
        ids = new bytes32[](size);
        for (uint256 i = 0; i < size; ++i) {
            ids[i] = keccak256(abi.encode(seed, i));
        }
    }

    function test_RootOf_EverySize() external view {
        for (uint256 size = 1; size <= 80; ++size) {
            bytes32[] memory ids = _ids(bytes32(size), size);
            assertEq(this.rootOf("login", 9, ids), PlainTree.root("login", 9, ids), vm.toString(size));
        }
    }

    function testFuzz_RootOf(bytes32 purpose, uint40 first, bytes32 seed, uint256 size) external view {
        size = bound(size, 1, 80);
        first = uint40(bound(first, 0, 2 ** 40 - 81));
        bytes32[] memory ids = _ids(seed, size);
        assertEq(this.rootOf(purpose, first, ids), PlainTree.root(purpose, first, ids));
    }

    function testFuzz_RootOf_EqualIds(bytes32 id, uint256 size) external view {
        bytes32[] memory ids = new bytes32[](bound(size, 1, 80));
        for (uint256 i = 0; i < ids.length; ++i) {
            ids[i] = id;
        }
        assertEq(this.rootOf("login", 0, ids), PlainTree.root("login", 0, ids));
    }

    function testFuzz_PlainProofsLeadToTheRoot(bytes32 seed, uint256 size, uint256 place) external view {
        size = bound(size, 1, 80);
        place = bound(place, 0, size - 1);
        bytes32[] memory ids = _ids(seed, size);
        bytes32 leaf = PlainTree.leaf("login", uint40(3 + place), ids[place]);
        bytes32[] memory proof = PlainTree.proof("login", 3, ids, place);
        assertTrue(MerkleProof.verify(proof, this.rootOf("login", 3, ids), leaf));
    }

    function testFuzz_EmitEach(bytes32 root, uint40 first, bytes32 seed, uint256 size) external {
        bytes32[] memory ids = _ids(seed, bound(size, 1, 80));
        vm.recordLogs();
        this.emitEach(root, first, ids);
        Vm.Log[] memory actual = vm.getRecordedLogs();
        for (uint256 i = 0; i < ids.length; ++i) {
            emit IOtpVerifier.OtpSet(ids[i], root, uint256(first) + i);
        }
        Vm.Log[] memory expected = vm.getRecordedLogs();
        assertEq(actual.length, ids.length);
        assertEq(abi.encode(actual), abi.encode(expected));
    }

    function test_TheTopicIsTheInterfaces() external pure {
        assertEq(OtpTree.OTP_SET_TOPIC, IOtpVerifier.OtpSet.selector);
    }
}
