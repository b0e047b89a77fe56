//! An agent's file: by its URL, or by an upload, and told of where the channel carries none.

use local::{Fault, Operation};
use serde_json::json;
use tests::{
    providers::{PICTURE, Reply, lines},
    replies::{Desk, TWILIO},
};

type MakeFault = fn() -> Fault;

const FILE: (&str, &str) = ("mug.png", "image/png");

async fn desk_with_chat(line: tests::replies::Line) -> (Desk, String) {
    let (mut desk, chat) = Desk::with_chat(line).await;
    desk.variables.push(("FEATURE_ATTACHMENTS", "true"));
    (desk, chat)
}

async fn go(desk: &Desk) {
    desk.hand_over().await;
    desk.drain().await;
}

#[tokio::test]
async fn every_providers_way_of_sending_a_file() {
    for line in lines() {
        let (desk, chat) = desk_with_chat(line).await;
        if line.api().upload_path().is_some() {
            let uploaded =
                if line.provider == "meta" { json!({ "id": "uploaded" }) } else { json!({ "mediaId": "uploaded" }) };
            desk.providers.script(line.provider, [Reply::new(200, uploaded)]);
        }
        desk.cloud.connect.agent_sends(&chat, FILE, PICTURE, "APPROVED").unwrap();
        go(&desk).await;
        let url = desk.cloud.connect.calls_to(Operation::GetAttachment);
        let mut sent = desk.sent();
        match line.api().file_request(&line, "[url]") {
            Some(expected) => {
                if let Some(path) = line.api().upload_path() {
                    let upload = sent.remove(0);
                    assert_eq!(upload.path, path, "{}", line.label);
                    let body = upload.body;
                    assert!(body.contains(PICTURE) || body.contains("/_attachments/"), "{}: {body}", line.label);
                }
                assert_eq!(sent.len(), 1, "{}", line.label);
                let mut whole = sent[0].whole();
                hide_url(&mut whole, desk.cloud.connect.url());
                assert_eq!(whole, expected, "{}", line.label);
                assert_eq!(url.len(), 1, "{}", line.label);
                assert_eq!(desk.told(&chat), Vec::<String>::new(), "{}", line.label);
            }
            None => {
                assert!(sent.is_empty(), "{}", line.label);
                let told = ["[not delivered] mug.png\n(this channel carries no files)"];
                assert_eq!(desk.told(&chat), told, "{}", line.label);
            }
        }
    }
}

/// The stand-in's links differ in each run.
fn hide_url(value: &mut serde_json::Value, base: &str) {
    match value {
        serde_json::Value::String(text) if text.starts_with(&format!("{base}/_attachments/")) => {
            *text = "[url]".to_owned()
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| hide_url(item, base)),
        serde_json::Value::Object(members) => members.values_mut().for_each(|member| hide_url(member, base)),
        _ => (),
    }
}

#[tokio::test]
async fn a_file_waits_for_its_scan_and_goes_once() {
    for (verdict, sent) in [("APPROVED", 1), ("REJECTED", 0)] {
        let (desk, chat) = desk_with_chat(TWILIO).await;
        let id = desk.cloud.connect.agent_sends(&chat, FILE, PICTURE, "IN_PROGRESS").unwrap();
        go(&desk).await;
        assert_eq!(desk.sent().len(), 0, "{verdict}");
        desk.cloud.connect.scanned(&id, verdict).unwrap();
        let streamed = desk.streamed();
        for item in streamed.iter().chain(&streamed) {
            desk.notify(item).await;
        }
        desk.drain().await;
        assert_eq!(desk.sent().len(), sent, "{verdict}");
        assert_eq!(desk.told(&chat), Vec::<String>::new(), "{verdict}");
    }
}

#[tokio::test]
async fn a_file_that_the_provider_refuses_is_told_of_once() {
    let (desk, chat) = desk_with_chat(TWILIO).await;
    desk.providers.script("twilio", [Reply::refused("twilio")]);
    desk.cloud.connect.agent_sends(&chat, FILE, PICTURE, "APPROVED").unwrap();
    go(&desk).await;
    assert_eq!(desk.told(&chat), ["[not delivered] mug.png\n(the provider refused it)"]);
    assert_eq!(desk.sent().len(), 1);
}

#[tokio::test]
async fn whatever_get_attachment_meets_a_file_is_sent_once() {
    let faults: [(&str, MakeFault); 5] = [
        ("429", Fault::throttling),
        ("500", || Fault::error(500, "InternalServerException")),
        ("403", || Fault::error(403, "AccessDeniedException")),
        ("hang", Fault::hang),
        ("reset after", Fault::reset_after),
    ];
    for (name, fault) in faults {
        let (desk, chat) = desk_with_chat(TWILIO).await;
        desk.cloud.connect.fail(Operation::GetAttachment, fault());
        desk.cloud.connect.agent_sends(&chat, FILE, PICTURE, "APPROVED").unwrap();
        go(&desk).await;
        // Another URL at each try.
        assert!(desk.cloud.connect.calls_to(Operation::GetAttachment).len() >= 2, "{name}");
        let told = desk.told(&chat);
        assert_eq!((desk.sent().len(), told.len()), (1, 0), "{name}: {told:?}");
    }
}

#[tokio::test]
async fn without_the_feature_a_file_is_its_name() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    desk.cloud.connect.agent_sends(&chat, FILE, PICTURE, "APPROVED").unwrap();
    go(&desk).await;
    let sent: Vec<_> = desk.sent().iter().map(tests::providers::Call::text).collect();
    assert_eq!(sent, ["[attachment: mug.png]"]);
}
