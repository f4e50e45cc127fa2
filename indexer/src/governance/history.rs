//! Governance by the stored events: the last word of each.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256};
use otp_core::store::{ChainEvent, EventKind, Place};
use serde_json::{Value, json};

use super::{
    Answers, since,
    words::{policy_json, role_name},
};
use crate::api::purpose_name;

/// Governance's events, the last word of each.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) policies: BTreeMap<B256, Place>,
    /// By role and account; `None` where it was taken.
    roles: BTreeMap<(B256, Address), Option<Place>>,
    pub(super) pause: Option<ChainEvent>,
    pub(super) implementation: Value,
}

impl History {
    pub(super) fn of(events: &[ChainEvent]) -> Self {
        let mut history = Self::default();
        for event in events {
            let (place, facts) = (event.place, &event.facts);
            match event.kind {
                EventKind::PolicySet => {
                    history.policies.extend(facts.purpose.map(|purpose| (purpose, place)));
                }
                EventKind::RoleGranted | EventKind::RoleRevoked => {
                    let holds = (event.kind == EventKind::RoleGranted).then_some(place);
                    history.roles.extend(facts.action.zip(facts.subject).map(|of| (of, holds)));
                }
                EventKind::Paused | EventKind::Unpaused => history.pause = Some(event.clone()),
                EventKind::Upgraded => {
                    let address = facts.party.map(|at| at.to_checksum(None));
                    history.implementation = json!({ "address": address, "since": since(&place) });
                }
                _ => {}
            }
        }
        history
    }

    pub(super) fn is_paused(&self) -> bool {
        self.pause.as_ref().is_some_and(|event| event.kind == EventKind::Paused)
    }

    pub(super) fn holders(&self) -> impl Iterator<Item = (B256, Address)> {
        self.roles.iter().filter(|(_, since)| since.is_some()).map(|(holder, _)| *holder)
    }

    pub(super) fn policies(&self, answers: &Answers) -> Vec<Value> {
        let told = self.policies.iter().map(|(purpose, place)| {
            json!({
                "purpose": purpose,
                "purposeName": purpose_name(*purpose),
                "policy": answers.policies.get(purpose).map(policy_json),
                "since": since(place),
            })
        });
        told.collect()
    }

    pub(super) fn roles(&self, answers: &Answers) -> Vec<Value> {
        let held = self.roles.iter().filter_map(|(holder, place)| Some((holder, place.as_ref()?)));
        let told = held.map(|((role, account), place)| {
            json!({
                "role": role,
                "roleName": role_name(*role),
                "account": account.to_checksum(None),
                "since": since(place),
                "agrees": answers.roles.get(&(*role, *account)),
            })
        });
        told.collect()
    }
}
