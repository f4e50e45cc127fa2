// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

/// @title Whether a contract account takes a signature for its own: ERC-1271, and ERC-6492 while it is not deployed yet
/// @notice Never deployed. The relayer runs the constructor by `eth_call` without a recipient, and what it "deploys" is
/// the answer: the word 1 or 0. Nothing that happens in it lasts.
/// @dev The order is ERC-6492's: the account as it stands, then, where the signature brings a call that deploys or
/// prepares it, that call and the account again. Key recovery is the relayer's own and comes before.
contract SignatureCheck {
    /// @dev The most gas that a check by the account gets. All three calls together stay below what the relayer gives to
    /// the whole (`GAS` in relayer/src/api/siwe/contract.rs), so that no account can make it fail: a failure is the node's.
    uint256 private constant CHECK_GAS = 3_000_000;

    /// @dev The most gas that deploying or preparing the account gets.
    uint256 private constant PREPARE_GAS = 6_000_000;

    /// @param account who is said to have signed
    /// @param hash what was signed (EIP-191)
    /// @param signature in the account's own form
    /// @param factory whom to call to deploy or prepare the account; zero for nobody
    /// @param prepare with which data
    constructor(address account, bytes32 hash, bytes memory signature, address factory, bytes memory prepare) {
        bool valid = _accepts(account, hash, signature);
        if (!valid && factory != address(0)) {
            assembly ("memory-safe") {
                // Whether it succeeds is seen by what the account then says.
                pop(call(PREPARE_GAS, factory, 0, add(prepare, 32), mload(prepare), 0, 0))
            }
            valid = _accepts(account, hash, signature);
        }
        assembly ("memory-safe") {
            mstore(0, valid)
            return(0, 32)
        }
    }

    /// @dev An account without code accepts nothing: a call to it, or to a precompile, succeeds whatever is asked.
    function _accepts(address account, bytes32 hash, bytes memory signature) private view returns (bool valid) {
        if (account.code.length == 0) return false;
        bytes memory data = abi.encodeWithSignature("isValidSignature(bytes32,bytes)", hash, signature);
        assembly ("memory-safe") {
            // No more than a word of the answer is copied, however long it is.
            let succeeded := staticcall(CHECK_GAS, account, add(data, 32), mload(data), 0, 32)
            let magic := shl(224, 0x1626ba7e)
            valid := and(and(succeeded, gt(returndatasize(), 31)), eq(mload(0), magic))
        }
    }
}
