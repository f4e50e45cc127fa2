// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {IVerifier} from "../utils/IVerifier.sol";
import {CommonBase} from "forge-std/Base.sol";

/// @dev What of halmos' own cheat codes is used here.
interface Svm {
    function createCalldata(string memory contractName) external pure returns (bytes memory);
    function createBytes(uint256 size, string memory name) external pure returns (bytes memory);
    function createBytes32(string memory name) external pure returns (bytes32);
    function snapshotStorage(address account) external view returns (uint256);
    function enableSymbolicStorage(address account) external;
}

/// @notice The verifier's byte code as it is deployed, called itself and not through its proxy.
abstract contract Deployed is CommonBase {
    Svm internal constant SVM = Svm(address(uint160(uint256(keccak256("svm cheat code")))));
    bytes32 internal constant ISSUER_ROLE = keccak256("ISSUER_ROLE");
    bytes32 internal constant GUARDIAN_ROLE = keccak256("GUARDIAN_ROLE");
    bytes32 internal constant GOVERNOR_ROLE = keccak256("GOVERNOR_ROLE");
    /// @dev ERC-7201 slot of OpenZeppelin's Initializable: opened, so that the implementation is called itself.
    bytes32 private constant INITIALIZABLE = 0xf0c57e16840df040f15088dc2f81fe391c3923bec73e23a9662efc9c229c6a00;

    IVerifier internal verifier;

    function _deploy(address governor, address guardian, address[] memory issuers) internal {
        vm.warp(1_700_000_000);
        // by its path: halmos takes a name for one below out/, where another build's may lie
        string memory artifact = "target/symbolic/out/OtpVerifier.sol/OtpVerifier.json";
        bytes memory code = vm.getCode(artifact);
        address deployed;
        assembly ("memory-safe") {
            deployed := create(0, add(code, 0x20), mload(code))
        }
        verifier = IVerifier(deployed);
        vm.store(deployed, INITIALIZABLE, 0);
        verifier.initialize(governor, guardian, issuers);
    }

    /// @dev Every slot that is not written yet has any value from here on, be it one that can be reached or not: batches,
    /// serials, policies, the pause, and the roles of all but the governor and the guardian.
    function _anyState() internal {
        SVM.enableSymbolicStorage(address(verifier));
    }
}
