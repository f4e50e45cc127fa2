// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Fixture} from "../../utils/Fixture.sol";

contract ComputeIdTest is Fixture {
    function test_IsTheHashOfWhatItCommitsTo(
        address issuer_,
        bytes32 purpose,
        uint40 serial,
        address subject_,
        bytes32 action,
        string calldata code
    ) external view {
        assertEq(
            verifier.computeId(issuer_, purpose, serial, subject_, action, keccak256(bytes(code))),
            _id(issuer_, purpose, serial, subject_, action, code)
        );
    }

    function test_NamesTheChain(uint64 chainId) external {
        vm.assume(chainId != block.chainid && chainId != 0);
        bytes32 here = verifier.computeId(issuer, LOGIN, 0, subject, 0, 0);
        vm.chainId(chainId);
        assertNotEq(verifier.computeId(issuer, LOGIN, 0, subject, 0, 0), here);
    }
}
