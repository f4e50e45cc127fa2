// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../../src-sol/interfaces/IOtpVerifier.sol";
import {Fixture} from "../../utils/Fixture.sol";
import {IVerifier} from "../../utils/IVerifier.sol";
import {PlainTree} from "../../utils/PlainTree.sol";

contract SetOtpTest is Fixture {
    bytes32 private constant ID = keccak256("an id");

    function _set(uint40 serial) private returns (bytes32) {
        uint64 deadline = _soon();
        vm.prank(issuer);
        return verifier.setOtp(LOGIN, serial, ID, deadline);
    }

    function test_RevertWhen_Paused() external {
        _pause();
        vm.expectRevert(IVerifier.EnforcedPause.selector);
        vm.prank(issuer);
        verifier.setOtp(LOGIN, 0, ID, type(uint64).max);
    }

    function test_RevertWhen_TheCallerIsNoIssuer() external {
        bytes32 role = keccak256("ISSUER_ROLE");
        address[3] memory others = [governor, guardian, stranger];
        for (uint256 i = 0; i < others.length; ++i) {
            _expectMissingRole(others[i], role);
            vm.prank(others[i]);
            verifier.setOtp(LOGIN, 0, ID, type(uint64).max);
        }
    }

    function test_RevertWhen_PastTheDeadline() external {
        uint64 deadline = uint64(block.timestamp - 1);
        vm.expectRevert(abi.encodeWithSelector(IOtpVerifier.PastDeadline.selector, deadline));
        vm.prank(issuer);
        verifier.setOtp(LOGIN, 0, ID, deadline);
    }

    function test_PassesAtTheDeadline() external {
        vm.prank(issuer);
        verifier.setOtp(LOGIN, 0, ID, uint64(block.timestamp));
        assertEq(verifier.nextSerial(issuer, LOGIN), 1);
    }

    function test_RevertWhen_ThePurposeHasNoPolicy() external {
        _expectDisabled("never set");
        _expectDisabled(bytes32(0));
    }

    function test_RevertWhen_ThePurposeIsDisabled() external {
        vm.prank(governor);
        verifier.setPolicy(LOGIN, _policy(TTL, GRACE, 3, false));
        _expectDisabled(LOGIN);
    }

    function _expectDisabled(bytes32 purpose) private {
        vm.expectRevert(abi.encodeWithSelector(IOtpVerifier.PurposeDisabled.selector, purpose));
        vm.prank(issuer);
        verifier.setOtp(purpose, 0, ID, type(uint64).max);
    }

    function test_RevertWhen_TheSerialIsUsed() external {
        _set(5);
        _expectSerialUsed(5, 6);
        _set(5);
        _expectSerialUsed(0, 6);
        _set(0);
    }

    function test_RevertWhen_TheSerialIsTooFarAhead() external {
        _set(0);
        _expectSerialUsed(1 + 2 ** 20 + 1, 1);
        _set(1 + 2 ** 20 + 1);
        _expectSerialUsed(type(uint40).max, 1);
        _set(type(uint40).max);
    }

    function test_RevertWhen_TheSerialsAreUsedUp() external {
        _setNextSerial(2 ** 40 - 2);
        _set(2 ** 40 - 2);
        assertEq(verifier.nextSerial(issuer, LOGIN), 2 ** 40 - 1);
        _expectSerialUsed(2 ** 40 - 1, 2 ** 40 - 1);
        _set(2 ** 40 - 1);
    }

    function test_RevertWhen_TheBatchIsThereAlready() external {
        bytes32 root = _set(0);
        // cannot happen unless numbering is broken, so it is broken here
        _setNextSerial(0);
        vm.expectRevert(abi.encodeWithSelector(IOtpVerifier.DuplicateBatch.selector, root));
        _set(0);
    }

    function _expectSerialUsed(uint256 first, uint256 next) private {
        vm.expectRevert(abi.encodeWithSelector(IOtpVerifier.SerialUsed.selector, first, next));
    }

    function _setNextSerial(uint40 next) private {
        // mapping(address => mapping(bytes32 => uint40)) in the second slot of the namespace
        bytes32 base = bytes32(uint256(0x2080fb54add3e565ec7b7c80c5bcce9568748794d6d11dfafa00d339439f5800) + 1);
        bytes32 slot = keccak256(abi.encode(LOGIN, keccak256(abi.encode(issuer, base))));
        vm.store(address(verifier), slot, bytes32(uint256(next)));
        assertEq(verifier.nextSerial(issuer, LOGIN), next, "slot");
    }

    function test_TakesTheHighestSerialInReach() external {
        _set(2 ** 20);
        assertEq(verifier.nextSerial(issuer, LOGIN), 2 ** 20 + 1);
    }

    function test_StoresTheBatchAndLogsIt() external {
        bytes32 leaf = PlainTree.leaf(LOGIN, 7, ID);
        uint64 expiry = uint64(block.timestamp + TTL);
        vm.expectEmit(address(verifier));
        emit IOtpVerifier.OtpBatchSet(leaf, issuer, LOGIN, 7, 1, expiry);
        vm.expectEmit(address(verifier));
        emit IOtpVerifier.OtpSet(ID, leaf, 7);
        assertEq(_set(7), leaf, "root");

        (uint40 batchExpiry, uint16 grace, uint40 first, uint160 states) = verifier.batchOf(issuer, leaf);
        assertEq(batchExpiry, expiry);
        assertEq(grace, GRACE);
        assertEq(first, 7);
        assertEq(states, 0);
        assertEq(verifier.nextSerial(issuer, LOGIN), 8);
    }

    function test_CountsSerialsPerIssuerAndPurpose() external {
        _set(3);
        assertEq(verifier.nextSerial(issuer, LOGIN), 4);
        assertEq(verifier.nextSerial(issuer, WITHDRAW), 0);
        assertEq(verifier.nextSerial(otherIssuer, LOGIN), 0);
    }

    function test_WhenAnotherIssuerSetsTheSameRoot() external {
        bytes32 root = _set(0);
        skip(10);
        vm.prank(otherIssuer);
        assertEq(verifier.setOtp(LOGIN, 0, ID, type(uint64).max), root);
        (uint40 expiry,,,) = verifier.batchOf(issuer, root);
        (uint40 otherExpiry,,,) = verifier.batchOf(otherIssuer, root);
        assertEq(expiry, block.timestamp - 10 + TTL);
        assertEq(otherExpiry, block.timestamp + TTL);
    }

    function test_WhenThePurposeIsZero() external {
        vm.prank(governor);
        verifier.setPolicy(bytes32(0), _policy(TTL, GRACE, 3, true));
        vm.prank(issuer);
        verifier.setOtp(bytes32(0), 0, ID, type(uint64).max);
        assertEq(verifier.nextSerial(issuer, bytes32(0)), 1);
    }
}
