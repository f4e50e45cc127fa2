// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Enum} from "@safe-global/safe-contracts/contracts/common/Enum.sol";

/// @title ISafe
/// @notice What the guard asks a Safe (1.4.1), no more.
interface ISafe {
    /// @notice The number of the next transaction.
    function nonce() external view returns (uint256);

    /// @notice The EIP-712 hash that the owners sign.
    function getTransactionHash(
        address to,
        uint256 value,
        bytes calldata data,
        Enum.Operation operation,
        uint256 safeTxGas,
        uint256 baseGas,
        uint256 gasPrice,
        address gasToken,
        address refundReceiver,
        uint256 nonce
    ) external view returns (bytes32);

    /// @notice The enabled modules, from `start` (1 is the list's head) on.
    function getModulesPaginated(address start, uint256 pageSize)
        external
        view
        returns (address[] memory modules, address next);

    /// @notice `length` words of the Safe's storage from the slot `offset` on.
    function getStorageAt(uint256 offset, uint256 length) external view returns (bytes memory);

    /// @notice Sets the transaction guard; zero takes it away. For the Safe itself.
    function setGuard(address guard) external;
}
