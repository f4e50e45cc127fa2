// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {Governance} from "./Governance.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";

/// @title Issuers
/// @notice What RevokeBatches and RotateIssuer share. In an incident addresses are typed in haste: one that was never an
/// issuer is refused, since "nothing to do" would be read as "it is over".
abstract contract Issuers is Governance {
    function _issues(address account) internal view returns (bool) {
        return IAccessControl(verifier).hasRole(IOtpVerifier(verifier).ISSUER_ROLE(), account);
    }

    /// @dev An issuer that was removed, by the guardian perhaps, is one all the same.
    function _checkWasIssuer(address account) internal {
        if (_issues(account) || _hasIssued(account) || _wasGranted(account)) return;
        revert Unfit("never issued and holds no role", account);
    }

    /// @dev By the serials, which need no logs, for the purposes that every deployment has.
    function _hasIssued(address account) private view returns (bool) {
        // A literal of five bytes fits.
        // forge-lint: disable-next-line(unsafe-typecast)
        bytes32[4] memory purposes = [bytes32("login"), "withdraw", "keys", "roles"];
        for (uint256 i = 0; i < purposes.length; ++i) {
            if (IOtpVerifier(verifier).nextSerial(account, purposes[i]) != 0) return true;
        }
        return false;
    }

    /// @dev Since the deployment, whatever FROM_BLOCK says: the role may be as old.
    function _wasGranted(address account) private returns (bool) {
        bytes32[] memory topics = new bytes32[](3);
        topics[0] = IAccessControl.RoleGranted.selector;
        topics[1] = IOtpVerifier(verifier).ISSUER_ROLE();
        topics[2] = bytes32(uint256(uint160(account)));
        return _logs(deploymentBlock, verifier, topics).length != 0;
    }
}
