// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title IOtpVerifier
/// @notice One-time codes on a public chain: an issuer commits to codes without showing them, a wallet shows one code
/// once, and the contract that the code names spends it once.
/// @dev Units: every time is in seconds since 1970 (block.timestamp), every ttl and grace in seconds.
///
/// Terms:
/// - subject: the wallet that a code is for. Only it can use the code.
/// - purpose: which policy applies; a short string, left-aligned ("login", "withdraw").
/// - serial: the code's number, counted up per issuer and purpose; each is taken once, ever.
/// - action: exactly what the code authorises, `keccak256(abi.encode(consumer, payloadHash))`; consumer is the zero
///   address where no contract spends it (a sign-in).
/// - codeHash: `keccak256(bytes(code))`. The code carries 128 random bits, so its hash gives nothing away. A code of
///   digits alone must never be issued: its hash is searched through in less than a second.
/// - id: see `computeId`. It commits to all of the above and reveals none.
/// - root: of the Merkle tree over the leaves `keccak256(abi.encode(purpose, uint256(serial), id))` of one issuance.
interface IOtpVerifier {
    /// @notice What holds for the codes of one purpose from now on; codes issued earlier keep what they got.
    /// @param ttl How long a code can be verified after the block that issued it, 30..600 seconds.
    /// @param grace How long after its expiry a verified code can still be consumed, 0..3600 seconds.
    /// @param maxAttempts How many wrong digits the issuer allows for a request, 1..5. The contract is where it is set;
    /// the issuer enforces it, since a counter on a chain never moves when guesses run in `eth_call`.
    /// @param enabled Whether codes can be issued.
    struct Policy {
        uint32 ttl;
        uint16 grace;
        uint8 maxAttempts;
        bool enabled;
    }

    /// @notice What a client needs beside the code to name one issued code. Public, and worthless without the code.
    /// @param id The commitment, see `computeId`.
    /// @param issuer Who issued it.
    /// @param purpose The purpose that it was issued for.
    /// @param serial Its number.
    /// @param proof The Merkle proof from its leaf to its batch's root; empty in a batch of one.
    struct Ticket {
        bytes32 id;
        address issuer;
        bytes32 purpose;
        uint40 serial;
        bytes32[] proof;
    }

    /// @notice What a code is now. `Verified` is said of a verified code past its grace as well.
    enum Status {
        Unknown,
        Issued,
        Expired,
        Verified,
        Consumed,
        Revoked
    }

    /// @notice An issuance: `size` codes with the serials from `first` on, good until `expiry` inclusive. The `OtpSet`s
    /// that follow in the same transaction, in order of serial, are its codes.
    event OtpBatchSet(
        bytes32 indexed root,
        address indexed issuer,
        bytes32 indexed purpose,
        uint256 first,
        uint256 size,
        uint64 expiry
    );

    /// @notice One code of the batch announced before it.
    /// @dev An id alone says nothing: another issuer can copy one from the mempool into a batch of its own, where it is
    /// worthless. Who reads logs matches the issuer of the batch event and the serial as well.
    event OtpSet(bytes32 indexed id, bytes32 indexed root, uint256 serial);

    /// @notice The subject showed the code.
    event OtpVerified(
        bytes32 indexed id, address indexed subject, bytes32 indexed action, address issuer, bytes32 purpose
    );

    /// @notice The consumer spent the code.
    event OtpConsumed(
        bytes32 indexed id, address indexed subject, address indexed consumer, address issuer, bytes32 purpose
    );

    /// @notice The code can neither be verified nor consumed any more.
    event OtpRevoked(bytes32 indexed id, address indexed issuer, address indexed by);

    /// @notice Every code of the batch that was not consumed by then can neither be verified nor consumed any more.
    event OtpBatchRevoked(bytes32 indexed root, address indexed issuer, address indexed by);

    /// @notice The policy of codes issued from now on.
    event PolicySet(bytes32 indexed purpose, Policy policy);

    /// @notice No such issuer issued this id with this purpose and serial, or the proof does not show it. From
    /// `revokeBatches` the value is the unknown root.
    error UnknownOtp(bytes32 id);

    /// @notice The id does not recompute: wrong wallet, wrong action or wrong code. Which one is not said.
    error WrongCode(bytes32 id);

    /// @notice `expiry` was the last second in which this call could have passed (with the grace, for `consume`).
    error OtpExpired(bytes32 id, uint256 expiry);

    /// @notice Verified already; from `consume`, consumed already.
    error OtpUsed(bytes32 id);

    /// @notice Revoked by its issuer or a guardian.
    error OtpIsRevoked(bytes32 id);

    /// @notice `consume` came before `verify`.
    error OtpNotVerified(bytes32 id);

    /// @notice The issuer has a batch with this root already.
    error DuplicateBatch(bytes32 root);

    /// @notice `first` is below the next serial, or further above it than 2^20, or runs past 2^40.
    error SerialUsed(uint256 first, uint256 next);

    /// @notice A batch has 1 to 80 codes.
    error BadBatchSize(uint256 size);

