// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {GateFixture} from "../GateFixture.sol";

contract GatedUseNonceTest is GateFixture {
    function test_CountsEachSendersCallsFromZero() external {
        assertEq(gate.nonces(subject), 0);
        for (uint256 i = 0; i < 3; ++i) {
            vm.prank(subject);
            assertEq(gate.spendNonce(), i);
            assertEq(gate.nonces(subject), i + 1);
        }
        assertEq(gate.nonces(stranger), 0);
        vm.prank(stranger);
        assertEq(gate.spendNonce(), 0);
        assertEq(gate.nonces(subject), 3);
    }
}
