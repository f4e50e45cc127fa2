//! Whether an answer belongs to its request, and what is in it.

use alloy::rpc::json_rpc::{RequestPacket, Response, ResponsePacket, ResponsePayload, SerializedRequest};

use super::{
    answer::{self, Meaning},
    health::Failure,
};

/// Checks one answer, or a batch of them. A JSON-RPC error is an answer.
pub(super) fn judge(request: &RequestPacket, answer: &ResponsePacket) -> Result<Meaning, Failure> {
    match (request, answer) {
        (RequestPacket::Single(request), ResponsePacket::Single(answer)) if answer.id == *request.id() => {
            one(request, answer)
        }
        (RequestPacket::Single(_), ResponsePacket::Single(_)) => Err(Failure::Nonsense("the answer to another call")),
        (RequestPacket::Batch(requests), ResponsePacket::Batch(answers)) => batch(requests, answers),
        // A node that takes no batches, or none so large, says so once for all.
        (RequestPacket::Batch(requests), ResponsePacket::Single(answer)) => match &answer.payload {
            ResponsePayload::Failure(error) if requests.iter().any(|r| answer::is_throttling(r.method(), error)) => {
                Err(Failure::Throttled { retry_after: None })
            }
            ResponsePayload::Failure(_) => Ok(Meaning::Plain),
            ResponsePayload::Success(_) => Err(Failure::Nonsense("one answer for many")),
        },
        (RequestPacket::Single(_), ResponsePacket::Batch(_)) => Err(Failure::Nonsense("many answers for one")),
    }
}

fn one(request: &SerializedRequest, answer: &Response) -> Result<Meaning, Failure> {
    match &answer.payload {
        ResponsePayload::Success(result) => answer::check(request, result),
        ResponsePayload::Failure(error) if answer::is_throttling(request.method(), error) => {
            Err(Failure::Throttled { retry_after: None })
        }
        ResponsePayload::Failure(_) => Ok(Meaning::Plain),
    }
}

/// Each answer is of a call of the batch and none comes twice; they come in any order. One may be missing only where the
/// node says of another one that something was too much. What a batch says of the head is not looked at a second time:
/// nobody asks for the head by batch.
fn batch(requests: &[SerializedRequest], answers: &[Response]) -> Result<Meaning, Failure> {
    let mut open: Vec<&SerializedRequest> = requests.iter().rev().collect();
    for answer in answers {
        // In order, it is the last one that is open.
        let place = open.iter().rposition(|request| *request.id() == answer.id);
        let Some(place) = place else { return Err(Failure::Nonsense("an answer to no call of the batch")) };
        one(open.remove(place), answer)?;
    }
    if open.is_empty() || answers.iter().any(|answer| answer.payload.is_error()) {
        Ok(Meaning::Plain)
    } else {
        Err(Failure::Nonsense("a batch without some of its answers"))
    }
}

#[cfg(test)]
mod tests {
    use alloy::rpc::json_rpc::{Id, Request};
    use serde_json::{Value, json};

    use super::*;

    fn requests() -> RequestPacket {
        let request = |id| Request::new("eth_getBlockByNumber", Id::Number(id), json!([format!("{id:#x}"), false]));
        RequestPacket::Batch((1..=3).map(|id| request(id).serialize().unwrap()).collect())
    }

    fn block(id: u64, number: u64) -> Value {
        let hash = format!("{number:#066x}");
        let result = json!({ "hash": hash, "number": format!("{number:#x}"), "timestamp": "0x1", "transactions": [] });
        json!({ "jsonrpc": "2.0", "id": id, "result": result })
    }

    fn error(id: Value, code: i64, message: &str) -> Value {
        json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
    }

    fn judged(answer: &Value) -> Result<Meaning, Failure> {
        judge(&requests(), &serde_json::from_str(&answer.to_string()).unwrap())
    }

    #[test]
    fn a_batch_is_answered_in_any_order() {
        assert_eq!(judged(&json!([block(1, 1), block(2, 2), block(3, 3)])), Ok(Meaning::Plain));
        assert_eq!(judged(&json!([block(3, 3), block(1, 1), block(2, 2)])), Ok(Meaning::Plain));
    }

    #[test]
    fn a_batch_with_answers_swapped_doubled_strange_or_missing_is_nonsense() {
        for bad in [
            json!([block(1, 2), block(2, 1), block(3, 3)]),
            json!([block(1, 1), block(1, 1), block(2, 2), block(3, 3)]),
            json!([block(1, 1), block(2, 2), block(4, 4)]),
            json!([block(1, 1), block(2, 2)]),
            json!([]),
            block(1, 1),
        ] {
            assert!(matches!(judged(&bad), Err(Failure::Nonsense(_))), "{bad}");
        }
    }

    #[test]
    fn a_batch_that_is_throttled_in_part_is_throttled() {
        let answer = json!([block(1, 1), error(json!(2), 429, "slow down"), block(3, 3)]);
        assert_eq!(judged(&answer), Err(Failure::Throttled { retry_after: None }));
        assert_eq!(judged(&error(Value::Null, -32_005, "slow")), Err(Failure::Throttled { retry_after: None }));
    }

    #[test]
    fn a_node_that_refuses_a_batch_is_not_put_aside_for_it() {
        assert_eq!(judged(&error(Value::Null, -32_600, "batch too large")), Ok(Meaning::Plain));
        assert_eq!(judged(&json!([error(json!(1), -32_600, "batch too large")])), Ok(Meaning::Plain));
        assert_eq!(judged(&json!([block(1, 1), error(json!(2), -32_003, "response too large")])), Ok(Meaning::Plain));
    }
}
