// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {DeployConfigs} from "../DeployConfig.sol";
import {Governance, Step} from "./Governance.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {ProxyAdmin} from "@openzeppelin/contracts/proxy/transparent/ProxyAdmin.sol";
import {Vm} from "forge-std/Vm.sol";

/// @title Cancel
/// @notice Takes a proposal back before it is executed, at once, and says what it would have done. Its id is printed by the
/// script that made it, and is in the timelock's CallScheduled event.
contract Cancel is Governance {
    /// @notice One transaction.
    function run(bytes32 id) external connected returns (Step[] memory) {
        if (!timelock.isOperationPending(id)) revert NothingToDo("the timelock knows no such proposal that waits");
        return _atOnce(
            "cancel",
            string.concat("Cancels operation ", vm.toString(id), ":", _calls(id)),
            address(timelock),
            abi.encodeCall(TimelockController.cancel, (id))
        );
    }

    /// @dev By the logs since FROM_BLOCK. That they do not show it must not keep anybody from cancelling.
    function _calls(bytes32 id) private returns (string memory words) {
        bytes32[] memory topics = new bytes32[](2);
        (topics[0], topics[1]) = (TimelockController.CallScheduled.selector, id);
        Vm.EthGetLogs[] memory logs = _logs(_fromBlock(), address(timelock), topics);
        if (logs.length == 0) return " the logs do not show what it does.";
        for (uint256 i = 0; i < logs.length; ++i) {
            (address target,, bytes memory data,,) =
                abi.decode(logs[i].data, (address, uint256, bytes, bytes32, uint256));
            words = string.concat(words, i == 0 ? " " : "; ", _call(target, data));
        }
        words = string.concat(words, ".");
    }

    /// @dev What this folder's scripts propose, in words; anything else as it is.
    function _call(address target, bytes memory data) private view returns (string memory) {
        // forge-lint: disable-next-line(unsafe-typecast)
        bytes4 selector = bytes4(data); // the first four bytes, as the callee reads them
        bytes memory arguments = _tail(data);
        if (target == verifier && selector == IOtpVerifier.unpause.selector) return "unpause";
        if (target == verifier && selector == IOtpVerifier.removeIssuer.selector) {
            return string.concat("removeIssuer ", vm.toString(abi.decode(arguments, (address))));
        }
        if (target == verifier && selector == IAccessControl.grantRole.selector) {
            (bytes32 role, address account) = abi.decode(arguments, (bytes32, address));
            return string.concat("grantRole ", _role(role), " to ", vm.toString(account));
        }
        if (target == verifier && selector == IOtpVerifier.setPolicy.selector) {
            (bytes32 purpose, IOtpVerifier.Policy memory policy) = abi.decode(arguments, (bytes32, IOtpVerifier.Policy));
            return string.concat("setPolicy ", vm.toString(purpose), " to ", DeployConfigs.words(policy));
        }
        if (target == proxyAdmin && selector == ProxyAdmin.upgradeAndCall.selector) {
            (, address implementation, bytes memory call) = abi.decode(arguments, (address, address, bytes));
            return string.concat("upgrade to ", vm.toString(implementation), " with call ", vm.toString(call));
        }
        return string.concat("call of ", vm.toString(target), " with ", vm.toString(data));
    }

    function _role(bytes32 role) private view returns (string memory) {
        return role == IOtpVerifier(verifier).ISSUER_ROLE() ? "ISSUER_ROLE" : vm.toString(role);
    }

    function _tail(bytes memory data) private pure returns (bytes memory tail) {
        if (data.length < 4) return tail;
        tail = new bytes(data.length - 4);
        for (uint256 i = 0; i < tail.length; ++i) {
            tail[i] = data[i + 4];
        }
    }
}
