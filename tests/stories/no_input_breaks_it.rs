//! Properties of the reader and the validation: no input makes the function panic or answer without JSON and CORS, and
//! what is let through is what Connect takes.

use local::StandIn;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tests::{Answer, Http, PAGE, environment, invoke, start_chat};

/// JSON of any kind, a few levels deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
        ".{0,10}".prop_map(Value::from),
        Just(json!("text/plain")),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[A-Za-z0-9_:-]{0,12}", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// An object whose members have the names that are read, with values of any kind.
fn any_request() -> impl Strategy<Value = Value> {
    let member = prop_oneof![
        Just("InstanceId"),
        Just("ConnectInstanceId"),
        Just("ContactFlowId"),
        Just("Attributes"),
        Just("ParticipantDetails"),
        Just("DisplayName"),
        Just("customerName"),
        Just("Username"),
        Just("InitialMessage"),
        Just("ContentType"),
        Just("Content"),
        Just("ClientToken"),
        Just("ChatDurationInMinutes"),
        Just("SupportedMessagingContentTypes"),
        Just("PersistentChat"),
        Just("RelatedContactId"),
        Just("SegmentAttributes"),
        Just("CustomerId"),
        Just("ParticipantConfiguration"),
        Just("DisconnectOnCustomerExit"),
        Just("ConnectionTypes"),
        Just("ChatStreamingConfiguration"),
        Just("unknown"),
    ];
    let inner = prop::collection::vec((member.clone(), any_json()), 0..4).prop_map(object);
    prop::collection::vec((member, prop_oneof![any_json(), inner]), 0..8).prop_map(object)
}

fn object(members: Vec<(&'static str, Value)>) -> Value {
    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

/// One runtime, one stand-in and one function for all the cases of a property.
fn for_all(cases: u32, strategy: impl Strategy<Value = Vec<u8>>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let connect = runtime.block_on(StandIn::start()).unwrap();
    let mut environment = environment();
    environment.push(("UNSIGNED_IDENTITY", "true".to_owned()));
    let function = runtime.block_on(start_chat(&environment, connect.url()));
    proptest!(ProptestConfig::with_cases(cases), |(body in strategy)| {
        connect.forget_calls();
        let request = Http::new("POST", "/chat").header("origin", PAGE).body(body);
        let answer = runtime.block_on(invoke(&function, &request.http_api()));
        check(&answer, connect.calls().len())?;
    });
}

/// Connect is called exactly when the request is accepted, and then takes it: the stand-in holds the API's constraints.
fn check(answer: &Answer, calls: usize) -> Result<(), TestCaseError> {
    prop_assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
    prop_assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    let code = answer.code();
    match answer.status {
        200 => prop_assert!(calls == 1 && answer.body["data"]["startChatResult"]["ParticipantToken"].is_string()),
        400 => prop_assert!(calls == 0 && code == Some("VALIDATION_ERROR") && answer.field().is_some(), "{:?}", answer),
        403 => prop_assert!(calls == 0 && answer.field().is_some(), "{:?}", answer),
        _ => prop_assert!(false, "{:?}", answer),
    }
    Ok(())
}

#[test]
fn any_bytes() {
    for_all(300, prop::collection::vec(any::<u8>(), 0..200));
}

#[test]
fn any_json_at_all() {
    for_all(300, any_json().prop_map(|value| value.to_string().into_bytes()));
}

#[test]
fn any_value_in_the_fields_that_are_read() {
    for_all(1_500, any_request().prop_map(|value| value.to_string().into_bytes()));
}

#[test]
fn any_cut_of_a_good_request() {
    let good = json!({ "Attributes": { "a": "é👋" }, "ParticipantDetails": { "DisplayName": "Jo" }, "ChatDurationInMinutes": 60 }).to_string();
    let length = good.len();
    for_all(100, (0..length, any::<u8>()).prop_map(move |(at, byte)| [&good.as_bytes()[..at], &[byte]].concat()));
}

#[test]
fn any_attributes_that_fit() {
    let attributes = prop::collection::btree_map("[A-Za-z0-9_-]{1,20}", "[^\u{0}]{0,300}", 0..40);
    for_all(200, attributes.prop_map(|attributes| json!({ "Attributes": attributes }).to_string().into_bytes()));
}
