// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../interfaces/IOtpVerifier.sol";
import {Batch} from "./Batches.sol";

/// @title OtpStorage
/// @notice Where the verifier keeps its state: a namespace of its own (ERC-7201), so that no new version of a parent
/// contract can move it.
library OtpStorage {
    /// @custom:storage-location erc7201:otp.storage.OtpVerifier
    struct Layout {
        // per issuer, or one issuer could reset or kill another's batch by setting the same root
        mapping(address issuer => mapping(bytes32 root => Batch)) batches;
        mapping(address issuer => mapping(bytes32 purpose => uint40)) next;
        mapping(bytes32 purpose => IOtpVerifier.Policy) policies;
    }

    /// @dev keccak256(abi.encode(uint256(keccak256("otp.storage.OtpVerifier")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant LOCATION = 0x2080fb54add3e565ec7b7c80c5bcce9568748794d6d11dfafa00d339439f5800;

    function layout() internal pure returns (Layout storage $) {
        bytes32 location = LOCATION;
        // there is no other way to name a slot
        // solhint-disable-next-line no-inline-assembly
        assembly ("memory-safe") {
            $.slot := location
        }
    }
}
