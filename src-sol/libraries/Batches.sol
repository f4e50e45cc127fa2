// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

// one read and one write of a slot, which the struct does not give
// solhint-disable no-inline-assembly

/// @dev One issuance: one storage slot, for the whole life of its codes.
/// @param expiry The last second in which its codes verify; never 0 in a batch that exists.
/// @param grace How many seconds longer a verified code can be consumed.
/// @param first The first code's serial.
/// @param states Two bits a code, from the lowest on, in order of serial.
struct Batch {
    uint40 expiry;
    uint16 grace;
    uint40 first;
    uint160 states;
}

/// @dev A batch's slot as it was read: its four fields in one word, `expiry` in the lowest bits.
type Packed is uint256;

/// @title Batches
/// @notice Reads a batch's slot once, works on the word, writes it once. Through the struct's fields every access is a
/// read of its own, and a write reads first.
library Batches {
    /// @dev How many codes fit into `states`.
    uint256 internal constant CAPACITY = 80;

    uint256 internal constant ISSUED = 0;
    uint256 internal constant VERIFIED = 1;
    uint256 internal constant CONSUMED = 2;
    uint256 internal constant REVOKED = 3;

    uint256 private constant GRACE_AT = 40;
    uint256 private constant FIRST_AT = 56;
    uint256 private constant STATES_AT = 96;
    uint256 private constant STATE_MASK = 3;

    /// @dev The lower bit of each code's two: 01 repeated, in the place of `states`.
    uint256 private constant LOW_BITS = uint256(type(uint160).max / 3) << STATES_AT;
    uint256 private constant ALL_BITS = uint256(type(uint160).max) << STATES_AT;

    function load(Batch storage batch) internal view returns (Packed packed) {
        assembly ("memory-safe") {
            packed := sload(batch.slot)
        }
    }

    function store(Batch storage batch, Packed packed) internal {
        assembly ("memory-safe") {
            sstore(batch.slot, packed)
        }
    }

    /// @notice A new batch, every code issued.
    function pack(uint40 expiry, uint16 grace, uint40 first) internal pure returns (Packed) {
        return Packed.wrap(uint256(expiry) | (uint256(grace) << GRACE_AT) | (uint256(first) << FIRST_AT));
    }

    function exists(Packed packed) internal pure returns (bool) {
        return Packed.unwrap(packed) != 0; // expiry is not 0
    }

    function expiryOf(Packed packed) internal pure returns (uint256) {
        return Packed.unwrap(packed) & type(uint40).max;
    }

    function graceOf(Packed packed) internal pure returns (uint256) {
        return (Packed.unwrap(packed) >> GRACE_AT) & type(uint16).max;
    }

    function firstOf(Packed packed) internal pure returns (uint256) {
        return (Packed.unwrap(packed) >> FIRST_AT) & type(uint40).max;
    }

    /// @notice The state of the code at a place below CAPACITY.
    function stateAt(Packed packed, uint256 place) internal pure returns (uint256) {
        return (Packed.unwrap(packed) >> (STATES_AT + (place << 1))) & STATE_MASK;
    }

    /// @notice The batch with another state of the code at a place below CAPACITY.
    function withState(Packed packed, uint256 place, uint256 state) internal pure returns (Packed) {
        uint256 at = STATES_AT + (place << 1);
        return Packed.wrap((Packed.unwrap(packed) & ~(STATE_MASK << at)) | (state << at));
    }

    /// @notice The batch with every place revoked that is not consumed: 00, 01 and 11 become 11, and 10 stays.
    function withAllRevoked(Packed packed) internal pure returns (Packed) {
        uint256 word = Packed.unwrap(packed);
        uint256 consumed = (word >> 1) & ~word & LOW_BITS;
        return Packed.wrap((word | ALL_BITS) ^ consumed);
    }
}
