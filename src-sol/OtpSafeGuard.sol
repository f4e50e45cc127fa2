// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "./interfaces/IOtpVerifier.sol";
import {ISafe} from "./interfaces/ISafe.sol";
import {BaseGuard} from "@safe-global/safe-contracts/contracts/base/GuardManager.sol";
import {Enum} from "@safe-global/safe-contracts/contracts/common/Enum.sol";

// checkTransaction's bytes are in memory, since in calldata each takes a stack slot more than there is
// solhint-disable gas-calldata-parameters

/// @title OtpSafeGuard
/// @notice A transaction guard (Safe 1.4.1) for any number of Safes: beside the owners' signatures, each transaction needs
/// a one-time code, shown by an approver that the Safe names, and bound to the hash of exactly this transaction.
/// @dev How a Safe begins: `configure`, then `setGuard(this)`; best both in one MultiSend.
///
/// How a transaction passes: the approver asks for a code for `actionOf(safe, safeTxHash)` and calls `approve` with it.
/// The approval is used up by the execution, and dies after 24 h. The approver is never the Safe itself, whose call to
/// approve would need approval. It sees only a hash: compare it with what the Safe's own interface shows.
///
/// What needs no code: plain payments that stay, over a period of a day, within a limit that the Safe sets (none by
/// default; two periods can meet, so any 24 h can see nearly twice as much); the Safe's empty transaction to itself, by
/// which its owners void a nonce; and the way out. Everything else does: calls with data, delegatecalls, gas refunds,
/// changes of the Safe, its modules, its guard and these settings.
///
/// The way out, since a guard can brick a Safe (a lost approver, a paused or dead verifier): the owners execute
/// `requestRemoval`, wait three days, and within seven more execute `setGuard(0)`; neither needs a code. The approver
/// cannot stop it, or a stolen approver key would brick the Safe. Who has stolen the owners' keys can go this way too:
/// watch `RemovalRequested`. In these three days whoever has owners' keys and a code is alone in being able to move
/// anything, and that is the owners.
///
/// Warning: it sees the Safe's own transactions and nothing else. What modules do passes no guard: `configure` refuses a
/// Safe that has one, and to enable one takes a code. Nor does what the owners sign off the chain in the Safe's name
/// (ERC-1271: a token's permit, an order), nor what is drawn from an allowance given before.
contract OtpSafeGuard is BaseGuard {
    /// @notice The Safe asks this approver from now on; plain payments up to `limit` wei in a period of a day need no code,
    /// which in any 24 h are less than twice as much. A removal asked for before is void.
    event Configured(address indexed safe, address indexed approver, uint256 limit);
    /// @notice The transaction can be executed until `until`, once.
    event Approved(address indexed safe, bytes32 indexed safeTxHash, address indexed approver, uint256 until);
    /// @notice The guard can be removed without a code from `from` to `until`. Warning: the owners did this, or a thief of
    /// their keys.
    event RemovalRequested(address indexed safe, uint256 from, uint256 until);
    /// @notice It cannot any more.
    event RemovalCancelled(address indexed safe);

    /// @notice Not an approver: zero, or the Safe itself.
    error BadApprover(address approver);
    /// @notice The Safe has this module, which could pass the guard by.
    error HasModule(address module);
    /// @notice This is not the Safe's guard, so there is nothing to remove.
    error NotGuard(address safe);
    /// @notice The Safe names another approver, or none.
    error NotApprover(address safe, address caller);
    /// @notice No code was shown for this transaction, or more than 24 h ago.
    error NotApproved(address safe, bytes32 safeTxHash);

    /// @notice EIP-712 type of what a code authorises.
    bytes32 public constant SAFE_TRANSACTION_TYPEHASH = keccak256("SafeTransaction(address safe,bytes32 safeTxHash)");

    /// @notice How long an approval lasts.
    uint256 public constant APPROVAL_LIFETIME = 24 hours;
    /// @notice How long a removal waits.
    uint256 public constant REMOVAL_DELAY = 3 days;
    /// @notice How long it can be executed then, so that a forgotten request does not leave the door open.
    uint256 public constant REMOVAL_WINDOW = 7 days;
    /// @notice Over which time payments count towards the limit, from the first one on.
    uint256 public constant LIMIT_PERIOD = 1 days;

    /// @dev What one Safe has set, and what it has paid without a code in the period that ends with `periodEnd`. Each
    /// execution reads the first slot before it asks for `removableFrom` there.
    struct Settings {
        address approver;
        uint48 removableFrom;
        uint48 periodEnd;
        uint256 limit;
        uint256 spent;
    }

    /// @dev Where a Safe keeps its guard.
    bytes32 private constant _GUARD_SLOT = keccak256("guard_manager.guard.address");

    /// @notice Where codes are checked.
    IOtpVerifier public immutable VERIFIER;
    /// @notice The purpose that an approval demands.
    bytes32 public immutable PURPOSE;

    /// @notice What each Safe has set.
    mapping(address safe => Settings) public settingsOf;

    /// @notice Until when an approver's word for a transaction holds; zero when there is none. Keyed by approver, so that
    /// what a replaced one approved is void for as long as another is named: named again within 24 h, its word holds again.
    mapping(address safe => mapping(address approver => mapping(bytes32 safeTxHash => uint256))) public approvedUntil;

    /// @notice A guard that trusts one verifier for good.
    /// @param verifier The OtpVerifier's proxy.
    /// @param purpose One that has a policy there.
    constructor(IOtpVerifier verifier, bytes32 purpose) {
        VERIFIER = verifier;
        PURPOSE = purpose;
    }

    // --- for the Safe

    /// @notice Sets the calling Safe's approver and limit, and forgets a removal that was asked for. Under the guard this
    /// takes a code of the approver before.
    /// @param approver Whose codes count: not the Safe itself.
    /// @param limit How many wei the Safe can pay without a code in a day that begins with a payment, in payments without
    /// data; zero for none. Warning: at the end of one such day and the beginning of the next it can pay as much each, so
    /// any 24 h can see up to `2 * limit - 1`.
    function configure(address approver, uint256 limit) external {
        if (approver == address(0) || approver == msg.sender) revert BadApprover(approver);
        (address[] memory modules,) = ISafe(msg.sender).getModulesPaginated(address(1), 1);
        if (modules.length != 0) revert HasModule(modules[0]);
        Settings storage settings = settingsOf[msg.sender];
        (settings.approver, settings.removableFrom, settings.limit) = (approver, 0, limit);
        emit Configured(msg.sender, approver, limit);
    }

    /// @notice Begins the way out, for the calling Safe; needs no code. Again, it begins anew. Only under the guard, so that
    /// a request is never older than the guard that it removes.
    function requestRemoval() external {
        if (!_isGuardOf(msg.sender)) revert NotGuard(msg.sender);
        uint48 from = _after(REMOVAL_DELAY);
        settingsOf[msg.sender].removableFrom = from;
        emit RemovalRequested(msg.sender, from, from + REMOVAL_WINDOW);
    }

    /// @notice Ends the way out, for the calling Safe. Under the guard this takes a code.
    function cancelRemoval() external {
        settingsOf[msg.sender].removableFrom = 0;
        emit RemovalCancelled(msg.sender);
    }

    // --- for the approver

    /// @notice Approves one transaction of a Safe, with a code for exactly this.
    /// @param safe Whose transaction.
    /// @param safeTxHash The hash that the owners sign.
    /// @param ticket Names the code.
    /// @param code The full code.
    function approve(address safe, bytes32 safeTxHash, IOtpVerifier.Ticket calldata ticket, string calldata code)
        external
    {
        if (settingsOf[safe].approver != msg.sender) revert NotApprover(safe, msg.sender);
        uint256 until = block.timestamp + APPROVAL_LIFETIME;
        approvedUntil[safe][msg.sender][safeTxHash] = until;
        emit Approved(safe, safeTxHash, msg.sender, until);
        VERIFIER.verifyAndConsume(ticket, msg.sender, PURPOSE, payloadHashOf(safe, safeTxHash), code);
    }

    /// @notice EIP-712 hashStruct of the approval.
    function payloadHashOf(address safe, bytes32 safeTxHash) public pure returns (bytes32) {
        return keccak256(abi.encode(SAFE_TRANSACTION_TYPEHASH, safe, safeTxHash));
    }

    /// @notice What a code for this transaction authorises: the `action` to ask a code for.
    function actionOf(address safe, bytes32 safeTxHash) external view returns (bytes32) {
        return keccak256(abi.encode(address(this), payloadHashOf(safe, safeTxHash)));
    }

    // --- for the Safe's execution

    /// @notice Called by the Safe before it executes: passes when the transaction needs no code, or uses up its approval.
    /// @dev Anybody can call it, and touches nothing but what is stored under its own address.
    function checkTransaction(
        address to,
        uint256 value,
        bytes memory data,
        Enum.Operation operation,
        uint256 safeTxGas,
        uint256 baseGas,
        uint256 gasPrice,
        address gasToken,
        address payable refundReceiver,
        bytes memory,
        address
    ) external override {
        // a refund is a payment to whoever sends the transaction, of any height
        if (operation == Enum.Operation.Call && gasPrice == 0 && _needsNoCode(to, value, data)) return;
        _useApproval(
            ISafe(msg.sender)
                .getTransactionHash(
                    to,
                    value,
                    data,
                    operation,
                    safeTxGas,
                    baseGas,
                    gasPrice,
                    gasToken,
                    refundReceiver,
                    ISafe(msg.sender).nonce() - 1 // it has been counted up already
                )
        );
    }

    /// @notice Called by the Safe after it executed: when that took the guard away, by whichever call, a request goes with
    /// it. Set again, the guard begins anew.
    function checkAfterExecution(bytes32, bool) external override {
        Settings storage settings = settingsOf[msg.sender];
        if (settings.removableFrom != 0 && !_isGuardOf(msg.sender)) settings.removableFrom = 0;
    }

    function _useApproval(bytes32 safeTxHash) private {
        address approver = settingsOf[msg.sender].approver;
        uint256 until = approvedUntil[msg.sender][approver][safeTxHash];
        if (_isPast(until)) revert NotApproved(msg.sender, safeTxHash);
        delete approvedUntil[msg.sender][approver][safeTxHash];
    }

    /// @dev A plain call without refund.
    function _needsNoCode(address to, uint256 value, bytes memory data) private returns (bool) {
        Settings storage settings = settingsOf[msg.sender];
        if (to == address(this)) {
            // A Safe that set the guard and forgot to configure it can do so now. The guard takes no ether.
            if (settings.approver == address(0)) return true;
            // forge-lint: disable-next-line(unsafe-typecast)
            return bytes4(data) == this.requestRemoval.selector; // the first four bytes are what is meant
        }
        if (to == msg.sender) return data.length == 0 || (_isRemoval(data) && _isRemovable(settings));
        return data.length == 0 && _isWithinLimit(settings, value);
    }

    function _isRemoval(bytes memory data) private pure returns (bool) {
        return keccak256(data) == keccak256(abi.encodeCall(ISafe.setGuard, (address(0))));
    }

    function _isRemovable(Settings storage settings) private view returns (bool) {
        uint256 from = settings.removableFrom;
        // removable from `from` on: not before, not after the window, and never when nobody asked
        return from != 0 && _isPast(from - 1) && !_isPast(from + REMOVAL_WINDOW);
    }

    function _isGuardOf(address safe) private view returns (bool) {
        return abi.decode(ISafe(safe).getStorageAt(uint256(_GUARD_SLOT), 1), (address)) == address(this);
    }

    /// @dev Counts the payment when it is.
    function _isWithinLimit(Settings storage settings, uint256 value) private returns (bool) {
        uint256 limit = settings.limit;
        uint256 spent = settings.spent;
        if (_isPast(settings.periodEnd)) spent = 0;
        if (limit == 0 || value > limit || spent > limit - value) return false;
        if (spent == 0) settings.periodEnd = _after(LIMIT_PERIOD);
        settings.spent = spent + value;
        return true;
    }

    function _after(uint256 delay) private view returns (uint48) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint48(block.timestamp + delay); // seconds have room there for millions of years
    }

    /// @dev At its last second everything still passes. Windows are a day at least, and no proposer moves a block's time
    /// by more than seconds.
    function _isPast(uint256 last) private view returns (bool) {
        // forge-lint: disable-next-line(block-timestamp)
        return block.timestamp > last;
    }
}
