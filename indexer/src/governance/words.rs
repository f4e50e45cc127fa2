//! What a call of the timelock would change, in words: the calls of governance are known one by one, and what is none of
//! them is said to be unknown, never guessed.

use alloy::{
    primitives::{Address, B256, Bytes},
    sol_types::SolInterface,
};
use otp_core::{
    contract::{
        IOtpVerifier::Policy, OtpVerifier::OtpVerifierCalls, ProxyAdmin::ProxyAdminCalls, Timelock::TimelockCalls, role,
    },
    id::Purpose,
};
use serde_json::{Value, json};

/// Bounds that the contract holds policies to.
const TTL_S: std::ops::RangeInclusive<u32> = 30..=600;
const GRACE_S: u16 = 3_600;
const ATTEMPTS: std::ops::RangeInclusive<u8> = 1..=5;

/// Who is who around a verifier.
#[derive(Debug, Clone, Copy, Default)]
pub struct Parties {
    /// The verifier's proxy.
    pub verifier: Address,
    /// The proxy's admin, as the proxy has it; `None` where it has none or was not asked.
    pub proxy_admin: Option<Address>,
    /// The timelock.
    pub timelock: Option<Address>,
}

/// A contract that a call goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Verifier,
    ProxyAdmin,
    Timelock,
    Unknown,
}

impl Target {
    const fn word(self) -> &'static str {
        match self {
            Self::Verifier => "verifier",
            Self::ProxyAdmin => "proxyAdmin",
            Self::Timelock => "timelock",
            Self::Unknown => "unknown",
        }
    }
}

/// A function, its arguments, and a sentence.
struct Said {
    function: &'static str,
    arguments: Value,
    words: String,
}

/// One call of an operation: `target`, `targetName`, `function`, `arguments`, `words`. `policy` gives a purpose's policy as
/// it is now, where it is known.
pub fn describe(
    parties: &Parties,
    target: Address,
    value_wei: alloy::primitives::U256,
    data: &Bytes,
    policy: impl Fn(B256) -> Option<Policy>,
) -> Value {
    let kind = parties.kind(target);
    let said = match kind {
        Target::Verifier => OtpVerifierCalls::abi_decode(data).ok().and_then(|call| verifier(parties, &call, policy)),
        Target::ProxyAdmin => ProxyAdminCalls::abi_decode(data).ok().map(|call| proxy_admin(parties, &call)),
        Target::Timelock => timelock(parties, data),
        Target::Unknown => None,
    };
    let said = said.unwrap_or_else(|| unknown(parties, target, data));
    let mut words = said.words;
    if !value_wei.is_zero() {
        words = format!("{words} It sends {value_wei} wei along.");
    }
    json!({
        "target": target.to_checksum(None),
        "targetName": kind.word(),
        "function": said.function,
        "arguments": said.arguments,
        "valueWei": value_wei.to_string(),
        "data": data,
        "words": words,
    })
}

impl Parties {
    fn kind(&self, target: Address) -> Target {
        if target == self.verifier {
            Target::Verifier
        } else if self.proxy_admin == Some(target) {
            Target::ProxyAdmin
        } else if self.timelock == Some(target) {
            Target::Timelock
        } else {
            Target::Unknown
        }
    }

    fn name(&self, address: Address) -> String {
        let plain = address.to_checksum(None);
        match self.kind(address) {
            Target::Verifier => format!("the verifier ({plain})"),
            Target::ProxyAdmin => format!("the verifier's ProxyAdmin ({plain})"),
            Target::Timelock => format!("the timelock ({plain})"),
            Target::Unknown => plain,
        }
    }
}

/// The role's name; its hash where it is none that the contract has.
#[must_use]
pub fn role_name(id: B256) -> String {
    match id {
        role::ISSUER => "issuer".to_owned(),
        role::GUARDIAN => "guardian".to_owned(),
        role::GOVERNOR => "governor".to_owned(),
        role::ADMIN => "admin".to_owned(),
        other => timelock_role(other).map_or_else(|| other.to_string(), str::to_owned),
    }
}

