// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {GateFixture} from "../GateFixture.sol";

contract GatedActionOfTest is GateFixture {
    function test_NamesTheGateAsConsumer(bytes32 payloadHash) external view {
        assertEq(gate.actionOf(payloadHash), _action(address(gate), payloadHash));
    }

    function test_TrustsOneVerifier() external view {
        assertEq(address(gate.VERIFIER()), address(verifier));
    }
}
