// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {GuardFixture} from "../GuardFixture.sol";

contract GuardSupportsInterfaceTest is GuardFixture {
    function test_IsAGuardAndKnowsItsVerifier() external view {
        assertTrue(guard.supportsInterface(0xe6d7a83a));
        assertTrue(guard.supportsInterface(0x01ffc9a7));
        assertFalse(guard.supportsInterface(0xffffffff));
        assertEq(address(guard.VERIFIER()), address(verifier));
        assertEq(guard.PURPOSE(), WITHDRAW);
        assertEq(
            guard.SAFE_TRANSACTION_TYPEHASH(), keccak256("SafeTransaction(address safe,bytes32 safeTxHash)"), "type"
        );
        assertEq(guard.APPROVAL_LIFETIME(), 24 hours);
        assertEq(guard.REMOVAL_DELAY(), 3 days);
        assertEq(guard.REMOVAL_WINDOW(), 7 days);
        assertEq(guard.LIMIT_PERIOD(), 1 days);
    }
}
