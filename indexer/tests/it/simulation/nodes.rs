//! Two nodes of one chain, which answer badly.

use std::time::Duration;

use serde_json::{Value, json};
use testbed::{
    faults::{Fault, RpcProxy},
    random::Random,
};

use crate::harness::World;

const LOGS: &str = "eth_getLogs";

pub(super) struct Nodes {
    proxies: [RpcProxy; 2],
    /// Whether one of them says what its own answers do not contradict. Then a second reading by it would agree with the
    /// first one.
    pub(super) lie: bool,
}

impl Nodes {
    pub(super) async fn before(world: &World) -> Self {
        Self { proxies: [world.proxy().await, world.proxy().await], lie: false }
    }

    /// As `chain.rpc_urls` has them.
    pub(super) fn urls(&self) -> String {
        self.proxies.each_ref().map(|proxy| proxy.url().to_string()).join(",")
    }

    pub(super) fn heal(&mut self) {
        self.proxies.iter().for_each(RpcProxy::heal);
        self.lie = false;
    }

    /// One more fault at one of them.
    pub(super) fn spoil(&mut self, random: &mut Random, head: u64) {
        let node = &self.proxies[usize::from(random.once_in(3))];
        let times = 1 + random.below(4);
        let rule = match random.below(16) {
            0 => Fault::Drop.everywhere().times(times),
            1 => Fault::LoseAnswer.everywhere().times(times),
            2 => Fault::Delay(Duration::from_millis(random.below(60))).everywhere().times(times * 4),
            3 => Fault::Status(429, Some(random.below(2))).everywhere().times(times),
            4 => Fault::Status(500, None).everywhere().times(times),
            5 => Fault::HalfJson.everywhere().times(times),
            6 => Fault::wrong_chain(1),
            7 => return node.stand_at(head.saturating_sub(random.below(8))),
            8 => Fault::Result(json!([])).on(LOGS).times(times * 4),
            9 => {
                node.inject(Fault::Result(Value::Null).on("eth_getBlockReceipts").times(times));
                Fault::Result(json!([])).on(LOGS).times(times * 4)
            }
            10 => logs(|logs| logs.extend(logs.clone())).times(times),
            11 => logs(|logs| logs.iter_mut().for_each(|log| log["removed"] = json!(true))).times(times),
            12 => logs(|logs| logs.iter_mut().for_each(|log| log["blockHash"] = json!(elsewhere()))).times(times),
            13 => Fault::Error(-32_005, "query returned more than 10000 results").on(LOGS).times(times),
            14 => {
                let below_the_head = |params: &Value| params[0] != "latest";
                Fault::Result(Value::Null).on("eth_getBlockByNumber").when(below_the_head).times(times)
            }
            _ => {
                self.lie = true;
                logs(|logs| drop(logs.pop())).times(times)
            }
        };
        node.inject(rule);
    }
}

fn logs(edit: impl Fn(&mut Vec<Value>) + Send + Sync + 'static) -> testbed::faults::Rule {
    let edit = move |_: &Value, logs: &mut Value| {
        if let Some(logs) = logs.as_array_mut() {
            edit(logs);
        }
    };
    Fault::edit(edit).on(LOGS)
}

fn elsewhere() -> String {
    format!("0x{}", "77".repeat(32))
}
