// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {Fixture} from "./Fixture.sol";
import {Vm} from "forge-std/Vm.sol";

/// @notice Calls that must fail: with exactly this error, and not one slot of any account changed.
abstract contract Refusal is Fixture {
    function _assertRefused(address caller, bytes memory data, bytes memory error) internal {
        vm.startStateDiffRecording();
        vm.prank(caller);
        (bool ok, bytes memory returned) = address(verifier).call(data);
        Vm.AccountAccess[] memory accesses = vm.stopAndReturnStateDiff();
        assertFalse(ok, "passed");
        assertEq(returned, error, "error");
        for (uint256 i = 0; i < accesses.length; ++i) {
            for (uint256 j = 0; j < accesses[i].storageAccesses.length; ++j) {
                Vm.StorageAccess memory access = accesses[i].storageAccesses[j];
                assertTrue(!access.isWrite || access.reverted, "a failed call wrote");
            }
        }
    }

    function _assertRefused(address caller, bytes memory data, bytes4 error, bytes32 id) internal {
        _assertRefused(caller, data, abi.encodeWithSelector(error, id));
    }

    /// @notice A ticket that proves nothing is refused by whatever takes one, and statusOf calls it unknown.
    function _assertUnknownEverywhere(IOtpVerifier.Ticket memory ticket) internal {
        bytes4 unknown = IOtpVerifier.UnknownOtp.selector;
        bytes32 purpose = ticket.purpose;
        _assertStatus(ticket, IOtpVerifier.Status.Unknown);
        _assertRefused(subject, abi.encodeCall(IOtpVerifier.verify, (ticket, _action(), CODE)), unknown, ticket.id);
        _assertRefused(
            consumer,
            abi.encodeCall(IOtpVerifier.consume, (ticket, subject, purpose, PAYLOAD_HASH, _hash(CODE))),
            unknown,
            ticket.id
        );
        _assertRefused(
            consumer,
            abi.encodeCall(IOtpVerifier.verifyAndConsume, (ticket, subject, purpose, PAYLOAD_HASH, CODE)),
            unknown,
            ticket.id
        );
        _assertRefused(guardian, abi.encodeCall(IOtpVerifier.revoke, (_list(ticket))), unknown, ticket.id);
        uint64 deadline = _soon();
        bytes memory signature = _signature(ticket.id, _action(), deadline);
        _assertRefused(
            stranger,
            abi.encodeCall(IOtpVerifier.verifyFor, (subject, ticket, _action(), CODE, deadline, signature)),
            unknown,
            ticket.id
        );
    }

    /// @notice The subject's signature, in the domain that the verifier itself tells.
    function _signature(bytes32 id, bytes32 action, uint64 deadline) internal view returns (bytes memory) {
        (, string memory name, string memory domainVersion, uint256 chainId, address verifyingContract,,) =
            verifier.eip712Domain();
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256(bytes(name)),
                keccak256(bytes(domainVersion)),
                chainId,
                verifyingContract
            )
        );
        bytes32 structHash =
            keccak256(abi.encode(keccak256("Verify(bytes32 id,bytes32 action,uint64 deadline)"), id, action, deadline));
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(subjectKey, keccak256(abi.encodePacked(hex"1901", domain, structHash)));
        return abi.encodePacked(r, s, v);
    }
}
