// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {GatedVault} from "../../src-sol/examples/GatedVault.sol";
import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {OtpHash} from "../../src-sol/libraries/OtpHash.sol";
import {Fixture} from "../utils/Fixture.sol";
import {PlainTree} from "../utils/PlainTree.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

/// @notice The contract agrees with the vectors that generate.mjs made and that the Rust suite reads as well.
contract VectorsTest is Fixture {
    string private json;

    function _path(string memory list, uint256 i, string memory field) private pure returns (string memory) {
        return string.concat(".", list, "[", vm.toString(i), "].", field);
    }

    function _word(string memory list, uint256 i, string memory field) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, _path(list, i, field));
    }

    function _account(string memory list, uint256 i, string memory field) private view returns (address) {
        return vm.parseJsonAddress(json, _path(list, i, field));
    }

    function _text(string memory list, uint256 i, string memory field) private view returns (string memory) {
        return vm.parseJsonString(json, _path(list, i, field));
    }

    /// @dev Big numbers are decimal strings.
    function _number(string memory list, uint256 i, string memory field) private view returns (uint256) {
        return vm.parseUint(_text(list, i, field));
    }

    function _has(string memory list, uint256 i) private view returns (bool) {
        return vm.keyExistsJson(json, string.concat(".", list, "[", vm.toString(i), "]"));
    }

    function test_Ids() external {
        json = vm.readFile("test-sol/vectors/ids.json");
        bytes memory code = address(_implementation()).code;
        uint256 i = 0;
        for (; _has("ids", i); ++i) {
            string memory name = _text("ids", i, "name");
            bytes32 codeHash = _word("ids", i, "codeHash");
            assertEq(_hash(_text("ids", i, "code")), codeHash, name);

            // an id commits to chain and contract, so the contract is put there
            IOtpVerifier at = IOtpVerifier(_account("ids", i, "verifier"));
            vm.chainId(_number("ids", i, "chainId"));
            vm.etch(address(at), code);
            bytes32 id = at.computeId(
                _account("ids", i, "issuer"),
                _word("ids", i, "purpose"),
                uint40(_number("ids", i, "serial")),
                _account("ids", i, "subject"),
                _word("ids", i, "action"),
                codeHash
            );
            assertEq(id, _word("ids", i, "id"), name);
            bytes32 leaf = OtpHash.leafOf(_word("ids", i, "purpose"), _number("ids", i, "serial"), id);
            assertEq(leaf, _word("ids", i, "leaf"), name);
        }
        assertGe(i, 12, "cases");
    }

    function test_Actions() external {
        json = vm.readFile("test-sol/vectors/ids.json");
        uint256 i = 0;
        for (; _has("actions", i); ++i) {
            bytes32 action = OtpHash.actionOf(_account("actions", i, "consumer"), _word("actions", i, "payloadHash"));
            assertEq(action, _word("actions", i, "action"), _text("actions", i, "name"));
        }
        assertGe(i, 4, "cases");
    }

    function test_Withdrawals() external {
        json = vm.readFile("test-sol/vectors/ids.json");
        GatedVault vault = new GatedVault(verifier);
        assertEq(vault.WITHDRAWAL_TYPEHASH(), vm.parseJsonBytes32(json, ".withdrawal.typeHash"));
        string memory list = "withdrawal.cases";
        uint256 i = 0;
        for (; _has(list, i); ++i) {
            bytes32 hash =
                vault.payloadHashOf(_account(list, i, "to"), _number(list, i, "amount"), _number(list, i, "nonce"));
            assertEq(hash, _word(list, i, "hash"));
        }
        assertGe(i, 4, "cases");
    }

    function test_SignIns() external {
        json = vm.readFile("test-sol/vectors/ids.json");
        bytes32 typeHash = keccak256("SignIn(string origin,bytes32 session)");
        assertEq(typeHash, vm.parseJsonBytes32(json, ".signIn.typeHash"));
        string memory list = "signIn.cases";
        uint256 i = 0;
        for (; _has(list, i); ++i) {
            bytes memory plain = abi.encode(typeHash, _hash(_text(list, i, "origin")), _word(list, i, "session"));
            assertEq(keccak256(plain), _word(list, i, "hash"));
        }
        assertGe(i, 4, "cases");
    }

    /// @dev Every tree is issued, and every proof opens its place.
    function test_Trees() external {
        json = vm.readFile("test-sol/vectors/trees.json");
        uint256[11] memory sizes = [uint256(1), 2, 3, 4, 5, 7, 8, 16, 33, 79, 80];
        for (uint256 i = 0; i < sizes.length; ++i) {
            assertEq(vm.parseJsonUint(json, _path("trees", i, "size")), sizes[i]);
            _checkTree(i, sizes[i]);
        }
        assertFalse(_has("trees", sizes.length));
    }

    function _checkTree(uint256 i, uint256 size) private {
        bytes32 purpose = _word("trees", i, "purpose");
        uint40 first = uint40(_number("trees", i, "first"));
        bytes32[] memory ids = vm.parseJsonBytes32Array(json, _path("trees", i, "ids"));
        bytes32[] memory leaves = vm.parseJsonBytes32Array(json, _path("trees", i, "leaves"));
        bytes32 root = _word("trees", i, "root");
        assertEq(ids.length, size);
        assertEq(leaves.length, size);

        // each from a fresh issuer, whose serials reach 2^20
        address fresh = _freshIssuer(size);
        vm.prank(fresh);
        assertEq(verifier.setOtps(purpose, first, ids, type(uint64).max), root, "root");

        for (uint256 place = 0; place < size; ++place) {
            IOtpVerifier.Ticket memory ticket = _ticket(fresh, purpose, first, ids, place);
            bytes32[] memory proof = _proof(i, place);
            assertEq(abi.encode(ticket.proof), abi.encode(proof));
            assertEq(PlainTree.leaf(purpose, ticket.serial, ids[place]), leaves[place]);
            assertTrue(MerkleProof.verify(proof, root, leaves[place]), "proof");
            _assertStatus(ticket, IOtpVerifier.Status.Issued);
        }
    }

    function _proof(uint256 i, uint256 place) private view returns (bytes32[] memory) {
        string memory field = string.concat("proofs[", vm.toString(place), "]");
        return vm.parseJsonBytes32Array(json, _path("trees", i, field));
    }

    function _freshIssuer(uint256 size) private returns (address fresh) {
        fresh = makeAddr(string.concat("issuer of ", vm.toString(size)));
        bytes32 role = verifier.ISSUER_ROLE();
        vm.prank(governor);
        verifier.grantRole(role, fresh);
    }
}
