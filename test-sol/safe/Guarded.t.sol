// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {GuardFixture} from "../unit/guard/GuardFixture.sol";
import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {
    CompatibilityFallbackHandler
} from "@safe-global/safe-contracts/contracts/handler/CompatibilityFallbackHandler.sol";

/// @notice Where the guard ends: these hold so that nobody believes otherwise.
contract GuardedSafeTest is GuardFixture {
    function test_WhatTheOwnersSignPassesTheGuardBy() external view {
        bytes32 permit = keccak256("a token's permit");
        bytes32 message = CompatibilityFallbackHandler(address(safe)).getMessageHash(abi.encode(permit));
        bytes4 answer = IERC1271(address(safe)).isValidSignature(permit, _signatures(keys, message, 2));
        assertEq(answer, IERC1271.isValidSignature.selector);
    }
}
