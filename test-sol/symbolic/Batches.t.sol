// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Batch, Batches, Packed} from "../../src-sol/libraries/Batches.sol";
import {Test} from "forge-std/Test.sol";

/// @notice For every word, every place and every state: the two bits of a code, and nothing else.
/// @custom:halmos --solver-timeout-assertion 0
contract BatchesProof is Test {
    using Batches for Packed;

    function check_OneCodesBitsLeaveEveryOtherCodeAlone(uint256 word, uint256 place, uint256 other, uint256 state)
        external
        pure
    {
        vm.assume(place < 80 && other < 80 && other != place && state < 4);
        Packed after_ = Packed.wrap(word).withState(place, state);
        assert(after_.stateAt(other) == Packed.wrap(word).stateAt(other));
        assert(after_.stateAt(place) == state);
    }

    function check_OneCodesBitsLeaveTheBatchAlone(uint256 word, uint256 place, uint256 state) external pure {
        vm.assume(place < 80 && state < 4);
        Packed before = Packed.wrap(word);
        Packed after_ = before.withState(place, state);
        assert(after_.expiryOf() == before.expiryOf());
        assert(after_.graceOf() == before.graceOf());
        assert(after_.firstOf() == before.firstOf());
    }

    function check_RevokingABatchKeepsWhatIsConsumedAlone(uint256 word, uint256 place) external pure {
        vm.assume(place < 80);
        Packed before = Packed.wrap(word);
        Packed after_ = before.withAllRevoked();
        assert(
            after_.stateAt(place) == (before.stateAt(place) == Batches.CONSUMED ? Batches.CONSUMED : Batches.REVOKED)
        );
        assert(after_.expiryOf() == before.expiryOf());
        assert(after_.graceOf() == before.graceOf());
        assert(after_.firstOf() == before.firstOf());
    }

    function check_ABatchIsPackedAsItIsRead(uint40 expiry, uint16 grace, uint40 first, uint256 place) external pure {
        vm.assume(place < 80);
        Packed packed = Batches.pack(expiry, grace, first);
        assert(packed.expiryOf() == expiry && packed.graceOf() == grace && packed.firstOf() == first);
        assert(packed.stateAt(place) == Batches.ISSUED);
    }
}
