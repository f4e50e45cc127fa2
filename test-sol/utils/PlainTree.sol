// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @notice OpenZeppelin's complete binary tree, written as its documentation tells it: an array of 2n-1 nodes, leaves in
/// reverse order at the end, node i over 2i+1 and 2i+2. What src-sol/libraries/OtpTree.sol is held against.
library PlainTree {
    function leaf(bytes32 purpose, uint40 serial, bytes32 id) internal pure returns (bytes32) {
        return keccak256(abi.encode(purpose, uint256(serial), id));
    }

    function nodes(bytes32 purpose, uint40 first, bytes32[] memory ids) internal pure returns (bytes32[] memory tree) {
        uint256 n = ids.length;
        tree = new bytes32[](2 * n - 1);
        for (uint256 i = 0; i < n; ++i) {
            tree[2 * n - 2 - i] = leaf(purpose, first + uint40(i), ids[i]);
        }
        for (uint256 i = n - 1; i > 0; --i) {
            tree[i - 1] = Hashes.commutativeKeccak256(tree[2 * i - 1], tree[2 * i]);
        }
    }

    function root(bytes32 purpose, uint40 first, bytes32[] memory ids) internal pure returns (bytes32) {
        return nodes(purpose, first, ids)[0];
    }

    function proof(bytes32 purpose, uint40 first, bytes32[] memory ids, uint256 place)
        internal
        pure
        returns (bytes32[] memory path)
    {
        bytes32[] memory tree = nodes(purpose, first, ids);
        uint256 index = tree.length - 1 - place;
        uint256 depth = 0;
        for (uint256 i = index; i > 0; i = (i - 1) / 2) {
            ++depth;
        }
        path = new bytes32[](depth);
        for (uint256 d = 0; d < depth; ++d) {
            path[d] = tree[index % 2 == 1 ? index + 1 : index - 1];
            index = (index - 1) / 2;
        }
    }
}
