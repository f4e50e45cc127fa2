//! An HTTP proxy before a node, which spoils what it is told to.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
};

use anyhow::{Context, Result, bail};
use axum::body::{Body, to_bytes};
use futures_util::future::join_all;
use hyper::{Request, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    task::{JoinHandle, JoinSet},
    time::sleep,
};
use url::Url;

use super::{
    Fault, Rule, lag,
    replacement::{Offers, UNDERPRICED},
};
use crate::ports;

const LARGEST_CALL: usize = 8 << 20;
/// Calls that are remembered.
const REMEMBERED: usize = 4_096;
/// `lag` holds it where the node does not lag.
const NOWHERE: u64 = u64::MAX;

/// A node's JSON-RPC with faults. Without any, calls and answers pass as they are. Ends when it is dropped.
pub struct RpcProxy {
    url: Url,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

struct Shared {
    node: Url,
    http: reqwest::Client,
    rules: Mutex<Vec<Rule>>,
    stands_at: AtomicU64,
    strict: AtomicBool,
    /// Takes no batches.
    single: AtomicBool,
    offers: Mutex<Offers>,
    calls: Mutex<VecDeque<(String, Value)>>,
    arrived: AtomicUsize,
}

impl RpcProxy {
    /// A proxy before `node`, on a port of its own.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(node: &Url) -> Result<Self> {
        let listener = TcpListener::bind(ports::loopback(0)).await?;
        let url = ports::http(listener.local_addr()?.port())?;
        let shared = Arc::new(Shared {
            node: node.clone(),
            http: reqwest::Client::new(),
            rules: Mutex::default(),
            stands_at: AtomicU64::new(NOWHERE),
            strict: AtomicBool::default(),
            single: AtomicBool::default(),
            offers: Mutex::default(),
            calls: Mutex::default(),
            arrived: AtomicUsize::new(0),
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { url, shared, serving })
    }

    /// Where it listens.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// Spoils what the rule says from now on. Of several rules for a call the first one counts.
    pub fn inject(&self, rule: Rule) {
        held(&self.shared.rules).push(rule);
    }

    /// The node is gone: no call arrives, none is answered.
    pub fn go_down(&self) {
        self.inject(Fault::Drop.everywhere());
    }

    /// Lets the node stand still at a block.
    pub fn stand_at(&self, block_number: u64) {
        self.shared.stands_at.store(block_number, SeqCst);
    }

    /// Refuses replacements that pay less than 110 % of both fees, as long as the former transaction is in the pool.
    pub fn be_strict(&self) {
        self.shared.strict.store(true, SeqCst);
    }

    /// Answers batches of calls with one error, as nodes do that take none.
    pub fn refuse_batches(&self) {
        self.shared.single.store(true, SeqCst);
    }

    /// Takes every fault back, strictness aside.
    pub fn heal(&self) {
        held(&self.shared.rules).clear();
        self.shared.stands_at.store(NOWHERE, SeqCst);
    }

    /// Parameters of the calls of a method that arrived here, oldest first; of the last few thousand calls.
    #[must_use]
    pub fn calls(&self, method: &str) -> Vec<Value> {
        let calls = held(&self.shared.calls);
        calls.iter().filter(|(name, _)| name == method).map(|(_, params)| params.clone()).collect()
    }

    /// How many calls arrived here.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.arrived.load(SeqCst)
    }
}

impl Drop for RpcProxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let answer = service_fn(move |request| {
                let shared = Arc::clone(&shared);
                async move { shared.answer(request).await }
            });
            // An error of the service ends the connection without an answer, which is what a fault asks for.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// What a call comes to.
enum Reply {
    Answer(Value),
    /// An answer that breaks off.
    Half(String),
    Status(u16, Option<u64>),
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>> {
        let body = to_bytes(Body::new(request.into_body()), LARGEST_CALL).await?;
        let reply = match serde_json::from_slice(&body)? {
            Value::Array(_) if self.single.load(SeqCst) => {
                let none = json!({ "id": null });
                Reply::Answer(refusal(&none, -32_600, "batches are not supported"))
            }
            Value::Array(calls) => self.reply_to_batch(&calls).await?,
            call => self.reply(&call).await?,
        };
        match reply {
            Reply::Answer(answer) => Ok(json_response(answer.to_string())),
            Reply::Half(text) => Ok(json_response(text)),
            Reply::Status(status, retry_after) => status_response(status, retry_after),
        }
    }

