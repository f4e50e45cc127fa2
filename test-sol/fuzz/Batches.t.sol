// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Batch, Batches, Packed} from "../../src-sol/libraries/Batches.sol";
import {Test} from "forge-std/Test.sol";

contract BatchesTest is Test {
    using Batches for Batch;
    using Batches for Packed;

    Batch private batch;

    function _set(uint40 expiry, uint16 grace, uint40 first, uint160 states) private returns (Packed) {
        batch = Batch({expiry: expiry, grace: grace, first: first, states: states});
        return batch.load();
    }

    /// @dev The word is what Solidity makes of the struct.
    function testFuzz_ReadsEachField(uint40 expiry, uint16 grace, uint40 first, uint160 states, uint256 place)
        external
    {
        place = bound(place, 0, 79);
        Packed packed = _set(expiry, grace, first, states);
        assertEq(packed.expiryOf(), expiry);
        assertEq(packed.graceOf(), grace);
        assertEq(packed.firstOf(), first);
        assertEq(packed.stateAt(place), (states / 4 ** place) % 4);
        assertEq(packed.exists(), expiry != 0 || grace != 0 || first != 0 || states != 0);
    }

    function testFuzz_PacksWithEveryCodeIssued(uint40 expiry, uint16 grace, uint40 first) external {
        batch.store(Batches.pack(expiry, grace, first));
        assertEq(batch.expiry, expiry);
        assertEq(batch.grace, grace);
        assertEq(batch.first, first);
        assertEq(batch.states, 0);
    }

    function testFuzz_ChangesOneStateAndNothingElse(
        uint40 expiry,
        uint16 grace,
        uint40 first,
        uint160 states,
        uint256 place,
        uint256 state
    ) external {
        place = bound(place, 0, 79);
        state = bound(state, 0, 3);
        batch.store(_set(expiry, grace, first, states).withState(place, state));
        assertEq(batch.expiry, expiry);
        assertEq(batch.grace, grace);
        assertEq(batch.first, first);
        for (uint256 i = 0; i < 80; ++i) {
            assertEq((batch.states / 4 ** i) % 4, i == place ? state : (states / 4 ** i) % 4);
        }
    }

    function testFuzz_RevokesAllButWhatIsConsumed(uint40 expiry, uint16 grace, uint40 first, uint160 states) external {
        batch.store(_set(expiry, grace, first, states).withAllRevoked());
        assertEq(batch.expiry, expiry);
        assertEq(batch.grace, grace);
        assertEq(batch.first, first);
        for (uint256 i = 0; i < 80; ++i) {
            assertEq((batch.states / 4 ** i) % 4, (states / 4 ** i) % 4 == 2 ? 2 : 3);
        }
    }
}
