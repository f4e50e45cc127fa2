// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Step} from "./Governance.sol";
import {Implementations} from "./Implementations.sol";

/// @title Upgrade
/// @notice Changes the implementation to one that is this repository's build, behind the delay.
///
///     … Upgrade.s.sol --sig 'deploy()' --private-key KEY --broadcast     deploys this build's implementation
///     … Upgrade.s.sol --sig 'run(address)' IMPLEMENTATION                proposes it
contract Upgrade is Implementations {
    /// @notice Deploys an implementation; nobody uses it before it is voted in.
    function deploy() external returns (address implementation) {
        vm.broadcast();
        implementation = deployCode("OtpVerifier.sol:OtpVerifier");
    }

    /// @notice Two transactions.
    function run(address implementation) external connected returns (Step[] memory) {
        bytes memory build = deployCode("OtpVerifier.sol:OtpVerifier").code; // on no chain: nothing is broadcast
        if (implementation.code.length != 0 && keccak256(implementation.code) != keccak256(build)) {
            revert Unfit("implementation is not this repository's build", implementation);
        }
        return _change("upgrade", implementation, false);
    }
}
