// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Governance, Step} from "./Governance.sol";
import {ERC1967Utils} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Utils.sol";
import {ProxyAdmin} from "@openzeppelin/contracts/proxy/transparent/ProxyAdmin.sol";
import {ITransparentUpgradeableProxy} from "@openzeppelin/contracts/proxy/transparent/TransparentUpgradeableProxy.sol";

/// @title Implementations
/// @notice What Upgrade and RollBack share: they differ only in which implementations they take.
abstract contract Implementations is Governance {
    function _change(string memory name, address implementation) internal returns (Step[] memory) {
        if (implementation.code.length == 0) revert Unfit("implementation without code", implementation);
        if (address(uint160(uint256(vm.load(verifier, ERC1967Utils.IMPLEMENTATION_SLOT)))) == implementation) {
            revert NothingToDo("the implementation is this already");
        }
        return _throughTimelock(
            name,
            string.concat("The verifier's implementation becomes ", vm.toString(implementation), "."),
            proxyAdmin,
            abi.encodeCall(
                ProxyAdmin.upgradeAndCall, (ITransparentUpgradeableProxy(verifier), implementation, bytes(""))
            )
        );
    }
}

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
        return _change("upgrade", implementation);
    }
}
