// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {Governance, Step} from "./Governance.sol";
import {PausableUpgradeable} from "@openzeppelin/contracts-upgradeable/utils/PausableUpgradeable.sol";

/// @title Pause
/// @notice Stops issuing, verifying and consuming, at once.
contract Pause is Governance {
    /// @notice One transaction.
    function run() external connected returns (Step[] memory) {
        if (PausableUpgradeable(verifier).paused()) revert NothingToDo("paused");
        return _atOnce(
            "pause",
            "Stops issuing, verifying and consuming codes. No clock stops: codes expire meanwhile.",
            verifier,
            abi.encodeCall(IOtpVerifier.pause, ())
        );
    }
}
