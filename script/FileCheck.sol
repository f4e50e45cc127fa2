// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {DeployConfig, DeployConfigs} from "./DeployConfig.sol";

/// @title FileCheck
/// @notice A call of its own, whose refusal is an answer.
contract FileCheck {
    /// @notice Reverts with what is unsafe.
    function check(DeployConfig calldata config) external view {
        DeployConfigs.check(config);
    }
}
