// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IOtpVerifier} from "../../src-sol/interfaces/IOtpVerifier.sol";
import {IAccessControl} from "@openzeppelin/contracts/access/IAccessControl.sol";
import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";

/// @notice The verifier as its ABI shows it, with what it has from OpenZeppelin. Tests deploy it by its artifact and see
/// it through this, so that they are not compiled via-IR with it.
interface IVerifier is IOtpVerifier, IAccessControl, IERC5267, IERC165 {
    event Paused(address account);
    event Unpaused(address account);

    error EnforcedPause();
    error ExpectedPause();
    error InvalidInitialization();

    function paused() external view returns (bool);
}
