// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {Governance, Step} from "./Governance.sol";
import {PausableUpgradeable} from "@openzeppelin/contracts-upgradeable/utils/PausableUpgradeable.sol";

/// @title Unpause
/// @notice Ends the pause, behind the delay. Propose it while the cause is being mended: the delay runs meanwhile.
contract Unpause is Governance {
    /// @notice Two transactions.
    function run() external connected returns (Step[] memory) {
        if (!PausableUpgradeable(verifier).paused()) revert NothingToDo("unpaused");
        return _throughTimelock("unpause", "Ends the pause.", verifier, abi.encodeCall(IOtpVerifier.unpause, ()));
    }
}