    /// @notice Mined after the time up to which the signer wanted it.
    error PastDeadline(uint256 deadline);

    /// @notice The ticket is for this purpose, and the consumer asked for another.
    error WrongPurpose(bytes32 purpose);

    /// @notice No codes are issued for this purpose.
    error PurposeDisabled(bytes32 purpose);

    /// @notice Outside of the bounds that governance cannot leave; see `Policy`.
    error PolicyOutOfBounds(Policy policy);

    /// @notice The signature is not the subject's for this `Verify`.
    error InvalidSignature(address subject);

    /// @notice Sets the roles, once, in the proxy's constructor.
    /// @dev Warning: a proxy that is created without this call belongs to whoever calls it first.
    /// @param governor Gets GOVERNOR_ROLE and DEFAULT_ADMIN_ROLE. Not zero.
    /// @param guardian Gets GUARDIAN_ROLE. Not zero.
    /// @param issuers Get ISSUER_ROLE. None is zero; may be empty.
    function initialize(address governor, address guardian, address[] calldata issuers) external;

    /// @notice Issues one code. For ISSUER_ROLE, while not paused.
    /// @dev Promises: the serial was never taken before by this issuer for this purpose, and never will be again; the
    /// code expires the policy's ttl after the block that includes this call, however late that is.
    /// @param purpose An enabled purpose.
    /// @param serial From `nextSerial` to 2^20 above it; the numbers passed over are gone for good.
    /// @param id The commitment, see `computeId`. Warning: not checked, it cannot be.
    /// @param deadline The last second in which the call passes.
    /// @return root The batch's root, here the code's leaf.
    function setOtp(bytes32 purpose, uint40 serial, bytes32 id, uint64 deadline) external returns (bytes32 root);

    /// @notice Issues 1 to 80 codes of one purpose at once, with the serials `first`, `first + 1`, ...
    /// @dev As `setOtp`. A code costs about 3,300 gas in a batch of 80 and about 63,000 alone.
    /// @param purpose An enabled purpose.
    /// @param first The first code's serial, from `nextSerial` to 2^20 above it.
    /// @param ids The commitments, in order of serial.
    /// @param deadline The last second in which the call passes.
    /// @return root The root of the tree over the leaves in order of serial: complete binary tree, node i over nodes
    /// 2i+1 and 2i+2, leaves in reverse order at the end of the array, pairs hashed in ascending order.
    function setOtps(bytes32 purpose, uint40 first, bytes32[] calldata ids, uint64 deadline)
        external
        returns (bytes32 root);

    /// @notice The subject shows its code. Passes once, up to and including the second of expiry, while not paused.
    /// @dev Returns true or reverts, so that no caller can pass over a false; a failed call changes nothing and counts
    /// nothing. Order of checks: unknown, revoked, used, expired, wrong code. Promise: copied calldata is worthless to
    /// anybody else.
    /// @param ticket Names the code.
    /// @param action What the code authorises.
    /// @param code The full code: digits and key.
    /// @return Always true.
    function verify(Ticket calldata ticket, bytes32 action, string calldata code) external returns (bool);

    /// @notice As `verify`, sent by anybody for a subject that signed for it; the sender only pays the gas.
    /// @dev EIP-712 `Verify(bytes32 id,bytes32 action,uint64 deadline)` in the domain that `eip712Domain` tells; ERC-1271
    /// where the subject has code. Checks pause, deadline and signature first. Warning for who waits for it: `OtpUsed`
    /// may mean that another sender was faster, which is success.
    /// @param subject The wallet that the code is for.
    /// @param ticket Names the code.
    /// @param action What the code authorises.
    /// @param code The full code.
    /// @param deadline The last second in which the signature holds.
    /// @param signature The subject's.
    /// @return Always true.
    function verifyFor(
        address subject,
        Ticket calldata ticket,
        bytes32 action,
        string calldata code,
        uint64 deadline,
        bytes calldata signature
    ) external returns (bool);

    /// @notice The contract that a verified code's action names spends it. Passes once, up to and including expiry +
    /// grace, while not paused.
    /// @dev The action is recomputed with `msg.sender` as consumer, so nobody else can spend the code. Order of checks:
    /// wrong purpose, unknown, revoked, consumed, not verified, past grace, wrong code.
    /// Warnings for consumers: `subject` is the account whose rights you use, authenticated by yourself, never a value
    /// that the caller chose; `purpose` is a constant of yours, or a code of a weaker policy would do; put a nonce into
    /// the payload where doing a thing twice would hurt.
    /// @param ticket Names the code.
    /// @param subject The account whose rights are used.
    /// @param purpose The purpose that the consumer demands.
    /// @param payloadHash EIP-712 hashStruct of what is done.
    /// @param codeHash The code's hash: the code itself was shown to `verify`.
    function consume(Ticket calldata ticket, address subject, bytes32 purpose, bytes32 payloadHash, bytes32 codeHash)
        external;

