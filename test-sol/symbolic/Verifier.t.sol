// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {IVerifier} from "../utils/IVerifier.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {Test} from "forge-std/Test.sol";

/// @dev What of halmos' own cheat codes is used here.
interface Svm {
    function createCalldata(string memory contractName) external pure returns (bytes memory);
    function createBytes(uint256 size, string memory name) external pure returns (bytes memory);
    function snapshotStorage(address account) external view returns (uint256);
}

/// @notice Proofs over the byte code that is deployed, in the state that each function here sets up. PROOFS.md says what
/// they are bounded by.
contract VerifierProof is Test {
    Svm private constant SVM = Svm(address(uint160(uint256(keccak256("svm cheat code")))));

    address private constant GOVERNOR = address(0x60);
    address private constant GUARDIAN = address(0x61);
    address private constant ISSUER = address(0x70);
    address private constant OTHER_ISSUER = address(0x71);
    address private constant CONSUMER = address(0x80);
    address private constant SUBJECT = address(0x90);
    bytes32 private constant PURPOSE = "withdraw";
    bytes32 private constant PAYLOAD_HASH = keccak256("payload");
    /// @dev ERC-7201 slot of OpenZeppelin's Initializable: opened, so that the implementation is called itself.
    bytes32 private constant INITIALIZABLE = 0xf0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00;

    IVerifier private verifier;

    function setUp() external {
        vm.warp(1_700_000_000);
        // by its path: halmos takes a name for one below out/, where another build's may lie
        verifier = IVerifier(deployCode("target/symbolic/out/OtpVerifier.sol/OtpVerifier.json"));
        vm.store(address(verifier), INITIALIZABLE, 0);
        address[] memory issuers = new address[](2);
        (issuers[0], issuers[1]) = (ISSUER, OTHER_ISSUER);
        verifier.initialize(GOVERNOR, GUARDIAN, issuers);
        vm.prank(GOVERNOR);
        verifier.setPolicy(PURPOSE, IOtpVerifier.Policy(60, 300, 3, true));
    }

    // --- policies

    function check_PoliciesStayWithinTheBounds(address caller, bytes32 purpose, IOtpVerifier.Policy memory policy)
        external
    {
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

    /// @dev An issuer cannot end a pause, set a policy, or give or take a role.
    function check_AnIssuerGovernsNothing() external {
        bytes memory data = SVM.createCalldata("OtpVerifier");
        // its own role it may give up; setOtps puts the smaller hash of a pair first without a branch, which halmos cannot
        // follow, and shares all but its root with setOtp
        vm.assume(bytes4(data) != IAccessControl.renounceRole.selector && bytes4(data) != IOtpVerifier.setOtps.selector);
        vm.prank(ISSUER);
        (bool ok,) = address(verifier).call(data);
        ok;
        assert(!verifier.paused());
        assert(verifier.hasRole(keccak256("ISSUER_ROLE"), ISSUER));
        assert(verifier.hasRole(keccak256("ISSUER_ROLE"), OTHER_ISSUER));
        assert(!verifier.hasRole(keccak256("GUARDIAN_ROLE"), ISSUER));
        assert(!verifier.hasRole(keccak256("GOVERNOR_ROLE"), ISSUER));
        assert(!verifier.hasRole(bytes32(0), ISSUER));
        assert(verifier.policyOf(PURPOSE).ttl == 60);
        assert(verifier.nextSerial(OTHER_ISSUER, PURPOSE) == 0);
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
