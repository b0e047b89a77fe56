//! `make bench`: what three files of 20 MB in one batch add to the resident memory of `deliver-message`: 40 MB at most.
//!
//! Connect's stand-in and the provider run in a process of their own, so that what they keep is not counted.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use deliver_message::DeliverMessage;
use local::StandIn;
use serde_json::{Value, json};
use shared::{
    config,
    inbound::Inbound,
    settings::Settings,
    sms::message::{Channel, Media, Message},
};
use tests::{
    FLOW, INSTANCE, TOPIC,
    aws::{Endpoints, OURS, invoke_within},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const MEGABYTE: usize = 1024 * 1024;
const FILE: usize = 20 * MEGABYTE;
const FILES: usize = 3;
const MOST: u64 = 40 * 1024;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    if std::env::args().any(|argument| argument == "serve") {
        runtime.block_on(serve());
    } else {
        runtime.block_on(measure());
    }
}

/// Connect and a provider. `/unknown` tells no length.
async fn serve() {
    let connect = StandIn::start().await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{} http://{}", connect.url(), listener.local_addr().unwrap());
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let mut head = [0; 4096];
            let read = stream.read(&mut head).await.unwrap();
            let is_unknown = String::from_utf8_lossy(&head[..read]).contains("/unknown");
            let length = if is_unknown { String::new() } else { format!("content-length: {FILE}\r\n") };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: image/png\r\nconnection: close\r\n{length}\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            let chunk = vec![7; MEGABYTE];
            for _ in 0..FILE / MEGABYTE {
                if stream.write_all(&chunk).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Kilobytes, by the kernel's word.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn measure() {
    let mut child = Command::new(std::env::current_exe().unwrap()).arg("serve").stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let (connect, provider) = line.trim().split_once(' ').unwrap();
    let settings = json!({ "accounts": [{ "provider": "telnyx", "send_base_url": provider,
                           "public_keys": ["A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="] }] });
    let function = function(connect, &settings).await;
    // What a first message makes is no file's.
    invoke(&function, &settings, "warm", &[""], 0).await;
    for (name, path) in [("length told", "/known"), ("length not told", "/unknown")] {
        let before = memory("VmRSS");
        let started = Instant::now();
        invoke(&function, &settings, name, &[path; FILES], 1).await;
        let added = memory("VmHWM").saturating_sub(before);
        println!(
            "{FILES} files of 20 MB in one batch, {name}: {added} KB more resident at most, {:?}",
            started.elapsed()
        );
        assert!(added <= MOST, "more than {MOST} KB");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

async fn function(connect: &str, settings: &Value) -> DeliverMessage {
    let environment = [
        ("CONNECT_INSTANCE_ID", INSTANCE.to_owned()),
        ("CONNECT_CONTACT_FLOW_ID", FLOW.to_owned()),
        ("STREAMING_TOPIC_ARN", TOPIC.to_owned()),
        ("FEATURE_ATTACHMENTS", "true".to_owned()),
        ("CHAT_STARTS_PER_SECOND", "100".to_owned()),
        ("BRIDGE_SETTINGS", settings.to_string()),
    ];
    let lookup = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
    let config = config::DeliverMessage::read(&config::Env::new(&lookup)).unwrap();
    let credentials = aws_credential_types::Credentials::from_keys("test", "test", None);
    let region = aws_config::Region::new("us-east-1");
    let sdk = shared::aws::loader().region(region).credentials_provider(credentials).load().await;
    let endpoints = Endpoints::new(["Connect", "ConnectParticipant"].map(|id| (id, connect.to_owned())));
    DeliverMessage::new(config, &sdk.into_builder().service_config(endpoints).build())
}

/// One batch: a message of each customer, with a file each, or none.
async fn invoke(function: &DeliverMessage, settings: &Value, name: &str, paths: &[&str], media: usize) {
    let read = Settings::from_json(settings.to_string().as_bytes()).unwrap();
    let base = settings["accounts"][0]["send_base_url"].as_str().unwrap();
    let records = paths.iter().enumerate().map(|(number, path)| {
        let customer = format!("+1415555010{number}");
        let mut message = Message::new("telnyx", Channel::Mms, format!("{name}-{number}"), customer, OURS);
        message.text = "Look".to_owned();
        let picture = Media {
            url: Some(format!("{base}{path}")),
            content_type: Some("image/png".to_owned()),
            ..Media::default()
        };
        message.media = vec![picture; media];
        let inbound = Inbound::new(&read.accounts[0], message);
        json!({ "messageId": format!("{name}-{number}"), "receiptHandle": "r", "body": inbound.to_item().unwrap(),
                "attributes": { "MessageGroupId": inbound.group_id(), "ApproximateReceiveCount": "1" },
                "messageAttributes": {}, "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:in.fifo", "awsRegion": "us-east-1" })
    });
    let event = json!({ "Records": records.collect::<Vec<_>>() });
    let answer =
        invoke_within(Duration::from_secs(60), event, async |event| function.handle(event).await).await.unwrap();
    assert_eq!(answer["batchItemFailures"], json!([]), "{name}");
}
