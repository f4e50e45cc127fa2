// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Step} from "./Governance.sol";
import {Implementations} from "./Implementations.sol";

/// @title RollBack
/// @notice Changes the implementation back, behind the delay: without argument to the one that DEPLOY_OUT names, the
/// first. The rehearsal shows that it reads what the present one stores; what the present one added, an older one does not
/// know. While the delay runs, `Pause` protects at once.
///
///     … RollBack.s.sol --sig 'run()'                         to the first
///     … RollBack.s.sol --sig 'run(address)' IMPLEMENTATION   to one that stood here after it
contract RollBack is Implementations {
    /// @notice To the first implementation: two transactions.
    function run() external connected returns (Step[] memory) {
        return
            _change("roll-back", vm.parseJsonAddress(vm.readFile(vm.envString("DEPLOY_OUT")), ".implementation"), false);
    }

    /// @notice To an implementation that stood here after the first one.
    function run(address previous) external connected returns (Step[] memory) {
        return _change("roll-back", previous, false);
    }

    /// @notice The same where the present implementation may be broken: it is asked nothing, and what it stored is not
    /// compared. `… --sig 'run(address,bool)' IMPLEMENTATION true`
    function run(address previous, bool presentIsBroken) external connected returns (Step[] memory) {
        return _change("roll-back", previous, presentIsBroken);
    }
}
