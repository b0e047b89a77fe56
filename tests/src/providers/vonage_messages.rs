//! Vonage's Messages API.

use aws_lc_rs::{
    rsa,
    signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use shared::sms::{message::Channel, providers::ProviderId, segments::Limit, webhook::Webhook};

use super::{Call, Line, Picture, ProviderUnderTest, QUOTES_THE_NUMBER, Reply, Report, post_json};
use crate::fuzz::{self, Input, Template};

/// The application's key: made for tests only.
const PRIVATE_KEY: &str = include_str!("../../../shared/src/sms/providers/aws_sns/fixtures/test-only.key.pem");
const APPLICATION_ID: &str = "aaaaaaaa-bbbb-cccc-dddd-0123456789ab";

pub(super) struct VonageMessages;

impl ProviderUnderTest for VonageMessages {
    fn id(&self) -> ProviderId {
        ProviderId::VonageMessages
    }

    fn account(&self, secret: &str) -> Value {
        json!({ "signature_secrets": [secret], "application_id": APPLICATION_ID, "private_key": PRIVATE_KEY })
    }

    fn lines(&self) -> &'static [Line] {
        const { &[Line::sms("vonage-messages")] }
    }

    fn limit(&self, _: Channel) -> Limit {
        Limit::Units(1_000)
    }

    fn request(&self, line: &Line, text: &str) -> Value {
        let body = json!({ "message_type": "text", "channel": "sms", "to": &line.customer[1..], "from": &line.ours[1..],
                           "text": text, "client_ref": "[key]" });
        post_json("/v1/messages", "Bearer [JWT]", body)
    }

    fn picture(&self, _: &str) -> Option<Picture> {
        let path = "/v3/media/1b456509-974c-458b-aafa-45fc48a4d976";
        Picture::at(&format!("https://api-us.nexmo.com{path}"), path, Some("Bearer [JWT]"))
    }

    fn file_request(&self, line: &Line, url: &str) -> Option<Value> {
        let body = json!({ "message_type": "image", "channel": "mms", "to": &line.customer[1..],
                           "from": &line.ours[1..], "image": { "url": url }, "client_ref": "[key]" });
        Some(post_json("/v1/messages", "Bearer [JWT]", body))
    }

    fn text_at(&self) -> &'static str {
        "/text"
    }

    /// By the application's key; what the token says is asserted beside the code that makes it.
    fn assert_signed(&self, call: &Call) {
        let pem = PRIVATE_KEY.split("-----").nth(2).unwrap().replace('\n', "");
        let pair = rsa::KeyPair::from_pkcs8(&BASE64_STANDARD.decode(pem).unwrap()).unwrap();
        let token = call.headers["authorization"].strip_prefix("Bearer ").unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key());
        key.verify(signed.as_bytes(), &signature).unwrap();
    }

    fn taken(&self) -> Reply {
        Reply::new(202, json!({ "message_uuid": "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab" }))
    }

    fn refused(&self) -> Reply {
        Reply::new(
            422,
            json!({ "type": "https://developer.vonage.com/api-errors/messages#1040", "title": QUOTES_THE_NUMBER,
                    "detail": QUOTES_THE_NUMBER, "instance": "i" }),
        )
    }

    fn message_id(&self) -> &'static str {
        "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab"
    }

    fn report(&self, id: &str, report: Report<'_>) -> String {
        let status = match report {
            Report::Sent => "submitted",
            Report::Delivered => "delivered",
            Report::Read => "read",
            Report::Failed(_) => "undeliverable",
        };
        let mut body = json!({ "message_uuid": id, "to": "14155550101", "from": "12025550100", "status": status,
                               "timestamp": "2026-09-21T14:13:18Z", "channel": "sms" });
        if let Report::Failed(code) = report {
            let kind = format!("https://developer.vonage.com/api-errors/messages#{code}");
            body["error"] = json!({ "type": kind, "title": "…", "detail": "…" });
        }
        body.to_string()
    }

    fn failures(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("1250", "the number can't receive texts"),
            ("1190", "the number is not in service"),
            ("1210", "filtered as spam by the carrier"),
            ("1300", "not on WhatsApp"),
            ("1340", "WhatsApp's 24 hours are over"),
            ("1180", "try again later"),
            ("1000", "not delivered by the carrier"),
        ]
    }

    fn opt_out_code(&self) -> Option<&'static str> {
        Some("1240")
    }

    fn reports_reads(&self) -> bool {
        true
    }

    fn asks(&self, url: &str) -> Vec<(&'static str, Value)> {
        vec![("/webhook_url", json!(url))]
    }

    fn headers(&self) -> &'static [&'static str] {
        &["authorization", "x-vonage-webhook-auth-token"]
    }

    fn template(&self) -> Template {
        let medium = json!({ "url": "https://media.example/1", "name": "a.png", "caption": "Look" });
        let mut value = json!({
            "channel": "whatsapp", "message_uuid": "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab", "to": "447700900000",
            "from": "447700900001", "timestamp": "2026-09-21T14:13:18Z", "message_type": "text", "text": "Hello agent",
            "sms": { "num_messages": "2", "total_count": 2 }, "profile": { "name": "Jo" },
            "context": { "message_uuid": "aaaaaaaa" },
            "whatsapp": { "sender": { "wa_id": "447700900002", "user_id": "US.13491208655302741918",
                                      "parent_user_id": "US.ENT.1" } },
            "location": { "lat": 51.5, "long": "-0.1", "name": "Home", "address": "1 Main Street" },
            "reply": { "id": "1", "title": "Yes", "description": "Indeed" }, "button": { "payload": "yes", "text": "Yes" }
        });
        for kind in ["image", "audio", "video", "file", "vcard", "sticker"] {
            value[kind] = medium.clone();
        }
        Template::new(value, &["mms", "rcs", "messenger", "reaction", "status"])
    }

    fn fuzz_accounts(&self, secret: &str) -> Vec<Value> {
        vec![
            json!({ "name": "v1", "signature_secrets": [secret] }),
            json!({ "name": "v2", "signature_secrets": [secret], "api_key": "abcd1234",
                    "application_id": APPLICATION_ID, "numbers": fuzz::numbers() }),
        ]
    }

    fn sign(&self, webhook: &mut Webhook, secret: &str, input: &Input<'_>) -> bool {
        let claims = json!({ "iat": webhook.now - i64::from(input.age), "jti": "c5ba8f24", "iss": "Vonage",
                             "payload_hash": fuzz::sha256_of(&webhook.body), "api_key": "abcd1234",
                             "application_id": APPLICATION_ID });
        let [header, claims] = [r#"{"alg":"HS256","typ":"JWT"}"#.to_owned(), claims.to_string()]
            .map(|part| BASE64_URL_SAFE_NO_PAD.encode(part));
        let signed = format!("{header}.{claims}");
        let signature = BASE64_URL_SAFE_NO_PAD.encode(fuzz::sha256(secret, &signed));
        let token = format!("{signed}.{signature}");
        match input.way % 3 {
            0 => fuzz::set(webhook, "authorization", &format!("Bearer {token}")),
            1 => fuzz::set(webhook, "x-vonage-webhook-auth-token", &token),
            _ => fuzz::set(webhook, "x-vonage-webhook-auth-token", &format!("bearer {token}")),
        }
        fuzz::is_timely(input)
    }
}
