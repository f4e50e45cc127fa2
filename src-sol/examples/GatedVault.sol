// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {OtpGated} from "../OtpGated.sol";
import {IOtpVerifier} from "../interfaces/IOtpVerifier.sol";

/// @title GatedVault
/// @notice Holds ether for its depositors, and pays out only against a one-time code that was issued for exactly this
/// withdrawal. An example of a consumer: copy it, and keep what the comments insist on.
contract GatedVault is OtpGated {
    /// @notice Ether came in.
    event Deposited(address indexed account, uint256 amount);
    /// @notice Ether went out; `nonce` is the one that the code was issued for.
    event Withdrawn(address indexed account, address indexed to, uint256 amount, uint256 nonce);

    /// @notice The account has `balance` wei and asked for `amount`.
    error InsufficientBalance(address account, uint256 balance, uint256 amount);
    /// @notice The recipient did not take the ether.
    error TransferFailed(address to, uint256 amount);

    /// @notice EIP-712 type of what a code authorises. Names and types are in the hash, so what the wallet shows is what
    /// is checked here.
    bytes32 public constant WITHDRAWAL_TYPEHASH = keccak256("Withdrawal(address to,uint256 amount,uint256 nonce)");

    /// @notice The purpose that this vault demands: a constant, or a code of a weaker policy would do.
    bytes32 public constant PURPOSE = "withdraw";

    /// @notice What each account holds, in wei.
    mapping(address account => uint256) public balanceOf;

    /// @notice A vault that trusts one verifier for good.
    /// @param verifier The OtpVerifier's proxy.
    constructor(IOtpVerifier verifier) OtpGated(verifier) {}

    /// @notice Adds to the sender's balance.
    function deposit() external payable {
        balanceOf[msg.sender] += msg.value;
        emit Deposited(msg.sender, msg.value);
    }

    /// @notice Pays out after `verify`: the second of two steps.
    /// @param to Who gets the ether.
    /// @param amount How much, in wei.
    /// @param ticket Names the verified code.
    /// @param codeHash The code's hash.
    function withdraw(address to, uint256 amount, IOtpVerifier.Ticket calldata ticket, bytes32 codeHash) external {
        uint256 nonce = _debit(amount);
        // the account whose ether moves is the sender, whose code this must be
        _consumeOtp(ticket, PURPOSE, payloadHashOf(to, amount, nonce), codeHash);
        _pay(to, amount, nonce);
    }

    /// @notice Verifies and pays out in one step.
    /// @param to Who gets the ether.
    /// @param amount How much, in wei.
    /// @param ticket Names the code.
    /// @param code The full code.
    function withdrawWithCode(address to, uint256 amount, IOtpVerifier.Ticket calldata ticket, string calldata code)
        external
    {
        uint256 nonce = _debit(amount);
        _verifyAndConsumeOtp(ticket, PURPOSE, payloadHashOf(to, amount, nonce), code);
        _pay(to, amount, nonce);
    }

    /// @notice EIP-712 hashStruct of the withdrawal.
    function payloadHashOf(address to, uint256 amount, uint256 nonce) public pure returns (bytes32) {
        return keccak256(abi.encode(WITHDRAWAL_TYPEHASH, to, amount, nonce));
    }

    /// @notice What a code for this withdrawal authorises: the `action` to ask a code for and to verify.
    function actionOf(address to, uint256 amount, uint256 nonce) external view returns (bytes32) {
        return _actionOf(payloadHashOf(to, amount, nonce));
    }

    /// @dev The effects, before any call leaves: a recipient that calls back finds its balance and its nonce gone.
    function _debit(uint256 amount) private returns (uint256 nonce) {
        uint256 balance = balanceOf[msg.sender];
        if (amount > balance) revert InsufficientBalance(msg.sender, balance, amount);
        balanceOf[msg.sender] = balance - amount;
        nonce = _useNonce();
    }

    function _pay(address to, uint256 amount, uint256 nonce) private {
        emit Withdrawn(msg.sender, to, amount, nonce);
        (bool paid,) = to.call{value: amount}("");
        if (!paid) revert TransferFailed(to, amount);
    }
}
