// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Vm} from "forge-std/Vm.sol";

/// @title SafeBatch
/// @notice What the Safe's owners are handed: the file that Safe's Transaction Builder reads, and signatures in the order
/// in which the Safe wants them.
library SafeBatch {
    Vm private constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// @notice One transaction as a Transaction Builder file. It carries no checksum, since that covers only what the
    /// builder itself wrote: the owners compare the data with what the script printed.
    function toJson(address safe, string memory name, string memory description, address to, bytes memory data)
        internal
        view
        returns (string memory json)
    {
        json = string.concat('{\n  "version": "1.0",\n  "chainId": "', VM.toString(block.chainid), '",\n');
        // in milliseconds
        json = string.concat(json, '  "createdAt": ', VM.toString(block.timestamp * 1000), ',\n  "meta": {\n');
        json = string.concat(json, '    "name": "', name, '",\n    "description": "', description, '",\n');
        json = string.concat(json, '    "createdFromSafeAddress": "', VM.toString(safe), '"\n  },\n');
        json = string.concat(json, '  "transactions": [\n    {\n      "to": "', VM.toString(to), '",\n');
        json = string.concat(json, '      "value": "0",\n      "data": "', VM.toString(data), '",\n');
        json = string.concat(json, '      "contractMethod": null,\n      "contractInputsValues": null\n    }\n  ]\n}\n');
    }

    /// @notice The keys' signatures in ascending order of their addresses.
    function sign(bytes32 hash, uint256[] memory keys) internal pure returns (bytes memory signatures) {
        uint256[] memory sorted = new uint256[](keys.length);
        for (uint256 i = 0; i < keys.length; ++i) {
            sorted[i] = keys[i];
            for (uint256 j = i; j > 0 && VM.addr(sorted[j]) < VM.addr(sorted[j - 1]); --j) {
                (sorted[j], sorted[j - 1]) = (sorted[j - 1], sorted[j]);
            }
        }
        for (uint256 i = 0; i < sorted.length; ++i) {
            (uint8 v, bytes32 r, bytes32 s) = VM.sign(sorted[i], hash);
            signatures = abi.encodePacked(signatures, r, s, v);
        }
    }
}
