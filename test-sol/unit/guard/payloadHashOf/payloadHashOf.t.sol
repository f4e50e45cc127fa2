// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {GuardFixture} from "../GuardFixture.sol";

contract GuardPayloadHashOfTest is GuardFixture {
    function test_IsTheEip712HashOfTheStruct(address safe_, bytes32 hash) external view {
        bytes32 type_ = keccak256("SafeTransaction(address safe,bytes32 safeTxHash)");
        assertEq(guard.payloadHashOf(safe_, hash), keccak256(abi.encode(type_, safe_, hash)));
    }
}
