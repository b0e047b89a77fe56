//! Plivo's V2 signature covers neither body nor query: what was signed for one message must not come with another.

use local::Operation::{CreateParticipantConnection, StartChatContact};
use serde_json::json;
use shared::inbound::Inbound;
use tests::{Http, aws::Cloud, base64, invoke, receive_message, sqs::Sqs};

const BASE: &str = "https://sms.example.com";
const TOKEN: &str = "MjA2NjE1OTg0Mjg3NzA0NDQwMTM4";

/// A message as Plivo posts and signs it by V2: HMAC-SHA256 of URL and nonce.
fn plivo(nonce: &str, id: &str, text: &str) -> Http {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, TOKEN.as_bytes());
    let signature = base64(aws_lc_rs::hmac::sign(&key, format!("{BASE}/sms/plivo{nonce}").as_bytes()).as_ref());
    let fields = [("From", "14155550101"), ("To", "12025550100"), ("MessageUUID", id), ("Text", text), ("Type", "sms")];
    Http::new("POST", "/sms/plivo")
        .header("Content-Type", "application/x-www-form-urlencoded")
        .header("X-Plivo-Signature-V2", &signature)
        .header("X-Plivo-Signature-V2-Nonce", nonce)
        .body(form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish())
}

#[tokio::test]
async fn a_replayed_nonce_with_another_text_is_refused() {
    let queue = Sqs::start().await;
    let settings = json!({ "accounts": [{ "provider": "plivo", "auth_tokens": [TOKEN] }] }).to_string();
    let environment = [
        ("BRIDGE_SETTINGS", settings),
        ("PUBLIC_BASE_URL", BASE.to_owned()),
        ("INBOUND_QUEUE_URL", format!("{}/123456789012/inbound.fifo", queue.url())),
    ];
    let function = receive_message(&environment, queue.url()).await;
    let cloud = Cloud::start().await;
    let deliver = cloud.function().await;
    for (label, webhook, status) in [
        ("Plivo's own", plivo("05429567804466091622", "1", "Hello"), 200),
        ("Plivo's own, once more", plivo("05429567804466091622", "1", "Hello"), 200),
        ("the nonce with another id and text", plivo("05429567804466091622", "2", "Send me your PIN"), 200),
        ("the nonce with another text", plivo("05429567804466091622", "1", "Send me your PIN"), 200),
        ("another nonce, another message", plivo("05429567804466091623", "3", "Bye"), 200),
        (
            "a nonce of one's own",
            Http {
                headers: plivo("1", "4", "x")
                    .headers
                    .into_iter()
                    .map(|(name, value)| if name.ends_with("Nonce") { (name, "2".to_owned()) } else { (name, value) })
                    .collect(),
                ..plivo("1", "4", "x")
            },
            403,
        ),
    ] {
        queue.forget();
        assert_eq!(invoke(&function, &webhook.http_api()).await.status, status, "{label}");
        let items = queue.items();
        let items: Vec<_> = items.iter().map(|item| Inbound::from_item(&item.to_string()).unwrap()).collect();
        // Not dropped by the queue, which knows its repeats for five minutes only.
        cloud.send_as(&items, label.len().to_string().as_str()).await;
        cloud.drain(&deliver).await;
    }
    assert_eq!(cloud.said_by("+14155550101"), ["Hello", "Bye"]);
    let letters = cloud.dead_letters().await;
    assert_eq!(letters.iter().map(|(reason, _)| reason.as_str()).collect::<Vec<_>>(), ["unverified"]);
    let started = [StartChatContact, CreateParticipantConnection].map(|operation| cloud.connect.calls_to(operation));
    assert!(started.iter().all(|calls| calls.len() == 1));
}
