//! A node that answers badly: an HTTP proxy before anvil.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::SeqCst},
};

use axum::{Json, Router, extract::State, routing::post};
use serde_json::{Value, json};

/// How many answers are yet to be spoiled, by kind.
#[derive(Default)]
pub(crate) struct Faults {
    /// `eth_getLogs` finds nothing.
    pub(crate) empty_logs: AtomicI64,
    /// `eth_getLogs` leaves its last log out.
    pub(crate) partial_logs: AtomicI64,
    /// `eth_getBlockReceipts` has none.
    pub(crate) no_receipts: AtomicI64,
    /// `eth_getBlockByNumber` of a number answers null.
    pub(crate) null_blocks: AtomicI64,
    /// `eth_getLogs` over more blocks than this is refused; 0 refuses nothing.
    pub(crate) widest_range: AtomicI64,
    /// The widest range that was answered.
    pub(crate) widest_answered: AtomicI64,
}

pub(crate) struct RpcProxy {
    pub(crate) url: String,
    pub(crate) faults: Arc<Faults>,
}

impl RpcProxy {
    pub(crate) async fn start(to: &str) -> Self {
        let faults = Arc::new(Faults::default());
        let router = Router::new().route("/", post(forward)).with_state(Target {
            url: to.to_owned(),
            client: reqwest::Client::new(),
            faults: faults.clone(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, faults }
    }
}

#[derive(Clone)]
struct Target {
    url: String,
    client: reqwest::Client,
    faults: Arc<Faults>,
}

async fn forward(State(Target { url, client, faults }): State<Target>, Json(call): Json<Value>) -> Json<Value> {
    if let Some(width) = range_width(&call) {
        let widest = faults.widest_range.load(SeqCst);
        if widest > 0 && width > widest {
            let error = json!({ "code": -32_005, "message": "query returned more than 10000 results" });
            return Json(json!({ "jsonrpc": "2.0", "id": call["id"], "error": error }));
        }
        faults.widest_answered.fetch_max(width, SeqCst);
    }
    let answer = client.post(&url).json(&call).send().await.unwrap();
    let mut answer: Value = answer.json().await.unwrap();
    match call["method"].as_str().unwrap_or_default() {
        "eth_getLogs" if spend(&faults.empty_logs) => answer["result"] = json!([]),
        "eth_getLogs" if spend(&faults.partial_logs) => drop(answer["result"].as_array_mut().unwrap().pop()),
        "eth_getBlockReceipts" if spend(&faults.no_receipts) => answer["result"] = Value::Null,
        "eth_getBlockByNumber" if call["params"][0] != "latest" && spend(&faults.null_blocks) => {
            answer["result"] = Value::Null;
        }
        _ => {}
    }
    Json(answer)
}

fn spend(left: &AtomicI64) -> bool {
    left.fetch_sub(1, SeqCst) > 0
}

fn range_width(call: &Value) -> Option<i64> {
    let number = |name: &str| {
        let text = call["params"][0][name].as_str()?;
        i64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
    };
    Some(number("toBlock")? - number("fromBlock")? + 1)
}
