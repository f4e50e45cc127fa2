// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Fixture} from "../../utils/Fixture.sol";

contract VersionTest is Fixture {
    function test_TellsTheImplementationsVersion() external view {
        assertEq(verifier.version(), "1.0.0");
    }
}
