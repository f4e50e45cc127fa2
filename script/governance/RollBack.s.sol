// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Step} from "./Governance.sol";
import {Implementations} from "./Implementations.sol";
import {IERC1967} from "@openzeppelin/contracts/interfaces/IERC1967.sol";

/// @title RollBack
/// @notice Changes the implementation back, behind the delay: without argument to the one that DEPLOY_OUT names, the
/// first. The rehearsal shows that it reads what the present one stores; what the present one added, an older one does not
/// know. While the delay runs, `Pause` protects at once. It takes no implementation that the verifier never had: back is
/// the way for what was reviewed and voted in once. The logs since DEPLOY_OUT's block say what it had (FROM_BLOCK, on a
/// node that limits the range: the block in which that one came, or an earlier one).
///
///     … RollBack.s.sol --sig 'run()'                         to the first
///     … RollBack.s.sol --sig 'run(address)' IMPLEMENTATION   to one that stood here after it
contract RollBack is Implementations {
    /// @notice To the first implementation: two transactions.
    function run() external connected returns (Step[] memory) {
        return _back(firstImplementation, false);
    }

    /// @notice To an implementation that stood here after the first one.
    function run(address previous) external connected returns (Step[] memory) {
        return _back(previous, false);
    }

    /// @notice The same where the present implementation may be broken: it is asked nothing, and what it stored is not
    /// compared. `… --sig 'run(address,bool)' IMPLEMENTATION true`
    function run(address previous, bool presentIsBroken) external connected returns (Step[] memory) {
        return _back(previous, presentIsBroken);
    }

    function _back(address previous, bool presentIsBroken) private returns (Step[] memory) {
        if (!_stoodHere(previous)) revert Unfit("implementation that the verifier never had", previous);
        return _change("roll-back", previous, presentIsBroken);
    }

    function _stoodHere(address implementation) private returns (bool) {
        if (implementation == firstImplementation) return true;
        bytes32[] memory topics = new bytes32[](2);
        topics[0] = IERC1967.Upgraded.selector;
        topics[1] = bytes32(uint256(uint160(implementation)));
        return _logs(_fromBlock(), verifier, topics).length != 0;
    }
}