fn timelock_role(id: B256) -> Option<&'static str> {
    let known = [("PROPOSER_ROLE", "proposer"), ("EXECUTOR_ROLE", "executor"), ("CANCELLER_ROLE", "canceller")];
    known.into_iter().find(|(name, _)| alloy::primitives::keccak256(name) == id).map(|(_, word)| word)
}

/// A policy for the interface.
#[must_use]
pub fn policy_json(policy: &Policy) -> Value {
    json!({
        "ttlSeconds": policy.ttl,
        "graceSeconds": policy.grace,
        "maxAttempts": policy.maxAttempts,
        "enabled": policy.enabled,
    })
}

fn purpose_text(purpose: B256) -> String {
    Purpose::try_from(purpose).map_or_else(|_| purpose.to_string(), |purpose| format!("\"{purpose}\""))
}

fn verifier(parties: &Parties, call: &OtpVerifierCalls, policy: impl Fn(B256) -> Option<Policy>) -> Option<Said> {
    let said = |function, arguments, words| Some(Said { function, arguments, words });
    match call {
        OtpVerifierCalls::setPolicy(call) => {
            Some(set_policy(call.purpose, &call.policy, policy(call.purpose).as_ref()))
        }
        OtpVerifierCalls::pause(_) => said(
            "pause",
            json!({}),
            "Pauses the verifier: no code is issued, verified or consumed until it is lifted.".to_owned(),
        ),
        OtpVerifierCalls::unpause(_) => {
            said("unpause", json!({}), "Lifts the pause: codes are issued, verified and consumed again.".to_owned())
        }
        OtpVerifierCalls::grantRole(call) => Some(role_change(parties, true, call.role, call.account, "the verifier")),
        OtpVerifierCalls::revokeRole(call) => {
            Some(role_change(parties, false, call.role, call.account, "the verifier"))
        }
        OtpVerifierCalls::removeIssuer(call) => said(
            "removeIssuer",
            json!({ "issuer": call.issuer.to_checksum(None) }),
            format!("Takes the right to issue codes from {}; its live codes stay good.", parties.name(call.issuer)),
        ),
        OtpVerifierCalls::revokeBatches(call) => said(
            "revokeBatches",
            json!({ "issuer": call.issuer.to_checksum(None), "roots": call.roots }),
            format!("Revokes every live code of {} batches of {}.", call.roots.len(), parties.name(call.issuer)),
        ),
        OtpVerifierCalls::revoke(call) => said(
            "revoke",
            json!({ "ids": call.tickets.iter().map(|ticket| ticket.id).collect::<Vec<_>>() }),
            format!("Revokes {} codes.", call.tickets.len()),
        ),
        _ => None,
    }
}

fn set_policy(purpose: B256, to: &Policy, now: Option<&Policy>) -> Said {
    let now_known = now.filter(|now| now.ttl > 0);
    let against = |unit: &str, to: u64, now: Option<u64>| match now {
        Some(now) if now == to => format!("{to}{unit} (as now)"),
        Some(now) => format!("{to}{unit} (now {now}{unit})"),
        None => format!("{to}{unit}"),
    };
    let enabled = match (to.enabled, now_known.map(|now| now.enabled)) {
        (true, Some(false)) => "it is enabled, which it is not now",
        (true, _) => "it is enabled",
        (false, Some(true)) => {
            "it is switched off: no new code of it is issued; live ones stay good until they expire, are used or are revoked"
        }
        (false, _) => "it is switched off",
    };
    let fits = TTL_S.contains(&to.ttl) && to.grace <= GRACE_S && ATTEMPTS.contains(&to.maxAttempts);
    let words = format!(
        "Sets the policy of {}: a code lives {}, can be consumed for {} after that, {} wrong digits are evaluated; {}.{}{}",
        purpose_text(purpose),
        against(" s", to.ttl.into(), now_known.map(|now| now.ttl.into())),
        against(" s", to.grace.into(), now_known.map(|now| now.grace.into())),
        against("", to.maxAttempts.into(), now_known.map(|now| now.maxAttempts.into())),
        enabled,
        if now.is_some() && now_known.is_none() { " The purpose has no policy yet." } else { "" },
        if fits { "" } else { " It is out of the contract's bounds: the call will be refused." },
    );
    let mut arguments = json!({ "purpose": purpose, "purposeName": purpose_text(purpose).trim_matches('"') });
    arguments["policy"] = policy_json(to);
    arguments["now"] = now_known.map(policy_json).unwrap_or_default();
    arguments["inBounds"] = fits.into();
    Said { function: "setPolicy", arguments, words }
}

