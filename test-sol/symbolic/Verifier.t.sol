// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {Deployed} from "./Deployed.sol";
import {Test} from "forge-std/Test.sol";

/// @notice Proofs over the byte code that is deployed, in the state that each function here sets up. PROOFS.md says what
/// they are bounded by.
contract VerifierProof is Deployed, Test {
    address private constant GOVERNOR = address(0x60);
    address private constant GUARDIAN = address(0x61);
    address private constant ISSUER = address(0x70);
    address private constant OTHER_ISSUER = address(0x71);
    address private constant CONSUMER = address(0x80);
    address private constant SUBJECT = address(0x90);
    bytes32 private constant PURPOSE = "withdraw";
    bytes32 private constant PAYLOAD_HASH = keccak256("payload");

    function setUp() external {
        address[] memory issuers = new address[](2);
        (issuers[0], issuers[1]) = (ISSUER, OTHER_ISSUER);
        _deploy(GOVERNOR, GUARDIAN, issuers);
        vm.prank(GOVERNOR);
        verifier.setPolicy(PURPOSE, IOtpVerifier.Policy(60, 300, 3, true));
    }

    // --- policies

    function check_TheGovernorSetsWhatIsWithinTheBounds(
        address caller,
        bytes32 purpose,
        IOtpVerifier.Policy memory policy
    ) external {
        bool inBounds = policy.ttl >= 30 && policy.ttl <= 600 && policy.grace <= 3600 && policy.maxAttempts >= 1
            && policy.maxAttempts <= 5;
        vm.prank(caller);
        (bool ok,) = address(verifier).call(abi.encodeCall(IOtpVerifier.setPolicy, (purpose, policy)));
        assert(ok == (inBounds && caller == GOVERNOR));
    }

    // --- who may call: every function of the ABI, so that a new one is in it

    /// @dev Whoever holds no role changes nothing by any function with any arguments.
    function check_WhoHasNoRoleChangesNothing(address caller) external {
        vm.assume(caller != GOVERNOR && caller != GUARDIAN && caller != ISSUER && caller != OTHER_ISSUER);
        uint256 before = SVM.snapshotStorage(address(verifier));
        bytes memory data = SVM.createCalldata("OtpVerifier");
        vm.prank(caller);
        (bool ok,) = address(verifier).call(data);
        ok;
        assert(SVM.snapshotStorage(address(verifier)) == before);
    }

    // --- a code

    function _issue(bytes32 codeHash) private returns (IOtpVerifier.Ticket memory ticket) {
        bytes32 action = keccak256(abi.encode(CONSUMER, PAYLOAD_HASH));
        ticket.id = verifier.computeId(ISSUER, PURPOSE, 0, SUBJECT, action, codeHash);
        ticket.issuer = ISSUER;
        ticket.purpose = PURPOSE;
        ticket.proof = new bytes32[](0);
        vm.prank(ISSUER);
        verifier.setOtp(PURPOSE, 0, ticket.id, type(uint64).max);
    }

    /// @dev Whoever it is, whatever is shown, whenever: it passes for this subject, action and code in time, and for
    /// nothing else.
    function check_VerifyBindsSubjectActionAndCode(address caller, bytes32 action, uint64 time) external {
        bytes memory right = SVM.createBytes(32, "right");
        bytes memory shown = SVM.createBytes(32, "shown");
        IOtpVerifier.Ticket memory ticket = _issue(keccak256(right));
        uint256 expiry = block.timestamp + 60;
        vm.assume(time >= block.timestamp);
        vm.warp(time);
        vm.prank(caller);
        (bool ok,) = address(verifier).call(abi.encodeCall(IOtpVerifier.verify, (ticket, action, string(shown))));
        bool allowed = caller == SUBJECT && action == keccak256(abi.encode(CONSUMER, PAYLOAD_HASH))
            && keccak256(shown) == keccak256(right) && time <= expiry;
        assert(ok == allowed);
    }

    function check_VerifyPassesOnce(address caller, bytes32 action, uint64 later) external {
        bytes memory right = SVM.createBytes(32, "right");
        bytes memory shown = SVM.createBytes(32, "shown");
        IOtpVerifier.Ticket memory ticket = _issue(keccak256(right));
        vm.prank(SUBJECT);
        verifier.verify(ticket, keccak256(abi.encode(CONSUMER, PAYLOAD_HASH)), string(right));
        vm.assume(later >= block.timestamp);
        vm.warp(later);
        vm.prank(caller);
        (bool ok,) = address(verifier).call(abi.encodeCall(IOtpVerifier.verify, (ticket, action, string(shown))));
        assert(!ok);
        vm.prank(caller);
        (ok,) = address(verifier)
            .call(
                abi.encodeCall(IOtpVerifier.verifyAndConsume, (ticket, SUBJECT, PURPOSE, PAYLOAD_HASH, string(shown)))
            );
        assert(!ok);
    }

    function check_OnlyTheNamedConsumerSpendsAndOnce(address caller, address subject, bytes32 payloadHash, uint64 time)
        external
    {
        bytes memory right = SVM.createBytes(32, "right");
        IOtpVerifier.Ticket memory ticket = _issue(keccak256(right));
        vm.prank(SUBJECT);
        verifier.verify(ticket, keccak256(abi.encode(CONSUMER, PAYLOAD_HASH)), string(right));
        uint256 last = block.timestamp + 360;
        vm.assume(time >= block.timestamp);
        vm.warp(time);
        bytes memory data =
            abi.encodeCall(IOtpVerifier.consume, (ticket, subject, PURPOSE, payloadHash, keccak256(right)));
        vm.prank(caller);
        (bool ok,) = address(verifier).call(data);
        assert(ok == (caller == CONSUMER && subject == SUBJECT && payloadHash == PAYLOAD_HASH && time <= last));
        if (!ok) return;
        vm.prank(caller);
        (ok,) = address(verifier).call(data);
        assert(!ok);
    }

    /// @dev A ticket of a batch of one that lies about id, issuer, purpose or serial.
    function check_ALyingTicketIsUnknown(bytes32 id, address issuer, bytes32 purpose, uint40 serial) external {
        bytes memory right = SVM.createBytes(32, "right");
        IOtpVerifier.Ticket memory ticket = _issue(keccak256(right));
        bool truth = id == ticket.id && issuer == ISSUER && purpose == PURPOSE && serial == 0;
        (ticket.id, ticket.issuer, ticket.purpose, ticket.serial) = (id, issuer, purpose, serial);
        assert((verifier.statusOf(ticket) != IOtpVerifier.Status.Unknown) == truth);
    }
}
