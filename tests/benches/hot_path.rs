//! `make bench`: what one request costs, with and without the way to AWS (a stand-in on this machine). Compare figures
//! only with each other, on one machine.

use aws_lambda_events::sqs::SqsEvent;
use divan::Bencher;
use jiff::Timestamp;
use local::{StandIn, Writing};
use serde_json::{Value, json};
use shared::{
    reply::streamed::Streamed,
    sms::segments::{self, Limit},
};
use tests::{Http, environment, invoke, providers, receive_message, sqs::Sqs, start_chat};
use tokio::runtime::Runtime;

fn main() {
    divan::main();
}

fn event(name: &str) -> Value {
    let path = format!("{}/../events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let mut event: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    if event["headers"]["origin"].is_string() {
        event["headers"]["origin"] = json!(tests::PAGE);
    }
    event
}

/// A whole invocation of `start-chat`, `StartChatContact` included.
#[divan::bench]
fn start_chat_started(bencher: Bencher<'_, '_>) {
    let runtime = Runtime::new().unwrap();
    let connect = runtime.block_on(StandIn::start()).unwrap();
    let function = runtime.block_on(start_chat(&environment(), connect.url()));
    let event = event("start-chat/chat-interface");
    bencher.bench_local(|| runtime.block_on(invoke(&function, &event)));
}

/// An invocation of `start-chat` that is refused before any call.
#[divan::bench]
fn start_chat_refused(bencher: Bencher<'_, '_>) {
    let runtime = Runtime::new().unwrap();
    let function = runtime.block_on(start_chat(&environment(), "http://127.0.0.1:1"));
    let event = event("start-chat/wrong-type");
    bencher.bench_local(|| runtime.block_on(invoke(&function, &event)));
}

/// A whole invocation of `receive-message`, `SendMessageBatch` included.
#[divan::bench(args = providers())]
fn receive_message_stored(bencher: Bencher<'_, '_>, provider: &str) {
    let runtime = Runtime::new().unwrap();
    let queue = runtime.block_on(Sqs::start());
    let (account, webhook) = webhook(provider);
    let function = runtime.block_on(receive_message(&receiving(&account, &queue), queue.url()));
    let event = webhook.http_api();
    assert_eq!(runtime.block_on(invoke(&function, &event)).status, 200);
    bencher.bench_local(|| runtime.block_on(invoke(&function, &event)));
}

/// A webhook that anyone may have sent.
#[divan::bench]
fn receive_message_refused(bencher: Bencher<'_, '_>) {
    let runtime = Runtime::new().unwrap();
    let queue = runtime.block_on(Sqs::start());
    let (account, webhook) = webhook("twilio");
    let function = runtime.block_on(receive_message(&receiving(&account, &queue), queue.url()));
    let event = webhook.body("From=%2B14155550123").http_api();
    assert_eq!(runtime.block_on(invoke(&function, &event)).status, 403);
    bencher.bench_local(|| runtime.block_on(invoke(&function, &event)));
}

/// Those whose webhooks come over HTTP with all that verifies them: SNS's need a certificate.
fn providers() -> Vec<&'static str> {
    providers::names().into_iter().filter(|name| *name != "aws-sns").collect()
}

const BASE: &str = "http://localhost:9000";

/// An account, and a text to it as its provider posts it.
fn webhook(provider: &str) -> (Value, Http) {
    let account = providers::account(provider, "https://api.example");
    let writing = Writing {
        account: provider.to_owned(),
        channel: None,
        from: "+14155550123".to_owned(),
        to: "+12025550100".to_owned(),
        text: "Hello agent".to_owned(),
        choice: None,
    };
    let [signed] = local::webhooks(&account, &writing, BASE, Timestamp::now()).unwrap().try_into().unwrap();
    let request = Http::new("POST", &signed.path).body(signed.body);
    (account, signed.headers.iter().fold(request, |request, (name, value)| request.header(name, value)))
}

fn receiving(account: &Value, queue: &Sqs) -> [(&'static str, String); 3] {
    let mut account = account.clone();
    // Signed once, however long it is measured.
    account["max_age_seconds"] = json!(0);
    [
        ("BRIDGE_SETTINGS", json!({ "accounts": [account] }).to_string()),
        ("PUBLIC_BASE_URL", BASE.to_owned()),
        ("INBOUND_QUEUE_URL", format!("{}/123456789012/inbound.fifo", queue.url())),
    ]
}

/// What `send-reply` does before its first call: an item is read and put into words.
#[divan::bench(args = ["agent-message", "markdown", "list-picker", "not-for-the-customer"])]
fn reply_read(bencher: Bencher<'_, '_>, name: &str) {
    let event: SqsEvent = serde_json::from_value(event(&format!("send-reply/{name}"))).unwrap();
    bencher.bench_local(|| event.records.iter().filter_map(|item| Some(Streamed::read(item).ok()?.content())).count());
}

/// The longest text that Connect takes, in parts for SMS.
#[divan::bench(args = ["GSM-7", "UCS-2"])]
fn reply_split(bencher: Bencher<'_, '_>, encoding: &str) {
    let line =
        if encoding == "GSM-7" { "Your parcel left this morning. " } else { "Ihr Päckchen 📦 ist unterwegs. " };
    let text = line.repeat(16_384 / line.len());
    bencher.bench_local(|| segments::split(&text, Limit::Units(1_600)).len());
}
