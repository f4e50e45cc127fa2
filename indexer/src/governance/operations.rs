//! Operations of a timelock, by its steps, and whether what one is said to call is what was announced.

use std::collections::HashMap;

use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    sol_types::SolValue,
};
use otp_core::store::{Place, TimelockStep, TimelockStepKind};

/// A call that an operation makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) target: Address,
    pub(super) value: U256,
    pub(super) data: Bytes,
}

/// Whether these calls have this id: `hashOperation` and `hashOperationBatch` of OpenZeppelin's `TimelockController`.
pub(super) fn makes(id: B256, calls: &[Call], predecessor: B256, salt: B256) -> bool {
    if let [call] = calls {
        let one = (call.target, call.value, call.data.clone(), predecessor, salt).abi_encode_params();
        if keccak256(one) == id {
            return true;
        }
    }
    let targets: Vec<Address> = calls.iter().map(|call| call.target).collect();
    let values: Vec<U256> = calls.iter().map(|call| call.value).collect();
    let payloads: Vec<Bytes> = calls.iter().map(|call| call.data.clone()).collect();
    keccak256((targets, values, payloads, predecessor, salt).abi_encode_params()) == id
}

/// An operation by its steps.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) id: B256,
    pub(super) scheduled: Place,
    pub(super) ended: Option<(TimelockStepKind, Place)>,
}

/// What waits first, then what was done last. `steps`: latest first.
pub(super) fn operations(steps: &[TimelockStep]) -> Vec<Operation> {
    let mut found: Vec<Operation> = Vec::new();
    let mut ended: HashMap<B256, (TimelockStepKind, Place)> = HashMap::new();
    for step in steps {
        let is_known = found.iter().any(|operation| operation.id == step.operation);
        match step.kind {
            TimelockStepKind::Scheduled if is_known => {}
            TimelockStepKind::Scheduled => {
                let ended = ended.get(&step.operation).copied();
                found.push(Operation { id: step.operation, scheduled: step.place, ended });
            }
            // An operation that was cancelled can be announced again: then the later words count.
            kind if !is_known => {
                ended.entry(step.operation).or_insert((kind, step.place));
            }
            _ => {}
        }
    }
    found.sort_by_key(|operation| operation.ended.is_some());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(kind: TimelockStepKind, operation: u8, block_number: u64) -> TimelockStep {
        let place =
            Place { block_hash: B256::ZERO, block_number, timestamp: block_number, tx_hash: B256::ZERO, log_index: 0 };
        TimelockStep { place, operation: B256::repeat_byte(operation), kind }
    }

    #[test]
    fn an_operation_stands_where_its_last_announcement_led() {
        use TimelockStepKind::{Cancelled, Executed, Scheduled};
        let steps = [
            step(Scheduled, 3, 7),
            step(Executed, 2, 6),
            step(Scheduled, 1, 5),
            step(Scheduled, 2, 4),
            step(Scheduled, 2, 4),
            step(Cancelled, 1, 3),
            step(Scheduled, 1, 2),
        ];
        let found = operations(&steps);
        let told: Vec<_> = found
            .iter()
            .map(|o| (o.id[0], o.scheduled.block_number, o.ended.map(|(kind, place)| (kind, place.block_number))))
            .collect();
        assert_eq!(told, [(3, 7, None), (1, 5, None), (2, 4, Some((Executed, 6)))]);
    }
}
