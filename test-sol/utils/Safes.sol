// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Safe} from "@safe-global/safe-contracts/contracts/Safe.sol";
import {Enum} from "@safe-global/safe-contracts/contracts/common/Enum.sol";
import {
    CompatibilityFallbackHandler
} from "@safe-global/safe-contracts/contracts/handler/CompatibilityFallbackHandler.sol";
import {SafeProxyFactory} from "@safe-global/safe-contracts/contracts/proxies/SafeProxyFactory.sol";
import {Test} from "forge-std/Test.sol";

/// @notice The real Safe, and short ways to sign and execute with it.
abstract contract Safes is Test {
    /// @dev A Safe's transaction without what pays for its gas.
    struct SafeCall {
        address to;
        uint256 value;
        bytes data;
        Enum.Operation operation;
    }

    function _ownerKeys() internal returns (address[] memory owners, uint256[] memory keys) {
        (owners, keys) = (new address[](3), new uint256[](3));
        for (uint256 i = 0; i < 3; ++i) {
            (owners[i], keys[i]) = makeAddrAndKey(string.concat("owner", vm.toString(i)));
        }
    }

    function _deploySafe(address[] memory owners, uint256 threshold) internal returns (Safe) {
        bytes memory setup = abi.encodeCall(
            Safe.setup,
            (
                owners,
                threshold,
                address(0),
                "",
                address(new CompatibilityFallbackHandler()),
                address(0),
                0,
                payable(address(0))
            )
        );
        SafeProxyFactory factory = new SafeProxyFactory();
        return Safe(payable(address(factory.createProxyWithNonce(address(new Safe()), setup, 0))));
    }

    function _call(address to, bytes memory data) internal pure returns (SafeCall memory) {
        return SafeCall({to: to, value: 0, data: data, operation: Enum.Operation.Call});
    }

    function _safeTxHash(Safe safe, SafeCall memory c) internal view returns (bytes32) {
        return _safeTxHash(safe, c, safe.nonce());
    }

    function _safeTxHash(Safe safe, SafeCall memory c, uint256 nonce) internal view returns (bytes32) {
        return safe.getTransactionHash(c.to, c.value, c.data, c.operation, 0, 0, 0, address(0), address(0), nonce);
    }

    /// @notice The signatures of the first `count` owners, in ascending order of their addresses, as the Safe wants them.
    function _signatures(uint256[] memory ownerKeys, bytes32 hash, uint256 count)
        internal
        pure
        returns (bytes memory signatures)
    {
        uint256[] memory keys = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            keys[i] = ownerKeys[i];
            for (uint256 j = i; j > 0 && vm.addr(keys[j]) < vm.addr(keys[j - 1]); --j) {
                (keys[j], keys[j - 1]) = (keys[j - 1], keys[j]);
            }
        }
        for (uint256 i = 0; i < count; ++i) {
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(keys[i], hash);
            signatures = abi.encodePacked(signatures, r, s, v);
        }
    }

    function _exec(Safe safe, SafeCall memory c, bytes memory signatures) internal returns (bool) {
        return
            safe.execTransaction(
                c.to, c.value, c.data, c.operation, 0, 0, 0, address(0), payable(address(0)), signatures
            );
    }

    /// @notice Signs with the first `signers` keys and executes; reverts as the Safe does.
    function _exec(Safe safe, uint256[] memory ownerKeys, SafeCall memory c, uint256 signers) internal returns (bool) {
        return _exec(safe, c, _signatures(ownerKeys, _safeTxHash(safe, c), signers));
    }
}
