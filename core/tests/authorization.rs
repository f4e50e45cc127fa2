//! Actions from outside: what is hashed is what is shown, and everything else is refused.

use alloy::primitives::{Address, B256, b256};
use otp_core::authorization::{Authorization, TypedAction};
use serde_json::{Value, json};

fn withdrawal() -> Value {
    json!({
        "consumer": "0x00000000000000000000000000000000000000aa",
        "primaryType": "Withdrawal",
        "types": { "Withdrawal": [
            { "name": "to", "type": "address" },
            { "name": "amount", "type": "uint256" },
        ] },
        "message": { "to": "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266", "amount": "1000" },
    })
}

fn read(value: &Value) -> Result<Authorization, String> {
    let typed: TypedAction = serde_json::from_value(value.clone()).map_err(|e| e.to_string())?;
    Authorization::try_from(typed).map_err(|e| e.to_string())
}

#[test]
fn what_is_shown_is_every_field_in_the_order_of_the_type() {
    let shown = read(&withdrawal()).unwrap();
    assert_eq!(shown.title, "Withdrawal");
    assert_eq!(
        shown.fields,
        [
            ("to".to_owned(), "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266".to_owned()),
            ("amount".to_owned(), "1000".to_owned()),
        ]
    );
}

#[test]
fn numbers_may_be_json_numbers_or_strings_and_hash_alike() {
    let mut number = withdrawal();
    number["message"]["amount"] = json!(1000);
    let mut hex = withdrawal();
    hex["message"]["amount"] = json!("0x3e8");
    let expected = read(&withdrawal()).unwrap().action;
    assert_eq!(read(&number).unwrap().action, expected);
    assert_eq!(read(&hex).unwrap().action, expected);
}

#[test]
fn nested_structs_and_arrays_are_shown_whole() {
    let mut order = withdrawal();
    order["primaryType"] = json!("Order");
    order["types"] = json!({
        "Order": [{ "name": "legs", "type": "Leg[]" }, { "name": "memo", "type": "string" }],
        "Leg": [{ "name": "amount", "type": "uint256" }, { "name": "data", "type": "bytes4" }],
    });
    order["message"] = json!({ "legs": [{ "amount": "1", "data": "0x01020304" }], "memo": "hi" });
    let shown = read(&order).unwrap();
    assert_eq!(shown.fields[0].1, "[{amount: 1, data: 0x01020304}]");
}

#[test]
fn whatever_could_be_shown_and_not_hashed_or_hashed_and_not_shown_is_refused() {
    type Change = fn(&mut Value);
    let changes: [(&str, Change); 12] = [
        ("an unknown field", |v| v["message"]["bonus"] = json!("1")),
        ("a missing field", |v| drop(v["message"].as_object_mut().unwrap().remove("amount"))),
        ("an unknown key beside message", |v| v["domain"] = json!({})),
        ("a type that is not there", |v| v["primaryType"] = json!("Deposit")),
        ("a field of no known type", |v| v["types"]["Withdrawal"][1]["type"] = json!("money")),
        ("a domain among the types", |v| v["types"]["EIP712Domain"] = json!([])),
        ("a name that could carry a message", |v| v["types"]["Withdrawal"][1]["name"] = json!("amount\nto: you")),
        ("a number too large", |v| v["message"]["amount"] = json!(format!("0x1{}", "0".repeat(64)))),
        ("a negative number", |v| v["message"]["amount"] = json!("-1")),
        ("an address too short", |v| v["message"]["to"] = json!("0xf39fd6")),
        ("the zero consumer", |v| v["consumer"] = json!("0x0000000000000000000000000000000000000000")),
        ("a type that holds itself", |v| {
            v["types"]["Withdrawal"] =
                json!([{ "name": "to", "type": "Withdrawal" }, { "name": "amount", "type": "uint256" }]);
        }),
    ];
    for (name, change) in changes {
        let mut value = withdrawal();
        change(&mut value);
        assert!(read(&value).is_err(), "{name} was taken");
    }
}

#[test]
fn a_bomb_of_nesting_or_of_types_is_refused() {
    let mut deep = json!("end");
    for _ in 0..64 {
        deep = json!([deep]);
    }
    let mut value = withdrawal();
    value["message"]["to"] = deep;
    assert!(read(&value).is_err());

    let mut value = withdrawal();
    for n in 0..100 {
        value["types"][format!("T{n}")] = json!([{ "name": "x", "type": "uint256" }]);
    }
    assert!(read(&value).is_err());
}

#[test]
fn types_that_double_with_each_step_are_refused_before_they_are_hashed() {
    let started = std::time::Instant::now();
    for steps in [4, 9, 20, 31] {
        let mut value = withdrawal();
        let mut types = serde_json::Map::new();
        for step in 0..steps {
            let next = format!("T{}[]", step + 1);
            types.insert(format!("T{step}"), json!([{ "name": "a", "type": next }, { "name": "b", "type": next }]));
        }
        types.insert(format!("T{steps}"), json!([{ "name": "a", "type": "uint256" }]));
        value["types"] = Value::Object(types);
        value["primaryType"] = json!("T0");
        value["message"] = json!({ "a": [], "b": [] });
        assert_eq!(read(&value).is_ok(), steps == 4, "{steps} steps");
    }
    assert!(started.elapsed() < std::time::Duration::from_secs(5), "hashing began");
}

#[test]
fn a_sign_in_commits_to_its_origin_and_its_session() {
    let session = B256::left_padding_from(&[0x5a; 16]);
    let it = Authorization::sign_in("https://app.example", session);
    // As the page hashes it (web/src/wallet/code/shown.test.ts).
    let expected = b256!("98a29ff84ddfdef87d1b24e573a399506264024721b7f608ed9e22267449f745");
    assert_eq!((it.payload_hash, it.session), (Some(expected), Some(session)));
    assert_eq!(it.action, otp_core::id::action(Address::ZERO, expected));
}
