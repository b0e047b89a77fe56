//! The deployed `send-reply`, as Lambda runs it: one line an item, and nothing of customers and agents in it.

use serde_json::{Value, json};
use tests::{
    providers::{Reply, SECRET},
    replies::{Desk, TWILIO},
    runtime::Binary,
};

/// What must never be printed.
const PRIVATE: [&str; 4] = [SECRET, "+14155550101", "+12025550100", "your card number"];

/// The environment of a deployed function, at this desk.
async fn environment(desk: &Desk) -> Vec<(&'static str, String)> {
    let mut environment = desk.environment();
    environment.extend([
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "AWSKEYID".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "AWSSECRETKEY".to_owned()),
        ("RUST_LOG", "trace".to_owned()),
    ]);
    environment
}

#[tokio::test]
async fn one_line_an_item_and_nothing_of_anybody() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    let binary = tokio::sync::Mutex::new(Binary::start("send-reply", &environment(&desk).await).await);
    for (label, reply, code, outcome, counted) in [
        ("taken", Reply::taken("twilio"), "OK", "done", "ReplyDelivered"),
        ("refused", Reply::refused("twilio"), "SEND_REFUSED", "dead letter", "ReplyNotDelivered"),
        ("opted out", Reply::opted_out("twilio").unwrap(), "OPTED_OUT", "given up", "ReplyNotDelivered"),
        ("reset", Reply::reset(), "MAY_HAVE_BEEN_DELIVERED", "dead letter", "ReplyNotDelivered"),
        ("no rights", Reply::status(401), "SEND_MISCONFIGURED", "later", "ReplyFailed"),
    ] {
        desk.providers.script("twilio", [reply]);
        desk.cloud.connect.agent_says(&chat, "text/plain", "your card number is 4").unwrap();
        desk.hand_over().await;
        let received = desk.poll_by(async |event| Ok(binary.lock().await.invoke(&event).await.unwrap())).await;
        assert!(received > 0, "{label}");
        let output = binary.lock().await.output().await;
        for line in &output {
            for private in PRIVATE {
                assert!(!line.contains(private), "{label}: {private} in {line}");
            }
        }
        let lines: Vec<Value> = output.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        // Beside the item: the agent who joins, and what the customer's participant is made to say.
        let item = lines.iter().find(|line| line["provider_calls"] == 1);
        let item = item.unwrap_or_else(|| panic!("{label}: {output:?}"));
        assert_eq!((item["service"].as_str(), item["contact_id"].as_str()), (Some("send-reply"), Some(chat.as_str())));
        assert_eq!((item["code"].as_str(), item["outcome"].as_str()), (Some(code), Some(outcome)), "{label}: {item}");
        assert!(lines.iter().any(|line| line["_aws"].is_object() && line[counted] == 1), "{label}: {output:?}");
        if label == "opted out" {
            desk.text_with("SM2", "START", Some(shared::sms::message::OptOut::Start)).await;
        }
    }
    let told = desk.told(&chat);
    assert_eq!(told.iter().filter(|note| note.starts_with("[not delivered]")).count(), 3, "{told:?}");
    assert_eq!(desk.dead_letters().await.len(), 2);
}

#[tokio::test]
async fn an_incomplete_environment_is_said_by_name() {
    let (desk, _) = Desk::with_chat(TWILIO).await;
    for missing in ["BRIDGE_SETTINGS", "AWS_REGION"] {
        let mut environment = environment(&desk).await;
        environment.retain(|(name, _)| *name != missing);
        let mut binary = Binary::start("send-reply", &environment).await;
        let output = binary.last_words().await.join("\n");
        assert!(output.contains(&format!("{missing} is not set")), "{missing}: {output}");
    }
}

/// What stands in `events/send-reply` is for `cargo lambda invoke`; in a chat that is known it works as it says.
#[tokio::test]
async fn the_events_in_the_repository_work() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    let function = desk.function().await;
    let directory = format!("{}/../events/send-reply", env!("CARGO_MANIFEST_DIR"));
    let expected = [
        ("agent-message", &["Good morning, how can I help?"][..]),
        ("attachment", &["[attachment: invoice.pdf]"]),
        ("bot-answer", &["Let me see."]),
        (
            "list-picker",
            &["What is it about?\nTap to choose\n1. Orders - Where is it?\n2. Billing\nReply with your choice."],
        ),
        ("malformed", &[]),
        ("markdown", &["Your order is on its way:\n\n- one lamp\n- two bulbs (https://shop.example/bulbs)"]),
        ("not-for-the-customer", &[]),
        ("raw-delivery", &["Sent with raw delivery"]),
        ("chat-ended", &[]),
    ];
    let mut files: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|file| file.unwrap().file_name()).collect();
    files.sort();
    let mut names: Vec<_> = expected.iter().map(|(name, _)| std::ffi::OsString::from(format!("{name}.json"))).collect();
    names.sort();
    assert_eq!(files, names, "a file that no test reads is no example but a guess");
    for (name, texts) in expected {
        desk.providers.forget();
        let event = std::fs::read_to_string(format!("{directory}/{name}.json")).unwrap();
        let event = event.replace("11111111-1111-4111-8111-111111111111", &chat);
        let answer = desk.invoke(&function, serde_json::from_str(&event).unwrap()).await.unwrap();
        assert_eq!(answer, json!({ "batchItemFailures": [] }), "{name}");
        let sent: Vec<_> = desk.sent().iter().map(tests::providers::Call::text).collect();
        assert_eq!(sent, texts, "{name}");
    }
    assert_eq!(desk.dead_letters().await.len(), 1);
}
