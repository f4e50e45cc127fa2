// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {Governance, Step} from "./Governance.sol";
import {Rehearsal} from "./Rehearsal.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {ERC1967Utils} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Utils.sol";
import {ProxyAdmin} from "@openzeppelin/contracts/proxy/transparent/ProxyAdmin.sol";
import {ITransparentUpgradeableProxy} from "@openzeppelin/contracts/proxy/transparent/TransparentUpgradeableProxy.sol";

/// @title Implementations
/// @notice What Upgrade and RollBack share: they differ only in which implementations they take. Nothing is proposed that
/// was not tried out first on a copy of the chain.
abstract contract Implementations is Governance {
    /// @notice Another major version, which says of itself that it does not go on with this one's state or interface.
    error OtherMajorVersion(string current, string next);

    /// @dev ERC-7201 slot of OpenZeppelin's Initializable; its lowest 64 bits are all set in one that is locked.
    bytes32 private constant INITIALIZABLE = 0xf0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00;

    /// @notice Checks, rehearses and proposes the change.
    /// @param presentIsBroken Nothing can be asked of the present implementation any more.
    function _change(string memory name, address implementation, bool presentIsBroken)
        internal
        returns (Step[] memory)
    {
        if (_addressAt(verifier, ERC1967Utils.IMPLEMENTATION_SLOT) == implementation) {
            revert NothingToDo("the implementation is this already");
        }
        _checkProxy();
        _checkImplementation(implementation);
        if (!presentIsBroken) _checkVersion(implementation);
        bytes memory call = abi.encodeCall(
            ProxyAdmin.upgradeAndCall, (ITransparentUpgradeableProxy(verifier), implementation, bytes(""))
        );
        new Rehearsal(IOtpVerifier(verifier), address(timelock)).check(proxyAdmin, call, presentIsBroken);
        return _throughTimelock(
            name,
            string.concat("The verifier's implementation becomes ", vm.toString(implementation), "."),
            proxyAdmin,
            call
        );
    }

    /// @dev That the timelock's call will reach the proxy.
    function _checkProxy() private view {
        address admin = _addressAt(verifier, ERC1967Utils.ADMIN_SLOT);
        if (admin != proxyAdmin) revert Unfit("the proxy's admin is another than DEPLOY_OUT's", admin);
        address owner = Ownable(admin).owner();
        if (owner != address(timelock)) revert Unfit("the proxy admin's owner is not the timelock", owner);
    }

    function _checkImplementation(address implementation) private view {
        if (implementation.code.length == 0) revert Unfit("implementation without code", implementation);
        bool isProxy = _addressAt(implementation, ERC1967Utils.IMPLEMENTATION_SLOT) != address(0)
            || _addressAt(implementation, ERC1967Utils.ADMIN_SLOT) != address(0);
        if (isProxy) revert Unfit("implementation is itself a proxy", implementation);
        if (uint64(uint256(vm.load(implementation, INITIALIZABLE))) != type(uint64).max) {
            revert Unfit("implementation can be initialized by anybody", implementation);
        }
    }

    function _checkVersion(address implementation) private view {
        string memory current = IOtpVerifier(verifier).version();
        string memory next = IOtpVerifier(implementation).version();
        if (!_same(vm.split(current, ".")[0], vm.split(next, ".")[0])) revert OtherMajorVersion(current, next);
    }

    function _addressAt(address account, bytes32 slot) private view returns (address) {
        return address(uint160(uint256(vm.load(account, slot))));
    }

    function _same(string memory a, string memory b) private pure returns (bool) {
        return keccak256(bytes(a)) == keccak256(bytes(b));
    }
}
