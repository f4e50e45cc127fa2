// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title CodeStates
/// @notice The states of up to 80 codes, two bits each, in one uint160. The values go up as a code goes through its
/// life; nothing here ever takes a bit back out of a code that is revoked.
library CodeStates {
    uint256 internal constant CAPACITY = 80;

    uint256 internal constant ISSUED = 0;
    uint256 internal constant VERIFIED = 1;
    uint256 internal constant CONSUMED = 2;
    uint256 internal constant REVOKED = 3;

    uint256 private constant MASK = 3;

    /// @dev The lower bit of each of the 80 codes: 01 repeated.
    uint160 private constant LOW_BITS = uint160(type(uint160).max / 3);

    /// @notice The state at a place below CAPACITY.
    function at(uint160 states, uint256 place) internal pure returns (uint256) {
        return (states >> (place << 1)) & MASK;
    }

    /// @notice `states` with another state at a place below CAPACITY.
    function with(uint160 states, uint256 place, uint256 state) internal pure returns (uint160) {
        uint256 shift = place << 1;
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint160((states & ~(MASK << shift)) | (state << shift)); // place < 80 keeps all bits below 2^160
    }

    /// @notice `states` with every place revoked that is not consumed: 00, 01, 11 become 11, and 10 stays.
    function revokeAll(uint160 states) internal pure returns (uint160) {
        uint160 consumed = (states >> 1) & ~states & LOW_BITS;
        return ~consumed;
    }
}
