//! The tree over one issuance: OpenZeppelin's complete binary tree in an array of 2n-1 nodes, leaves in reverse order at
//! its end, parents by commutative Keccak-256, leaves not sorted (`SimpleMerkleTree`, `sortLeaves: false`).

use alloy::primitives::{B256, keccak256};

/// A tree over at least one leaf.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Node i's children are 2i+1 and 2i+2; leaf k stands at len-1-k.
    nodes: Vec<B256>,
}

impl Tree {
    /// Builds the tree over leaves in order of serial; `None` without leaves.
    #[must_use]
    pub fn new(leaves: &[B256]) -> Option<Self> {
        let inner = leaves.len().checked_sub(1)?;
        let mut nodes = vec![B256::ZERO; inner];
        nodes.extend(leaves.iter().rev());
        for i in (0..inner).rev() {
            nodes[i] = parent(nodes[2 * i + 1], nodes[2 * i + 2]);
        }
        Some(Self { nodes })
    }

    /// The root; a batch of one has root == leaf.
    #[must_use]
    pub fn root(&self) -> B256 {
        self.nodes[0]
    }

    /// The proof for the leaf at `place` (0 is the first serial); `None` outside the tree.
    #[must_use]
    pub fn proof(&self, place: usize) -> Option<Vec<B256>> {
        let leaves = self.nodes.len().div_ceil(2);
        if place >= leaves {
            return None;
        }
        let mut node = self.nodes.len() - 1 - place;
        let mut proof = Vec::new();
        while node > 0 {
            let sibling = if node.is_multiple_of(2) { node - 1 } else { node + 1 };
            proof.push(self.nodes[sibling]);
            node = (node - 1) / 2;
        }
        Some(proof)
    }
}

/// OpenZeppelin's `Hashes.commutativeKeccak256`.
fn parent(a: B256, b: B256) -> B256 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    keccak256([low.0, high.0].concat())
}
