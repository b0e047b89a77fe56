//! How much memory a stranger's request may cost: a small multiple of its size, whatever is in it.

use std::{
    future::Future,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lambda_runtime::{Context, LambdaEvent};
use local::StandIn;
use peak_alloc::PeakAlloc;
use serde_json::{Value, json};
use shared::{gateway, inbound::Inbound, reply::streamed::Streamed, sms::event::Event};
use tests::{
    Http,
    fuzz::{self, Shape},
    providers::PROVIDERS,
    start_chat,
};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Bytes that a request may cost for each of its own.
const TIMES: usize = 20;

/// Bytes that a request of no size may cost: buffers of the connection to Connect, and the like.
const CONSTANT: usize = 1024 * 1024;

/// Documents that cost a careless reader much, each of about `size` bytes.
fn documents(size: usize) -> Vec<(&'static str, String)> {
    let repeated = |unit: &str| unit.repeat(size / unit.len());
    let numbered = |value: &str| {
        let count = size / (value.len() + 12);
        (0..count).map(|number| format!(r#""n{number:06}":{value}"#)).collect::<Vec<_>>().join(",")
    };
    let long = "n".repeat(250);
    let list = format!("[{}]", vec!["0"; 99].join(","));
    let nested =
        format!(r#"{{"{long}":{{"ValueMap":"#).repeat(7) + &format!(r#"{{"ValueList":{list}}}"#) + &"}}".repeat(7);
    vec![
        ("a long text", format!(r#""{}""#, repeated("n"))),
        ("escapes", format!(r#""{}""#, repeated("\\u0041"))),
        ("halves of surrogate pairs", format!(r#""{}""#, repeated("\\ud83d"))),
        ("zeros", format!("[{}0]", repeated("0,"))),
        ("empty objects", format!("[{}{{}}]", repeated("{},"))),
        ("objects of one member", format!("[{}0]", repeated(r#"{"a":0},"#))),
        ("deep lists", repeated("[")),
        ("deep objects", repeated(r#"{"a":"#)),
        ("many members", format!("{{{}}}", numbered("0"))),
        ("many texts", format!("{{{}}}", numbered(r#""text""#))),
        ("many objects", format!("{{{}}}", numbered(r#"{"a":{"a":{"a":{}}}}"#))),
        ("many lists", format!("{{{}}}", numbered(&list))),
        ("long lists below long names", format!("{{{}}}", numbered(&nested))),
    ]
}

/// Runs something, and asserts that it cost no more than a request of `size` bytes may.
fn assert_cheap<T>(label: &str, size: usize, run: impl FnOnce() -> T) -> T {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let outcome = run();
    let cost = ALLOCATOR.peak_usage() - before;
    assert!(cost <= TIMES * size + CONSTANT, "{label}: {cost} bytes for a request of {size}");
    outcome
}

fn widget_requests() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let connect = runtime.block_on(StandIn::start()).unwrap();
    let mut environment = tests::environment();
    environment.push(("UNSIGNED_IDENTITY", "true".to_owned()));
    let function = runtime.block_on(start_chat(&environment, connect.url()));
    let call = |event: &str| -> Box<dyn Future<Output = Value>> {
        let mut context = Context::default();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        context.deadline = (now + Duration::from_secs(10)).as_millis().try_into().unwrap();
        let event = LambdaEvent::new(serde_json::from_str(event).unwrap(), context);
        let function = &function;
        Box::new(async move { serde_json::to_value(gateway::serve(function, event).await.unwrap()).unwrap() })
    };
    let answer = |label: &str, body: &str| {
        let event = Http::new("POST", "/chat").body(body).http_api().to_string();
        assert_cheap(label, body.len(), || runtime.block_on(Box::into_pin(call(&event))))
    };
    assert_eq!(answer("a first request", "{}")["statusCode"], 200);
    for field in ["Attributes", "SegmentAttributes", "ParticipantDetails", "unknown"] {
        for (kind, document) in documents(63 * 1024) {
            let said = answer(&format!("{field}: {kind}"), &format!(r#"{{"{field}":{document}}}"#));
            assert!([200, 400].map(Value::from).contains(&said["statusCode"]), "{field}: {kind}: {said}");
        }
    }
}

fn webhooks() {
    for provider in PROVIDERS {
        let template = provider.template();
        for (kind, document) in documents(300 * 1024) {
            let label = format!("{} {kind}", provider.label());
            // As one more member of a good webhook, in the place of all of it, and as a parameter of a form.
            let good = template.value().to_string();
            let with_more = good.replacen('{', &format!(r#"{{"zzz":{document},"#), 1);
            let form = form_urlencoded::Serializer::new(String::new()).append_pair("Body", &document).finish();
            for (shape, body) in [(Shape::Json, with_more), (Shape::Json, document.clone()), (Shape::Form, form)] {
                if shape == Shape::Form && !provider.takes_forms() {
                    continue;
                }
                let size = body.len();
                let webhook = fuzz::signed(provider.id(), body.as_bytes(), shape);
                let candidates = fuzz::candidates(provider.id());
                assert_cheap(&format!("{label} {shape:?}"), size, || {
                    let Ok(verified) = webhook.verify(&candidates) else { return };
                    let Ok(events) = verified.parse() else { return };
                    for (account, event) in events {
                        if let Event::Message(message) = event {
                            drop(Inbound::new(&account, *message).to_item());
                        }
                    }
                });
            }
        }
    }
}

fn other_documents() {
    for (kind, document) in documents(256 * 1024) {
        let size = document.len();
        assert_cheap(&format!("queue item: {kind}"), size, || drop(Inbound::from_item(&document)));
        let item = format!(r#"{{"v":1,"account":"a","provider":"twilio","message":{document}}}"#);
        assert_cheap(&format!("message: {kind}"), size, || drop(Inbound::from_item(&item)));
        for body in [json!({ "Type": "MESSAGE", "Content": document }).to_string(), document.clone()] {
            let mut streamed = aws_lambda_events::sqs::SqsMessage::default();
            streamed.body = Some(body);
            let size = streamed.body.as_ref().map_or(0, String::len);
            assert_cheap(&format!("streamed: {kind}"), size, || {
                drop(Streamed::read(&streamed).map(|streamed| drop(streamed.content())));
            });
        }
    }
}

/// One test, so that no other one's memory is counted.
#[test]
fn a_request_costs_memory_in_proportion_to_its_size() {
    widget_requests();
    webhooks();
    other_documents();
}