    /// @notice `verify` and `consume` in one call of the consumer.
    /// @dev Checks the purpose, then as `verify`; a code that was verified already reverts with `OtpUsed`. The warnings of
    /// `consume` hold. The consumer vouches for the subject: it must have been called by it.
    /// @param ticket Names the code.
    /// @param subject The account whose rights are used.
    /// @param purpose The purpose that the consumer demands.
    /// @param payloadHash EIP-712 hashStruct of what is done.
    /// @param code The full code.
    function verifyAndConsume(
        Ticket calldata ticket,
        address subject,
        bytes32 purpose,
        bytes32 payloadHash,
        string calldata code
    ) external;

    /// @notice Revokes codes: an issuer (ISSUER_ROLE) its own, GUARDIAN_ROLE any. Works while paused.
    /// @dev Passes over what is consumed or revoked already. All or nothing: an unknown ticket reverts the list.
    /// @param tickets Name the codes.
    function revoke(Ticket[] calldata tickets) external;

    /// @notice Sets the policy of codes issued from now on. For GOVERNOR_ROLE.
    /// @param purpose Any value.
    /// @param policy Within the bounds, enabled or not.
    function setPolicy(bytes32 purpose, Policy calldata policy) external;

    /// @notice Revokes every code of the batches that is not consumed: the issuer itself (while it has ISSUER_ROLE) or
    /// GUARDIAN_ROLE. Works while paused.
    /// @dev One slot update a batch, one event for each batch that it changes. All or nothing: an unknown root reverts the
    /// list, so that a mistyped root is not taken for a revoked one.
    /// @param issuer Whose batches.
    /// @param roots Which batches.
    function revokeBatches(address issuer, bytes32[] calldata roots) external;

    /// @notice Takes ISSUER_ROLE away, at once. For GUARDIAN_ROLE or GOVERNOR_ROLE. Passes when it does not hold it.
    /// @dev Warning: codes issued before stay good. An incident is pause, removeIssuer, revokeBatches, unpause.
    /// @param issuer Who issues no more.
    function removeIssuer(address issuer) external;

    /// @notice Stops issuing, verifying and consuming. For GUARDIAN_ROLE or GOVERNOR_ROLE.
    /// @dev Roles, revoking and the views go on. Warning: no clock stops, codes expire meanwhile.
    function pause() external;

    /// @notice Ends the pause. For GOVERNOR_ROLE.
    function unpause() external;

    /// @notice The commitment to a code: `keccak256(abi.encode(block.chainid, address(this), issuer, purpose,
    /// uint256(serial), subject, action, codeHash))`.
    /// @dev Warning: do not ask a node that you do not trust; the arguments tell it who wants what.
    /// @param issuer Who issues the code.
    /// @param purpose Its purpose.
    /// @param serial Its number.
    /// @param subject The wallet that it is for.
    /// @param action What it authorises.
    /// @param codeHash Its hash.
    /// @return The id.
    function computeId(
        address issuer,
        bytes32 purpose,
        uint40 serial,
        address subject,
        bytes32 action,
        bytes32 codeHash
    ) external view returns (bytes32);

    /// @notice What the ticket's code is now; `Unknown` for a ticket that proves nothing. Never reverts for a well-formed
    /// ticket.
    /// @dev Warning: it says nothing about who asks or what for. A consumer that goes by it instead of `consume` accepts
    /// anybody's code.
    /// @param ticket Names the code.
    /// @return Its status at this block's time.
    function statusOf(Ticket calldata ticket) external view returns (Status);

    /// @notice A batch as it is stored; all zero when there is none.
    /// @param issuer Whose batch.
    /// @param root Which batch.
    /// @return expiry The last second in which its codes verify.
    /// @return grace How many seconds longer they can be consumed.
    /// @return first Its first serial.
    /// @return states Two bits a code, from the lowest on, in order of serial: 0 issued, 1 verified, 2 consumed, 3
    /// revoked. Places past the batch's end say nothing.
    function batchOf(address issuer, bytes32 root)
        external
        view
        returns (uint40 expiry, uint16 grace, uint40 first, uint160 states);

    /// @notice The lowest serial that the issuer can still use for the purpose. Never falls.
    /// @param issuer Whose serials.
    /// @param purpose For which purpose; serials count per purpose.
    /// @return One above the highest serial issued; zero before the first.
    function nextSerial(address issuer, bytes32 purpose) external view returns (uint40);

    /// @notice The policy of codes issued now; all zero when none was set.
    /// @param purpose Any value.
    /// @return What `setPolicy` set last.
    function policyOf(bytes32 purpose) external view returns (Policy memory);

    /// @notice The implementation's version (semver).
    function version() external view returns (string memory);

    /// @notice Who can issue codes and revoke its own.
    function ISSUER_ROLE() external view returns (bytes32);

    /// @notice Who can pause, remove issuers and revoke: what protects, without delay.
    function GUARDIAN_ROLE() external view returns (bytes32);

    /// @notice Who can set policies and unpause: what loosens, behind the timelock.
    function GOVERNOR_ROLE() external view returns (bytes32);
}
