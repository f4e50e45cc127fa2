// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {OtpGated} from "../OtpGated.sol";
import {IOtpVerifier} from "../interfaces/IOtpVerifier.sol";
import {AccessControl} from "@openzeppelin/contracts/access/AccessControl.sol";

/// @title GatedRoles
/// @notice OpenZeppelin's roles, granted only against a one-time code of the admin who grants: who steals an admin's
/// wallet key cannot make himself or a friend anything. Taking a role away protects, and needs no code.
contract GatedRoles is AccessControl, OtpGated {
    /// @notice The way without a code is shut: call `grantRoleWithCode`.
    error CodeNeeded();

    /// @notice EIP-712 type of what a code authorises.
    bytes32 public constant ROLE_GRANT_TYPEHASH = keccak256("RoleGrant(bytes32 role,address account,uint256 nonce)");

    /// @notice The purpose that a grant demands.
    bytes32 public constant PURPOSE = "roles";

    constructor(IOtpVerifier verifier, address admin) OtpGated(verifier) {
        _grantRole(DEFAULT_ADMIN_ROLE, admin);
    }

    /// @notice Grants a role in one step. For the role's admin, with its code.
    function grantRoleWithCode(bytes32 role, address account, IOtpVerifier.Ticket calldata ticket, string calldata code)
        external
        onlyRole(getRoleAdmin(role))
        onlyWithCode(ticket, PURPOSE, payloadHashOf(role, account, _useNonce()), code)
    {
        _grantRole(role, account);
    }

    /// @notice Always reverts: it would be a way around.
    function grantRole(bytes32, address) public pure override {
        revert CodeNeeded();
    }

    /// @notice EIP-712 hashStruct of the grant.
    function payloadHashOf(bytes32 role, address account, uint256 nonce) public pure returns (bytes32) {
        return keccak256(abi.encode(ROLE_GRANT_TYPEHASH, role, account, nonce));
    }

    /// @notice The `action` to ask a code for and to verify.
    function actionOf(bytes32 role, address account, uint256 nonce) external view returns (bytes32) {
        return _actionOf(payloadHashOf(role, account, nonce));
    }
}
