// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {Step} from "./Governance.sol";
import {Issuers} from "./Issuers.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";

/// @title RotateIssuer
/// @notice Puts one issuer in another's place.
/// @dev A standby holds the role already: then the old issuer goes at once, in one transaction. A new one is granted the
/// role behind the delay, and the old one goes in the same transaction. A stolen key does not wait for that: `remove`,
/// before or after the proposal; the proposal stays what it is, since to remove a removed issuer changes nothing.
/// Codes that the old issuer issued stay good; a stolen key's batches are revoked by `revokeBatches`.
contract RotateIssuer is Issuers {
    /// @notice One transaction when `fresh` issues already, two otherwise.
    function run(address old, address fresh) external connected returns (Step[] memory) {
        if (fresh == address(0) || fresh == old) revert Unfit("new issuer", fresh);
        _checkHoldsNothingElse(fresh);
        _checkWasIssuer(old);
        if (_issues(fresh)) {
            if (!_issues(old)) revert NothingToDo("the new issuer issues, the old one does not");
            return _remove(old);
        }

        (address[] memory targets, bytes[] memory payloads) = (new address[](2), new bytes[](2));
        (targets[0], targets[1]) = (verifier, verifier);
        payloads[0] = abi.encodeCall(IAccessControl.grantRole, (IOtpVerifier(verifier).ISSUER_ROLE(), fresh));
        payloads[1] = abi.encodeCall(IOtpVerifier.removeIssuer, (old));
        return _throughTimelock(
            "rotate-issuer",
            string.concat("Issuer ", vm.toString(fresh), " takes the place of ", vm.toString(old), "."),
            targets,
            payloads
        );
    }

    /// @notice Takes an issuer's role away at once, for a key that is lost or stolen.
    function remove(address old) external connected returns (Step[] memory) {
        _checkWasIssuer(old);
        if (!_issues(old)) revert NothingToDo("no issuer any more");
        return _remove(old);
    }

    function _remove(address old) private returns (Step[] memory) {
        return _atOnce(
            "remove-issuer",
            string.concat("Issuer ", vm.toString(old), " issues no more. Its live codes stay good."),
            verifier,
            abi.encodeCall(IOtpVerifier.removeIssuer, (old))
        );
    }

    /// @dev Powers that are kept apart, as in the deployment.
    function _checkHoldsNothingElse(address fresh) private view {
        if (fresh == address(safe) || safe.isOwner(fresh)) revert Unfit("new issuer is the Safe or an owner", fresh);
        if (fresh == address(timelock)) revert Unfit("new issuer is the timelock", fresh);
        IOtpVerifier v = IOtpVerifier(verifier);
        bytes32[3] memory roles = [bytes32(0), v.GOVERNOR_ROLE(), v.GUARDIAN_ROLE()];
        for (uint256 i = 0; i < roles.length; ++i) {
            if (IAccessControl(verifier).hasRole(roles[i], fresh)) {
                revert Unfit("new issuer is admin, governor or guardian", fresh);
            }
        }
    }
}