    /// Each call of a batch meets its own faults; what spoils the answer as a whole spoils the batch.
    async fn reply_to_batch(&self, calls: &[Value]) -> Result<Reply> {
        let mut answers = Vec::with_capacity(calls.len());
        for reply in join_all(calls.iter().map(|call| self.reply(call))).await {
            match reply? {
                Reply::Answer(answer) => answers.push(answer),
                Reply::Half(text) => return Ok(Reply::Half(format!("[{text}"))),
                status @ Reply::Status(..) => return Ok(status),
            }
        }
        Ok(Reply::Answer(answers.into()))
    }

    async fn reply(&self, call: &Value) -> Result<Reply> {
        let method = call["method"].as_str().context("no method")?;
        self.remember(method, &call["params"]);
        if method == "eth_sendRawTransaction" && self.is_underpriced(&call["params"]).await? {
            return Ok(Reply::Answer(refusal(call, UNDERPRICED.0, UNDERPRICED.1)));
        }
        let answer = match self.fault_of(method, &call["params"]) {
            None => self.forward(call).await?,
            Some(Fault::Drop) => bail!("dropped"),
            Some(Fault::LoseAnswer) => {
                self.forward(call).await?;
                bail!("lost")
            }
            Some(Fault::Delay(by)) => {
                sleep(by).await;
                self.forward(call).await?
            }
            Some(Fault::Status(status, retry_after)) => return Ok(Reply::Status(status, retry_after)),
            Some(Fault::HalfJson) => {
                let mut text = self.forward(call).await?.to_string();
                text.truncate(text.len() / 2);
                return Ok(Reply::Half(text));
            }
            Some(Fault::Error(code, message)) => refusal(call, code, message),
            Some(Fault::Result(result)) => json!({ "jsonrpc": "2.0", "id": call["id"], "result": result }),
            Some(Fault::Edit(edit)) => {
                let mut answer = self.forward(call).await?;
                edit(&call["params"], &mut answer["result"]);
                answer
            }
        };
        Ok(Reply::Answer(answer))
    }

    fn remember(&self, method: &str, params: &Value) {
        self.arrived.fetch_add(1, SeqCst);
        let mut calls = held(&self.calls);
        if calls.len() == REMEMBERED {
            calls.pop_front();
        }
        calls.push_back((method.to_owned(), params.clone()));
    }

    fn fault_of(&self, method: &str, params: &Value) -> Option<Fault> {
        let mut rules = held(&self.rules);
        rules.iter_mut().find_map(|rule| rule.takes(method, params).then(|| rule.fault.clone()))
    }

    async fn forward(&self, call: &Value) -> Result<Value> {
        let (mut call, head) = (call.clone(), self.stands_at.load(SeqCst));
        let method = call["method"].as_str().unwrap_or_default().to_owned();
        if head == NOWHERE {
            return self.ask(&call).await;
        }
        lag::ask(head, &method, &mut call["params"]);
        let mut answer = self.ask(&call).await?;
        if answer.get("result").is_some() {
            lag::answer(head, &method, &mut answer["result"]);
        }
        Ok(answer)
    }

    async fn ask(&self, call: &Value) -> Result<Value> {
        Ok(self.http.post(self.node.clone()).json(call).send().await?.json().await?)
    }

    /// Where the former transaction is in the pool no more, there is nothing to replace.
    async fn is_underpriced(&self, params: &Value) -> Result<bool> {
        let Some((place, offer, former)) = held(&self.offers).of(params).filter(|_| self.strict.load(SeqCst)) else {
            return Ok(false);
        };
        if let Some(former) = former.filter(|former| !offer.replaces(former)) {
            let call =
                json!({ "jsonrpc": "2.0", "id": 0, "method": "eth_getTransactionByHash", "params": [former.hash] });
            let found = self.ask(&call).await?;
            if found["result"].is_object() && found["result"]["blockNumber"].is_null() {
                return Ok(true);
            }
        }
        held(&self.offers).note(place, offer);
        Ok(false)
    }
}

fn refusal(call: &Value, code: i64, message: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": call["id"], "error": { "code": code, "message": message } })
}

fn json_response(text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

fn status_response(status: u16, retry_after: Option<u64>) -> Result<Response<Body>> {
    let response = Response::builder().status(StatusCode::from_u16(status)?);
    let response = match retry_after {
        Some(seconds) => response.header(header::RETRY_AFTER, seconds),
        None => response,
    };
    Ok(response.body(Body::empty())?)
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
