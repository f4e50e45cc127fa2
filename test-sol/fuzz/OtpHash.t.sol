// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {OtpHash} from "../../src-sol/libraries/OtpHash.sol";
import {Test} from "forge-std/Test.sol";

contract OtpHashTest is Test {
    function codeHashOf(string calldata code) external pure returns (bytes32) {
        return OtpHash.codeHashOf(code);
    }

    function testFuzz_LeafOf(bytes32 purpose, uint256 serial, bytes32 id) external pure {
        assertEq(OtpHash.leafOf(purpose, serial, id), keccak256(abi.encode(purpose, serial, id)));
    }

    function testFuzz_IdOf(
        address issuer,
        bytes32 purpose,
        uint40 serial,
        address subject,
        bytes32 action,
        bytes32 codeHash
    ) external view {
        bytes memory plain = abi.encode(
            block.chainid, address(this), issuer, purpose, uint256(serial), subject, action, codeHash
        );
        assertEq(OtpHash.idOf(issuer, purpose, serial, subject, action, codeHash), keccak256(plain));
    }

    /// @dev What lies above an address in its stack slot does not come into the hash.
    function testFuzz_IdOf_DirtyAddresses(uint256 issuer, uint256 subject, address consumer) external view {
        address dirtyIssuer;
        address dirtySubject;
        address dirtyConsumer;
        assembly {
            dirtyIssuer := issuer
            dirtySubject := subject
            dirtyConsumer := or(consumer, shl(160, issuer))
        }
        assertEq(
            OtpHash.idOf(dirtyIssuer, 0, 0, dirtySubject, 0, 0),
            OtpHash.idOf(address(uint160(issuer)), 0, 0, address(uint160(subject)), 0, 0)
        );
        assertEq(OtpHash.actionOf(dirtyConsumer, 0), OtpHash.actionOf(consumer, 0));
    }

    function testFuzz_ActionOf(address consumer, bytes32 payloadHash) external pure {
        assertEq(OtpHash.actionOf(consumer, payloadHash), keccak256(abi.encode(consumer, payloadHash)));
    }

    function testFuzz_CodeHashOf(string calldata code) external view {
        assertEq(this.codeHashOf(code), keccak256(bytes(code)));
    }

    function testFuzz_LeavesMemoryAsItWas(bytes calldata content, bytes32 word, string calldata code) external view {
        bytes memory kept = content;
        uint256 free = _free();
        OtpHash.leafOf(word, 1, word);
        OtpHash.idOf(address(this), word, 1, address(this), word, word);
        OtpHash.actionOf(address(this), word);
        OtpHash.codeHashOf(code);
        assertEq(_free(), free);
        assertEq(kept, content);
        assertEq(new bytes32[](3)[2], 0, "new memory is zero");
    }

    function _free() private pure returns (uint256 pointer) {
        assembly ("memory-safe") {
            pointer := mload(0x40)
        }
    }
}
