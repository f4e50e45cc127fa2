// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {Governance, Step} from "./Governance.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";

/// @title RotateIssuer
/// @notice Puts one issuer in another's place.
/// @dev A standby holds the role already: then the old issuer goes at once, in one transaction. A new one is granted the
/// role behind the delay, and the old one goes in the same transaction. A stolen key does not wait for that: `remove`.
/// Codes that the old issuer issued stay good; a stolen key's batches are revoked by `revokeBatches`.
contract RotateIssuer is Governance {
    /// @notice One transaction when `fresh` issues already, two otherwise.
    function run(address old, address fresh) external connected returns (Step[] memory) {
        if (fresh == address(0) || fresh == old) revert Unfit("new issuer", fresh);
        if (safe.isOwner(fresh)) revert Unfit("new issuer is an owner of the Safe", fresh);
        if (!_issues(old)) revert Unfit("old issuer holds no role", old);
        if (_issues(fresh)) return _remove(old);

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
        if (!_issues(old)) revert NothingToDo("no issuer");
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

    function _issues(address account) private view returns (bool) {
        return IAccessControl(verifier).hasRole(IOtpVerifier(verifier).ISSUER_ROLE(), account);
    }
}