fn role_change(parties: &Parties, is_grant: bool, id: B256, account: Address, of: &str) -> Said {
    let (name, who) = (role_name(id), parties.name(account));
    let (function, words) = match is_grant {
        true => ("grantRole", format!("Gives {who} the role {name} of {of}.{}", power(id))),
        false => ("revokeRole", format!("Takes the role {name} of {of} from {who}.")),
    };
    let arguments = json!({ "role": id, "roleName": name, "account": account.to_checksum(None) });
    Said { function, arguments, words }
}

/// What a role lets its holder do.
fn power(id: B256) -> &'static str {
    match id {
        role::ISSUER => " It can issue codes, and revoke its own.",
        role::GUARDIAN => " It can pause, remove issuers and revoke any code, without delay.",
        role::GOVERNOR => " It can set policies, pause and unpause.",
        role::ADMIN => " It can give and take every role.",
        _ => "",
    }
}

fn proxy_admin(parties: &Parties, call: &ProxyAdminCalls) -> Said {
    match call {
        ProxyAdminCalls::upgradeAndCall(call) => {
            let which = if call.proxy == parties.verifier {
                "Replaces the verifier's code".to_owned()
            } else {
                format!("Replaces the code of {}, which is not this verifier,", call.proxy.to_checksum(None))
            };
            let then = if call.data.is_empty() { "." } else { ", and calls a function of it at once." };
            Said {
                function: "upgradeAndCall",
                arguments: json!({
                    "proxy": call.proxy.to_checksum(None),
                    "implementation": call.implementation.to_checksum(None),
                    "data": call.data,
                }),
                words: format!(
                    "{which} by that at {}{then} From then on that code decides which codes are good.",
                    call.implementation.to_checksum(None)
                ),
            }
        }
        ProxyAdminCalls::transferOwnership(call) => Said {
            function: "transferOwnership",
            arguments: json!({ "newOwner": call.newOwner.to_checksum(None) }),
            words: format!("Gives the right to replace the verifier's code to {}.", parties.name(call.newOwner)),
        },
        ProxyAdminCalls::renounceOwnership(_) => Said {
            function: "renounceOwnership",
            arguments: json!({}),
            words: "Gives up the right to replace the verifier's code, for good.".to_owned(),
        },
    }
}

fn timelock(parties: &Parties, data: &Bytes) -> Option<Said> {
    match TimelockCalls::abi_decode(data) {
        Ok(TimelockCalls::updateDelay(call)) => Some(Said {
            function: "updateDelay",
            arguments: json!({ "newDelaySeconds": call.newDelay.to_string() }),
            words: format!("Sets the timelock's least delay to {} s.", call.newDelay),
        }),
        Ok(TimelockCalls::cancel(call)) => Some(Said {
            function: "cancel",
            arguments: json!({ "operation": call.id }),
            words: format!("Cancels the operation {}.", call.id),
        }),
        // Roles are OpenZeppelin's AccessControl in both.
        _ => match OtpVerifierCalls::abi_decode(data).ok()? {
            OtpVerifierCalls::grantRole(call) => {
                Some(role_change(parties, true, call.role, call.account, "the timelock"))
            }
            OtpVerifierCalls::revokeRole(call) => {
                Some(role_change(parties, false, call.role, call.account, "the timelock"))
            }
            _ => None,
        },
    }
}

