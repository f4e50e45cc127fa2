// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "./interfaces/IOtpVerifier.sol";
import {Batch, Batches, Packed} from "./libraries/Batches.sol";
import {OtpHash} from "./libraries/OtpHash.sol";
import {OtpStorage} from "./libraries/OtpStorage.sol";
import {OtpTree} from "./libraries/OtpTree.sol";
import {AccessControlUpgradeable} from "@openzeppelin/contracts-upgradeable/access/AccessControlUpgradeable.sol";
import {Initializable} from "@openzeppelin/contracts-upgradeable/proxy/utils/Initializable.sol";
import {PausableUpgradeable} from "@openzeppelin/contracts-upgradeable/utils/PausableUpgradeable.sol";
import {EIP712Upgradeable} from "@openzeppelin/contracts-upgradeable/utils/cryptography/EIP712Upgradeable.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title OtpVerifier
/// @notice See IOtpVerifier for what each function promises.
/// @dev Reentrancy: the one call that leaves this contract is ERC-1271's staticcall in verifyFor, before any read that
/// it could make stale; a static context changes nothing here either.
contract OtpVerifier is IOtpVerifier, Initializable, AccessControlUpgradeable, PausableUpgradeable, EIP712Upgradeable {
    using Batches for Batch;
    using Batches for Packed;

    /// @inheritdoc IOtpVerifier
    bytes32 public constant ISSUER_ROLE = keccak256("ISSUER_ROLE");
    /// @inheritdoc IOtpVerifier
    bytes32 public constant GUARDIAN_ROLE = keccak256("GUARDIAN_ROLE");
    /// @inheritdoc IOtpVerifier
    bytes32 public constant GOVERNOR_ROLE = keccak256("GOVERNOR_ROLE");

    // a constant, under the name that the interface gives it
    /// @inheritdoc IOtpVerifier
    string public constant version = "1.0.0"; // solhint-disable-line const-name-snakecase

    uint256 private constant MIN_TTL = 30 seconds;
    uint256 private constant MAX_TTL = 600 seconds;
    uint256 private constant MAX_GRACE = 3600 seconds;
    uint256 private constant MAX_ATTEMPTS = 5;

    /// @dev How many serials one issuance may pass over: enough for any number of lost transactions, and one wrong number
    /// cannot use a purpose up.
    uint256 private constant MAX_SKIP = 2 ** 20;
    uint256 private constant SERIAL_END = 2 ** 40;

    bytes32 private constant VERIFY_TYPEHASH = keccak256("Verify(bytes32 id,bytes32 action,uint64 deadline)");

    /// @notice The implementation itself can never be initialized, and so never used.
    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    /// @inheritdoc IOtpVerifier
    function initialize(address governor, address guardian, address[] calldata issuers) external initializer {
        __EIP712_init("OtpVerifier", "1");
        _grantFirst(DEFAULT_ADMIN_ROLE, governor);
        _grantFirst(GOVERNOR_ROLE, governor);
        _grantFirst(GUARDIAN_ROLE, guardian);
        for (uint256 i = 0; i < issuers.length; ++i) {
            _grantFirst(ISSUER_ROLE, issuers[i]);
        }
    }

    // --- issuing

    /// @inheritdoc IOtpVerifier
    function setOtp(bytes32 purpose, uint40 serial, bytes32 id, uint64 deadline)
        external
        whenNotPaused
        onlyRole(ISSUER_ROLE)
        returns (bytes32 root)
    {
        Policy memory policy = _takeSerials(purpose, serial, 1, deadline);
        root = OtpHash.leafOf(purpose, serial, id);
        _storeBatch(root, purpose, serial, 1, policy);
        emit OtpSet(id, root, serial);
    }

    /// @inheritdoc IOtpVerifier
    function setOtps(bytes32 purpose, uint40 first, bytes32[] calldata ids, uint64 deadline)
        external
        whenNotPaused
        onlyRole(ISSUER_ROLE)
        returns (bytes32 root)
    {
        if (ids.length == 0 || ids.length > Batches.CAPACITY) revert BadBatchSize(ids.length);
        Policy memory policy = _takeSerials(purpose, first, ids.length, deadline);
        root = OtpTree.rootOf(purpose, first, ids);
        _storeBatch(root, purpose, first, ids.length, policy);
        OtpTree.emitEach(root, first, ids);
    }

    /// @dev Checks what can be checked without the root, and moves nextSerial on.
    function _takeSerials(bytes32 purpose, uint256 first, uint256 size, uint256 deadline)
        private
        returns (Policy memory policy)
    {
        if (_isPast(deadline)) revert PastDeadline(deadline);
        OtpStorage.Layout storage $ = OtpStorage.layout();
        policy = $.policies[purpose];
        if (!policy.enabled) revert PurposeDisabled(purpose);
        uint256 next = $.next[msg.sender][purpose];
        if (first < next || first > next + MAX_SKIP || first + size >= SERIAL_END) revert SerialUsed(first, next);
        // forge-lint: disable-next-line(unsafe-typecast)
        $.next[msg.sender][purpose] = uint40(first + size); // below SERIAL_END
    }

    /// @dev The serials in its leaves make a root new; that nothing is there is checked all the same, since to write over
    /// a batch would make its used codes good again.
    function _storeBatch(bytes32 root, bytes32 purpose, uint256 first, uint256 size, Policy memory policy) private {
        Batch storage batch = OtpStorage.layout().batches[msg.sender][root];
        if (batch.load().exists()) revert DuplicateBatch(root);
        uint256 expiry = block.timestamp + policy.ttl;
        // casts: seconds of the next 30,000 years; first is below SERIAL_END
        // forge-lint: disable-next-line(unsafe-typecast)
        batch.store(Batches.pack(uint40(expiry), policy.grace, uint40(first)));
        // forge-lint: disable-next-line(unsafe-typecast)
        emit OtpBatchSet(root, msg.sender, purpose, first, size, uint64(expiry));
    }

    // --- using

    /// @inheritdoc IOtpVerifier
    function verify(Ticket calldata ticket, bytes32 action, string calldata code)
        external
        whenNotPaused
        returns (bool)
    {
        _verify(ticket, msg.sender, action, code, Batches.VERIFIED);
        return true;
    }

    /// @inheritdoc IOtpVerifier
    function verifyFor(
        address subject,
        Ticket calldata ticket,
        bytes32 action,
        string calldata code,
        uint64 deadline,
        bytes calldata signature
    ) external whenNotPaused returns (bool) {
        if (_isPast(deadline)) revert PastDeadline(deadline);
        bytes32 digest = _hashTypedDataV4(keccak256(abi.encode(VERIFY_TYPEHASH, ticket.id, action, deadline)));
        if (!SignatureChecker.isValidSignatureNowCalldata(subject, digest, signature)) {
            revert InvalidSignature(subject);
        }
        _verify(ticket, subject, action, code, Batches.VERIFIED);
        return true;
    }

    /// @inheritdoc IOtpVerifier
    function consume(Ticket calldata ticket, address subject, bytes32 purpose, bytes32 payloadHash, bytes32 codeHash)
        external
        whenNotPaused
    {
        if (ticket.purpose != purpose) revert WrongPurpose(ticket.purpose);
        bytes32 id = ticket.id;
        (Batch storage slot, Packed batch, uint256 place) = _find(ticket);
        uint256 state = batch.stateAt(place);
        if (state == Batches.REVOKED) revert OtpIsRevoked(id);
        if (state == Batches.CONSUMED) revert OtpUsed(id);
        if (state == Batches.ISSUED) revert OtpNotVerified(id);
        uint256 last = batch.expiryOf() + batch.graceOf();
        if (_isPast(last)) revert OtpExpired(id, last);
        if (_idOf(ticket, subject, OtpHash.actionOf(msg.sender, payloadHash), codeHash) != id) revert WrongCode(id);
        slot.store(batch.withState(place, Batches.CONSUMED));
        emit OtpConsumed(id, subject, msg.sender, ticket.issuer, purpose);
    }

    /// @inheritdoc IOtpVerifier
    function verifyAndConsume(
        Ticket calldata ticket,
        address subject,
        bytes32 purpose,
        bytes32 payloadHash,
        string calldata code
    ) external whenNotPaused {
        if (ticket.purpose != purpose) revert WrongPurpose(ticket.purpose);
        _verify(ticket, subject, OtpHash.actionOf(msg.sender, payloadHash), code, Batches.CONSUMED);
        emit OtpConsumed(ticket.id, subject, msg.sender, ticket.issuer, purpose);
    }

    /// @dev The one way from issued to verified, or straight to consumed. `subject` is authenticated by the caller.
    function _verify(Ticket calldata ticket, address subject, bytes32 action, string calldata code, uint256 newState)
        private
    {
        bytes32 id = ticket.id;
        (Batch storage slot, Packed batch, uint256 place) = _find(ticket);
        uint256 state = batch.stateAt(place);
        if (state == Batches.REVOKED) revert OtpIsRevoked(id);
        if (state != Batches.ISSUED) revert OtpUsed(id);
        if (_isPast(batch.expiryOf())) revert OtpExpired(id, batch.expiryOf());
        if (_idOf(ticket, subject, action, OtpHash.codeHashOf(code)) != id) revert WrongCode(id);
        slot.store(batch.withState(place, newState));
        emit OtpVerified(id, subject, action, ticket.issuer, ticket.purpose);
    }

    // --- revoking

    /// @inheritdoc IOtpVerifier
    function revoke(Ticket[] calldata tickets) external {
        bool any = hasRole(GUARDIAN_ROLE, msg.sender);
        if (!any) _checkRole(ISSUER_ROLE);
        for (uint256 i = 0; i < tickets.length; ++i) {
            Ticket calldata ticket = tickets[i];
            if (!any && ticket.issuer != msg.sender) _checkRole(GUARDIAN_ROLE);
            (Batch storage slot, Packed batch, uint256 place) = _find(ticket);
            if (batch.stateAt(place) >= Batches.CONSUMED) continue;
            slot.store(batch.withState(place, Batches.REVOKED));
            emit OtpRevoked(ticket.id, ticket.issuer, msg.sender);
        }
    }

    /// @inheritdoc IOtpVerifier
    function revokeBatches(address issuer, bytes32[] calldata roots) external {
        if (!hasRole(GUARDIAN_ROLE, msg.sender)) _checkRole(msg.sender == issuer ? ISSUER_ROLE : GUARDIAN_ROLE);
        for (uint256 i = 0; i < roots.length; ++i) {
            Batch storage slot = OtpStorage.layout().batches[issuer][roots[i]];
            Packed batch = slot.load();
            if (!batch.exists()) revert UnknownOtp(roots[i]);
            Packed revoked = batch.withAllRevoked();
            if (Packed.unwrap(revoked) == Packed.unwrap(batch)) continue;
            slot.store(revoked);
            emit OtpBatchRevoked(roots[i], issuer, msg.sender);
        }
    }

    // --- governing

    /// @inheritdoc IOtpVerifier
    function setPolicy(bytes32 purpose, Policy calldata policy) external onlyRole(GOVERNOR_ROLE) {
        bool inBounds = policy.ttl >= MIN_TTL && policy.ttl <= MAX_TTL && policy.grace <= MAX_GRACE
            && policy.maxAttempts != 0 && policy.maxAttempts <= MAX_ATTEMPTS;
        if (!inBounds) revert PolicyOutOfBounds(policy);
        OtpStorage.layout().policies[purpose] = policy;
        emit PolicySet(purpose, policy);
    }

    /// @inheritdoc IOtpVerifier
    function removeIssuer(address issuer) external {
        _checkGuardianOrGovernor();
        _revokeRole(ISSUER_ROLE, issuer);
    }

    /// @inheritdoc IOtpVerifier
    function pause() external {
        _checkGuardianOrGovernor();
        _pause();
    }

    /// @inheritdoc IOtpVerifier
    function unpause() external onlyRole(GOVERNOR_ROLE) {
        _unpause();
    }

    // --- reading

    /// @inheritdoc IOtpVerifier
    function computeId(
        address issuer,
        bytes32 purpose,
        uint40 serial,
        address subject,
        bytes32 action,
        bytes32 codeHash
    ) external view returns (bytes32) {
        return OtpHash.idOf(issuer, purpose, serial, subject, action, codeHash);
    }

    /// @inheritdoc IOtpVerifier
    function statusOf(Ticket calldata ticket) external view returns (Status) {
        (bool found,, Packed batch, uint256 place) = _locate(ticket);
        if (!found) return Status.Unknown;
        uint256 state = batch.stateAt(place);
        if (state == Batches.REVOKED) return Status.Revoked;
        if (state == Batches.CONSUMED) return Status.Consumed;
        if (state == Batches.VERIFIED) return Status.Verified;
        return _isPast(batch.expiryOf()) ? Status.Expired : Status.Issued;
    }

    /// @inheritdoc IOtpVerifier
    function batchOf(address issuer, bytes32 root)
        external
        view
        returns (uint40 expiry, uint16 grace, uint40 first, uint160 states)
    {
        Batch memory batch = OtpStorage.layout().batches[issuer][root];
        return (batch.expiry, batch.grace, batch.first, batch.states);
    }

    /// @inheritdoc IOtpVerifier
    function nextSerial(address issuer, bytes32 purpose) external view returns (uint40) {
        return OtpStorage.layout().next[issuer][purpose];
    }

    /// @inheritdoc IOtpVerifier
    function policyOf(bytes32 purpose) external view returns (Policy memory) {
        return OtpStorage.layout().policies[purpose];
    }

    // --- internal

    /// @dev The batch that the ticket proves itself into, and its place there.
    function _locate(Ticket calldata ticket)
        private
        view
        returns (bool found, Batch storage slot, Packed batch, uint256 place)
    {
        bytes32 leaf = OtpHash.leafOf(ticket.purpose, ticket.serial, ticket.id);
        slot = OtpStorage.layout().batches[ticket.issuer][MerkleProof.processProofCalldata(ticket.proof, leaf)];
        batch = slot.load();
        unchecked {
            // a serial below first wraps round to a place far too high
            place = uint256(ticket.serial) - batch.firstOf();
        }
        // The leaf holds the serial, so a proof into a stored root puts it into the batch; the place is checked all the
        // same, since one too high would reach other bits of the slot.
        found = batch.exists() && place < Batches.CAPACITY;
    }

    function _find(Ticket calldata ticket) private view returns (Batch storage slot, Packed batch, uint256 place) {
        bool found;
        (found, slot, batch, place) = _locate(ticket);
        if (!found) revert UnknownOtp(ticket.id);
    }

    /// @dev What the ticket's id must be.
    function _idOf(Ticket calldata ticket, address subject, bytes32 action, bytes32 codeHash)
        private
        view
        returns (bytes32)
    {
        return OtpHash.idOf(ticket.issuer, ticket.purpose, ticket.serial, subject, action, codeHash);
    }

    /// @dev At its last second everything still passes. Windows are 30 s at least, and no proposer can move a block's time
    /// by a second without its slot.
    function _isPast(uint256 last) private view returns (bool) {
        // forge-lint: disable-next-line(block-timestamp)
        return block.timestamp > last;
    }

    function _grantFirst(bytes32 role, address account) private {
        if (account == address(0)) revert AccessControlUnauthorizedAccount(account, role);
        _grantRole(role, account);
    }

    function _checkGuardianOrGovernor() private view {
        if (!hasRole(GOVERNOR_ROLE, msg.sender)) _checkRole(GUARDIAN_ROLE);
    }
}
