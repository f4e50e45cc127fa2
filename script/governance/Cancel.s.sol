// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Governance, Step} from "./Governance.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";

/// @title Cancel
/// @notice Takes a proposal back before it is executed, at once. Its id is printed by the script that made it, and is in
/// the timelock's CallScheduled event.
contract Cancel is Governance {
    /// @notice One transaction.
    function run(bytes32 id) external connected returns (Step[] memory) {
        if (!timelock.isOperationPending(id)) revert NothingToDo("the timelock knows no such proposal that waits");
        return _atOnce(
            "cancel",
            string.concat("Cancels operation ", vm.toString(id), "."),
            address(timelock),
            abi.encodeCall(TimelockController.cancel, (id))
        );
    }
}
