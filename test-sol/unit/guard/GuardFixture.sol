// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {OtpSafeGuard} from "../../../src-sol/OtpSafeGuard.sol";
import {IOtpVerifier} from "../../../src-sol/interfaces/IOtpVerifier.sol";
import {Fixture} from "../../utils/Fixture.sol";
import {Safes} from "../../utils/Safes.sol";
import {Safe} from "@safe-global/safe-contracts/contracts/Safe.sol";
import {GuardManager} from "@safe-global/safe-contracts/contracts/base/GuardManager.sol";

/// @notice A real 2-of-3 Safe with 10 ether under the guard; `subject` is its approver.
abstract contract GuardFixture is Fixture, Safes {
    OtpSafeGuard internal guard;
    Safe internal safe;
    uint256[] internal keys;
    address internal to = makeAddr("to");

    function setUp() public virtual override {
        super.setUp();
        guard = new OtpSafeGuard(verifier, WITHDRAW);
        address[] memory owners;
        (owners, keys) = _ownerKeys();
        safe = _deploySafe(owners, 2);
        deal(address(safe), 10 ether);
        _execute(_configure(subject, 0));
        _execute(_setGuard(address(guard)));
    }

    function _configure(address approver, uint256 limit) internal view returns (SafeCall memory) {
        return _call(address(guard), abi.encodeCall(OtpSafeGuard.configure, (approver, limit)));
    }

    function _setGuard(address guard_) internal view returns (SafeCall memory) {
        return _call(address(safe), abi.encodeCall(GuardManager.setGuard, (guard_)));
    }

    function _payment(uint256 value) internal view returns (SafeCall memory c) {
        c = _call(to, "");
        c.value = value;
    }

    /// @dev A code of `account` for the Safe's transaction, in the words of protocol.md.
    function _issueApproval(address account, address safe_, bytes32 safeTxHash)
        internal
        returns (IOtpVerifier.Ticket memory)
    {
        bytes32 payloadHash = keccak256(
            abi.encode(keccak256("SafeTransaction(address safe,bytes32 safeTxHash)"), safe_, safeTxHash)
        );
        assertEq(guard.payloadHashOf(safe_, safeTxHash), payloadHash);
        assertEq(guard.actionOf(safe_, safeTxHash), _action(address(guard), payloadHash));
        uint40 serial = verifier.nextSerial(issuer, WITHDRAW);
        bytes32 id = _id(issuer, WITHDRAW, serial, account, _action(address(guard), payloadHash), CODE);
        vm.prank(issuer);
        verifier.setOtp(WITHDRAW, serial, id, type(uint64).max);
        return _ticket(issuer, WITHDRAW, serial, _roots(id), 0);
    }

    function _approve(bytes32 safeTxHash) internal {
        IOtpVerifier.Ticket memory ticket = _issueApproval(subject, address(safe), safeTxHash);
        vm.prank(subject);
        guard.approve(address(safe), safeTxHash, ticket, CODE);
    }

    /// @dev Two owners sign, and it must pass.
    function _execute(SafeCall memory c) internal {
        assertTrue(_exec(safe, keys, c, 2));
    }

    function _approveAndExecute(SafeCall memory c) internal {
        _approve(_safeTxHash(safe, c));
        _execute(c);
    }

    /// @dev All owners sign, and the guard refuses all the same.
    function _expectRefused(SafeCall memory c) internal {
        bytes32 hash = _safeTxHash(safe, c);
        bytes memory signatures = _signatures(keys, hash, 3);
        vm.expectRevert(abi.encodeWithSelector(OtpSafeGuard.NotApproved.selector, address(safe), hash));
        _exec(safe, c, signatures);
    }

    function _guardOf(Safe safe_) internal view returns (address) {
        return address(uint160(uint256(vm.load(address(safe_), keccak256("guard_manager.guard.address")))));
    }
}
