// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {Fixture} from "../utils/Fixture.sol";
import {Safes} from "../utils/Safes.sol";
import {Safe} from "@safe-global/safe-contracts/contracts/Safe.sol";
import {
    CompatibilityFallbackHandler
} from "@safe-global/safe-contracts/contracts/handler/CompatibilityFallbackHandler.sol";

/// @notice A Safe without a guard is a subject like any other: it verifies itself, or its owners sign for it.
contract SafeSubjectTest is Fixture, Safes {
    Safe private safe;
    uint256[] private keys;

    function setUp() public override {
        super.setUp();
        (address[] memory owners, uint256[] memory ownerKeys) = _ownerKeys();
        keys = ownerKeys;
        safe = _deploySafe(owners, 2);
        subject = address(safe); // what the fixture issues codes for
    }

    function test_AnUnguardedSafeVerifiesItself() external {
        IOtpVerifier.Ticket memory ticket = _issue();
        vm.expectEmit(address(verifier));
        emit IOtpVerifier.OtpVerified(ticket.id, address(safe), _action(), issuer, WITHDRAW);
        _exec(safe, keys, _call(address(verifier), abi.encodeCall(IOtpVerifier.verify, (ticket, _action(), CODE))), 2);
        _assertStatus(ticket, IOtpVerifier.Status.Verified);
        _consume(ticket);
    }

    /// @dev What the owners sign: the verifier's EIP-712 digest, wrapped in the Safe's own message.
    function _safeMessageHash(bytes32 id, uint64 deadline) private view returns (bytes32) {
        bytes32 typehash = keccak256("Verify(bytes32 id,bytes32 action,uint64 deadline)");
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("OtpVerifier"),
                keccak256("1"),
                block.chainid,
                address(verifier)
            )
        );
        bytes32 structHash = keccak256(abi.encode(typehash, id, _action(), deadline));
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", domain, structHash));
        return CompatibilityFallbackHandler(address(safe)).getMessageHash(abi.encode(digest));
    }

    function test_TwoOwnersSignForTheSafe() external {
        IOtpVerifier.Ticket memory ticket = _issue();
        uint64 deadline = _soon();
        bytes memory signatures = _signatures(keys, _safeMessageHash(ticket.id, deadline), 2);
        vm.prank(stranger);
        assertTrue(verifier.verifyFor(address(safe), ticket, _action(), CODE, deadline, signatures));
        _assertStatus(ticket, IOtpVerifier.Status.Verified);
    }

    function test_RevertWhen_OneOwnerSignsForTheSafe() external {
        IOtpVerifier.Ticket memory ticket = _issue();
        uint64 deadline = _soon();
        bytes memory signatures = _signatures(keys, _safeMessageHash(ticket.id, deadline), 1);
        bytes32 action = _action();
        vm.expectRevert(abi.encodeWithSelector(IOtpVerifier.InvalidSignature.selector, address(safe)));
        verifier.verifyFor(address(safe), ticket, action, CODE, deadline, signatures);
        _assertStatus(ticket, IOtpVerifier.Status.Issued);
    }

    function test_RevertWhen_AnOwnerVerifiesInItsOwnName() external {
        IOtpVerifier.Ticket memory ticket = _issue();
        bytes32 action = _action();
        _expectId(IOtpVerifier.WrongCode.selector, ticket.id);
        vm.prank(vm.addr(keys[0]));
        verifier.verify(ticket, action, CODE);
    }
}
