// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Step} from "./Governance.sol";
import {Implementations} from "./Upgrade.s.sol";

/// @title RollBack
/// @notice Changes the implementation back, behind the delay: without argument to the one that DEPLOY_OUT names, the
/// first. Whether an older one understands what a newer one stored is for whoever writes the newer one to see to. While the
/// delay runs, `Pause` protects at once.
contract RollBack is Implementations {
    /// @notice To the first implementation: two transactions.
    function run() external connected returns (Step[] memory) {
        return _change("roll-back", vm.parseJsonAddress(vm.readFile(vm.envString("DEPLOY_OUT")), ".implementation"));
    }

    /// @notice To an implementation that stood here after the first one.
    function run(address previous) external connected returns (Step[] memory) {
        return _change("roll-back", previous);
    }
}
