//! `make bench`: what one request costs, with and without the way to AWS (a stand-in on this machine). Compare figures
//! only with each other, on one machine.

use aws_lambda_events::sqs::SqsEvent;
use divan::Bencher;
use local::StandIn;
use serde_json::{Value, json};
use shared::{
    reply::streamed::Streamed,
    sms::segments::{self, Limit},
};
use tests::{environment, invoke, receive_message, sqs::Sqs, start_chat};
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
#[divan::bench(args = ["twilio", "telnyx", "vonage", "vonage-messages", "meta", "wrong-signature"])]
fn receive_message_stored(bencher: Bencher<'_, '_>, name: &str) {
    let runtime = Runtime::new().unwrap();
    let queue = runtime.block_on(Sqs::start());
    let secret = "ABCDEfghij1234567890KLMNOPqrstuvwxyz0123456789abcd";
    let accounts = json!([
        { "provider": "twilio", "auth_tokens": ["12345678901234567890123456789012"] },
        { "provider": "telnyx", "public_keys": ["A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="], "max_age_seconds": 0 },
        { "provider": "vonage", "signature_method": "sha256", "signature_secrets": [secret] },
        { "provider": "vonage-messages", "signature_secrets": [secret], "max_age_seconds": 0 },
        { "provider": "meta", "app_secrets": ["0123456789abcdef0123456789abcdef"] },
    ]);
    let environment = [
        ("BRIDGE_SETTINGS", json!({ "accounts": accounts }).to_string()),
        ("PUBLIC_BASE_URL", "http://localhost:9000".to_owned()),
        ("INBOUND_QUEUE_URL", format!("{}/123456789012/inbound.fifo", queue.url())),
    ];
    let function = runtime.block_on(receive_message(&environment, queue.url()));
    let event = event(&format!("receive-message/{name}"));
    bencher.bench_local(|| runtime.block_on(invoke(&function, &event)));
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