fn unknown(parties: &Parties, target: Address, data: &Bytes) -> Said {
    let who = parties.name(target);
    let words = match data.first_chunk::<4>() {
        Some(selector) => format!(
            "Calls {who} with {} bytes of data (function 0x{}), which is no call of governance that is known here: read it \
             before it is executed.",
            data.len(),
            hex::encode(selector)
        ),
        None if data.is_empty() => format!("Calls {who} without data."),
        None => format!("Calls {who} with {} bytes of data, which name no function.", data.len()),
    };
    Said { function: "unknown", arguments: json!({}), words }
}

#[cfg(test)]
mod tests {
    use alloy::{primitives::U256, sol_types::SolCall};
    use otp_core::contract::{OtpVerifier, ProxyAdmin, Timelock};

    use super::*;

    const VERIFIER: Address = Address::repeat_byte(1);
    const ADMIN: Address = Address::repeat_byte(2);
    const LOCK: Address = Address::repeat_byte(3);

    fn said(target: Address, data: Vec<u8>) -> (String, String) {
        let parties = Parties { verifier: VERIFIER, proxy_admin: Some(ADMIN), timelock: Some(LOCK) };
        let now = Policy { ttl: 60, grace: 300, maxAttempts: 3, enabled: true };
        let value = describe(&parties, target, U256::ZERO, &data.into(), |_| Some(now.clone()));
        (value["function"].as_str().unwrap().to_owned(), value["words"].as_str().unwrap().to_owned())
    }

    #[test]
    fn a_policy_is_told_against_the_one_that_holds() {
        let purpose = "withdraw".parse::<Purpose>().unwrap().bytes32();
        let mut policy = Policy { ttl: 120, grace: 300, maxAttempts: 2, enabled: true };
        let call = |policy: &Policy| OtpVerifier::setPolicyCall { purpose, policy: policy.clone() }.abi_encode();
        let (function, words) = said(VERIFIER, call(&policy));
        assert_eq!(function, "setPolicy");
        for part in ["\"withdraw\"", "120 s (now 60 s)", "300 s (as now)", "2 (now 3)"] {
            assert!(words.contains(part), "{part}: {words}");
        }
        assert!(!words.contains("refused"), "{words}");
        policy.ttl = 601;
        assert!(said(VERIFIER, call(&policy)).1.contains("refused"));
    }

    #[test]
    fn every_call_that_governance_makes_has_words_and_what_is_unknown_is_said_to_be() {
        let account = Address::repeat_byte(9);
        let grant = OtpVerifier::grantRoleCall { role: role::ISSUER, account }.abi_encode();
        assert!(said(VERIFIER, grant.clone()).1.contains("role issuer of the verifier"));
        assert!(said(LOCK, grant).1.contains("role issuer of the timelock"));
        assert_eq!(said(VERIFIER, OtpVerifier::unpauseCall {}.abi_encode()).0, "unpause");
        let upgrade = ProxyAdmin::upgradeAndCallCall { proxy: VERIFIER, implementation: account, data: Bytes::new() };
        assert!(said(ADMIN, upgrade.abi_encode()).1.starts_with("Replaces the verifier's code by that at"));
        let delay = Timelock::updateDelayCall { newDelay: U256::from(10) }.abi_encode();
        assert!(said(LOCK, delay.clone()).1.contains("10 s"));
        for (target, data) in [
            (account, upgrade.abi_encode()),
            (VERIFIER, delay),
            (VERIFIER, vec![1, 2, 3, 4, 5]),
            (ADMIN, vec![1]),
            (account, Vec::new()),
            (VERIFIER, OtpVerifier::setPolicyCall::SELECTOR.to_vec()),
        ] {
            assert_eq!(said(target, data).0, "unknown");
        }
    }

    #[test]
    fn roles_have_names() {
        for (id, name) in [(role::ISSUER, "issuer"), (role::GUARDIAN, "guardian"), (role::GOVERNOR, "governor")] {
            assert_eq!(role_name(id), name);
            assert_eq!(alloy::primitives::keccak256(format!("{}_ROLE", name.to_uppercase())), id);
        }
        assert_eq!(role_name(B256::ZERO), "admin");
        assert_eq!(role_name(alloy::primitives::keccak256("PROPOSER_ROLE")), "proposer");
    }
}
