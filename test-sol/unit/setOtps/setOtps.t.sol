// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../../src-sol/interfaces/IOtpVerifier.sol";
import {Fixture} from "../../utils/Fixture.sol";
import {IVerifier} from "../../utils/IVerifier.sol";
import {PlainTree} from "../../utils/PlainTree.sol";
import {Vm} from "forge-std/Vm.sol";

contract SetOtpsTest is Fixture {
    function _set(uint40 first, uint256 size) private returns (bytes32) {
        bytes32[] memory ids = _ids(issuer, LOGIN, first, size);
        vm.prank(issuer);
        return verifier.setOtps(LOGIN, first, ids, type(uint64).max);
    }

    function test_RevertWhen_Paused() external {
        _pause();
        vm.expectRevert(IVerifier.EnforcedPause.selector);
        vm.prank(issuer);
        verifier.setOtps(LOGIN, 0, new bytes32[](1), type(uint64).max);
    }

    function test_RevertWhen_TheCallerIsNoIssuer() external {
        _expectMissingRole(stranger, keccak256("ISSUER_ROLE"));
        vm.prank(stranger);
        verifier.setOtps(LOGIN, 0, new bytes32[](1), type(uint64).max);
    }

    function test_RevertWhen_TheBatchIsEmpty() external {
        vm.expectRevert(abi.encodeWithSelector(IOtpVerifier.BadBatchSize.selector, 0));
        vm.prank(issuer);
        verifier.setOtps(LOGIN, 0, new bytes32[](0), type(uint64).max);
    }

    function test_RevertWhen_TheBatchHasMoreThan80() external {
        vm.expectRevert(abi.encodeWithSelector(IOtpVerifier.BadBatchSize.selector, 81));
        vm.prank(issuer);
        verifier.setOtps(LOGIN, 0, new bytes32[](81), type(uint64).max);
    }

    function test_RevertWhen_PastTheDeadline() external {
        uint64 deadline = uint64(block.timestamp - 1);
        vm.expectRevert(abi.encodeWithSelector(IOtpVerifier.PastDeadline.selector, deadline));
        vm.prank(issuer);
        verifier.setOtps(LOGIN, 0, new bytes32[](1), deadline);
    }

    function test_RevertWhen_ThePurposeIsDisabled() external {
        vm.expectRevert(abi.encodeWithSelector(IOtpVerifier.PurposeDisabled.selector, bytes32("other")));
        vm.prank(issuer);
        verifier.setOtps("other", 0, new bytes32[](1), type(uint64).max);
    }

    function test_RevertWhen_ASerialIsUsed() external {
        _set(0, 80);
        vm.expectRevert(abi.encodeWithSelector(IOtpVerifier.SerialUsed.selector, 79, 80));
        vm.prank(issuer);
        verifier.setOtps(LOGIN, 79, new bytes32[](2), type(uint64).max);
    }

    function test_RevertWhen_TheSameIssuanceComesTwice() external {
        _set(0, 3);
        bytes32[] memory ids = _ids(issuer, LOGIN, 0, 3);
        vm.expectRevert(abi.encodeWithSelector(IOtpVerifier.SerialUsed.selector, 0, 3));
        vm.prank(issuer);
        verifier.setOtps(LOGIN, 0, ids, type(uint64).max);
    }

    function test_StoresTheRootAndLogsEachCodeInOrder(uint256 size, uint40 first, bytes32 seed) external {
        size = bound(size, 1, 80);
        first = uint40(bound(first, 0, 2 ** 20));
        bytes32[] memory ids = new bytes32[](size);
        for (uint256 i = 0; i < size; ++i) {
            ids[i] = keccak256(abi.encode(seed, i));
        }
        vm.recordLogs();
        vm.prank(issuer);
        bytes32 root = verifier.setOtps(LOGIN, first, ids, type(uint64).max);
        assertEq(root, PlainTree.root(LOGIN, first, ids), "root");

        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs.length, size + 1);
        assertEq(logs[0].topics[0], IOtpVerifier.OtpBatchSet.selector);
        assertEq(logs[0].topics[1], root);
        assertEq(logs[0].topics[2], bytes32(uint256(uint160(issuer))));
        assertEq(logs[0].topics[3], LOGIN);
        assertEq(logs[0].data, abi.encode(uint256(first), size, uint256(block.timestamp + TTL)));
        for (uint256 i = 0; i < size; ++i) {
            Vm.Log memory log = logs[i + 1];
            assertEq(log.topics.length, 3);
            assertEq(log.topics[0], IOtpVerifier.OtpSet.selector);
            assertEq(log.topics[1], ids[i]);
            assertEq(log.topics[2], root);
            assertEq(log.data, abi.encode(uint256(first) + i));
            assertEq(log.emitter, address(verifier));
        }

        (uint40 expiry, uint16 grace, uint40 stored, uint160 states) = verifier.batchOf(issuer, root);
        assertEq(expiry, block.timestamp + TTL);
        assertEq(grace, GRACE);
        assertEq(stored, first);
        assertEq(states, 0);
        assertEq(verifier.nextSerial(issuer, LOGIN), first + size);
    }

    function test_WhenTheBatchIsOneCode() external {
        bytes32 id = keccak256("id");
        vm.startPrank(issuer);
        bytes32 root = verifier.setOtp(LOGIN, 4, id, type(uint64).max);
        vm.stopPrank();
        vm.prank(otherIssuer);
        assertEq(verifier.setOtps(LOGIN, 4, _roots(id), type(uint64).max), root);
    }

    /// @dev The same id twice is an issuer's mistake that harms nobody: the leaf holds the serial, the id commits to one
    /// serial, so the other place can be opened by no code.
    function test_WhenAnIdIsInABatchTwice() external {
        bytes32[] memory ids = new bytes32[](2);
        ids[0] = ids[1] = _id(issuer, WITHDRAW, 0, subject, _action(), CODE);
        vm.prank(issuer);
        verifier.setOtps(WITHDRAW, 0, ids, type(uint64).max);
        IOtpVerifier.Ticket memory first = _ticket(issuer, WITHDRAW, 0, ids, 0);
        IOtpVerifier.Ticket memory second = _ticket(issuer, WITHDRAW, 0, ids, 1);
        _verify(first);
        bytes32 action = _action();
        _expectId(IOtpVerifier.WrongCode.selector, ids[1]);
        vm.prank(subject);
        verifier.verify(second, action, CODE);
    }
}
