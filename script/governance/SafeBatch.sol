// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Vm} from "forge-std/Vm.sol";

/// @title SafeBatch
/// @notice What the Safe's owners are handed: the file that Safe's Transaction Builder reads, and signatures in the order
/// in which the Safe wants them.
library SafeBatch {
    /// @notice Text that would end the JSON string it stands in, or look like another: printable ASCII without `"` and `\`
    /// is taken.
    error UnfitText(string text);

    Vm private constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// @notice One transaction as a Transaction Builder file, with the checksum by which the builder sees that a file was
    /// changed on its way to an owner. Whoever changes a file can change the checksum too: owners compare the data with
    /// what the script printed all the same.
    function toJson(address safe, string memory name, string memory description, address to, bytes memory data)
        internal
        view
        returns (string memory json)
    {
        _checkText(name);
        _checkText(description);
        bytes32 sum = checksum(safe, description, to, data);
        json = string.concat('{\n  "version": "1.0",\n  "chainId": "', VM.toString(block.chainid), '",\n');
        json = string.concat(json, '  "createdAt": ', _createdAt(), ',\n  "meta": {\n');
        json = string.concat(json, '    "name": "', name, '",\n    "description": "', description, '",\n');
        json = string.concat(json, '    "createdFromSafeAddress": "', VM.toString(safe), '",\n');
        json = string.concat(json, '    "checksum": "', VM.toString(sum), '"\n  },\n');
        json = string.concat(json, '  "transactions": [\n    {\n      "to": "', VM.toString(to), '",\n');
        json = string.concat(json, '      "value": "0",\n      "data": "', VM.toString(data), '",\n');
        json = string.concat(json, '      "contractMethod": null,\n      "contractInputsValues": null\n    }\n  ]\n}\n');
    }

    /// @notice The builder's own: keccak256 of the file without its checksum, where each object is the list of its keys in
    /// alphabetical order, then each value and a comma, and `meta.name` is null.
    function checksum(address safe, string memory description, address to, bytes memory data)
        internal
        view
        returns (bytes32)
    {
        string memory text = '{["chainId","createdAt","meta","transactions","version"]"';
        text = string.concat(text, VM.toString(block.chainid), '",', _createdAt(), ",");
        text = string.concat(text, '{["createdFromSafeAddress","description","name"]"', VM.toString(safe));
        text = string.concat(text, '","', description, '",null,},');
        text = string.concat(text, '[{["contractInputsValues","contractMethod","data","to","value"]null,null,"');
        text = string.concat(text, VM.toString(data), '","', VM.toString(to), '","0",}],"1.0",}');
        return keccak256(bytes(text));
    }

    /// @dev In milliseconds.
    function _createdAt() private view returns (string memory) {
        return VM.toString(block.timestamp * 1000);
    }

    function _checkText(string memory text) private pure {
        bytes memory raw = bytes(text);
        for (uint256 i = 0; i < raw.length; ++i) {
            if (raw[i] < " " || raw[i] > "~" || raw[i] == '"' || raw[i] == "\\") revert UnfitText(text);
        }
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
