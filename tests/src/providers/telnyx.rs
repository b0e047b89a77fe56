//! Telnyx.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use shared::sms::{message::Channel, providers::ProviderId, segments::Limit, webhook::Webhook};

use super::{Line, Picture, ProviderUnderTest, QUOTES_THE_NUMBER, Reply, Report, post};
use crate::{
    base64,
    fuzz::{self, Input, Template},
};

/// What the stand-in's phone signs with.
const PHONES_KEY: &str = "+Rs4TBveY7m1Zu7kZd4J2q9SBzHQDwQN/ynhy8hobfU=";

pub(super) struct Telnyx;

/// The account's key pair, made of any secret.
fn key(secret: &str) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&fuzz::sha256("", secret)).unwrap()
}

fn refusal(status: u16, code: &str) -> Reply {
    let error = json!({ "code": code, "title": QUOTES_THE_NUMBER, "detail": QUOTES_THE_NUMBER });
    Reply::new(status, json!({ "errors": [error] }))
}

impl ProviderUnderTest for Telnyx {
    fn id(&self) -> ProviderId {
        ProviderId::Telnyx
    }

    fn account(&self, secret: &str) -> Value {
        json!({ "public_keys": [base64(key(secret).public_key().as_ref()), PHONES_KEY], "api_key": secret })
    }

    fn lines(&self) -> &'static [Line] {
        const { &[Line::sms("telnyx")] }
    }

    fn limit(&self, _: Channel) -> Limit {
        Limit::Units(670)
    }

    fn request(&self, line: &Line, text: &str) -> Value {
        post(
            "/v2/messages",
            json!({ "authorization": "Bearer s3cret", "content-type": "application/json", "idempotency-key": "[key]" }),
            json!({ "from": line.ours, "to": line.customer, "text": text, "type": "SMS" }),
        )
    }

    fn picture(&self, base: &str) -> Option<Picture> {
        Picture::at(&format!("{base}/media/1?x=y"), "/media/1?x=y", None)
    }

    fn file_request(&self, line: &Line, url: &str) -> Option<Value> {
        let mut request = self.request(line, "");
        request["body"] = json!({ "from": line.ours, "to": line.customer, "media_urls": [url], "type": "MMS" });
        Some(request)
    }

    fn text_at(&self) -> &'static str {
        "/text"
    }

    fn taken(&self) -> Reply {
        let to = json!([{ "phone_number": "+14133881111", "status": "queued" }]);
        Reply::new(200, json!({ "data": { "id": "84cca175-9755-4859-b67f-4730d7f58aa3", "parts": 1, "to": to } }))
    }

    fn refused(&self) -> Reply {
        refusal(422, "40310")
    }

    fn opted_out(&self) -> Option<Reply> {
        Some(refusal(403, "40300"))
    }

    fn supports_idempotency(&self) -> bool {
        true
    }

    fn message_id(&self) -> &'static str {
        "84cca175-9755-4859-b67f-4730d7f58aa3"
    }

    fn report(&self, id: &str, report: Report<'_>) -> String {
        let status = match report {
            Report::Sent => "sent",
            Report::Delivered => "delivered",
            Report::Read => "read",
            Report::Failed(_) => "delivery_failed",
        };
        let errors =
            if let Report::Failed(code) = report { json!([{ "code": code, "title": "…" }]) } else { json!([]) };
        let event_type = if report == Report::Sent { "message.sent" } else { "message.finalized" };
        let to = json!([{ "phone_number": "+14133881111", "status": status, "line_type": "Wireless" }]);
        let payload = json!({ "id": id, "direction": "outbound", "to": to, "errors": errors,
                              "completed_at": "2026-09-21T14:13:18.000+00:00" });
        json!({ "data": { "event_type": event_type, "id": "e-1", "record_type": "event", "payload": payload } })
            .to_string()
    }

    fn failures(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("40001", "the number can't receive texts"),
            ("40008", "the number is not in service"),
            ("40002", "filtered as spam by the carrier"),
            ("40004", "try again later"),
            ("40009", "not delivered by the carrier"),
        ]
    }

    fn opt_out_code(&self) -> Option<&'static str> {
        Some("40300")
    }

    fn reports_reads(&self) -> bool {
        true
    }

    fn headers(&self) -> &'static [&'static str] {
        &["telnyx-signature-ed25519", "telnyx-timestamp"]
    }

    fn template(&self) -> Template {
        let value = json!({
            "data": { "event_type": "message.received", "id": "b301ed3f", "payload": {
                "id": "84cca175-9755-4859-b67f-4730d7f58aa3", "direction": "inbound", "type": "SMS",
                "from": { "phone_number": "+13125550001" },
                "to": [{ "phone_number": "+17735550002", "status": "webhook_delivered" },
                       { "phone_number": "+17735550003" }],
                "cc": [{ "phone_number": "+17735550004" }], "text": "Hello agent",
                "media": [{ "url": "https://media.example/1", "content_type": "image/png", "size": 10 }],
                "encoding": "GSM-7", "parts": 1, "received_at": "2026-09-21T14:13:18.000+00:00",
                "autoresponse_type": "STOP" } }
        });
        Template::new(value, &["MMS", "HELP", "message.sent", "outbound"])
    }

    fn sign(&self, webhook: &mut Webhook, secret: &str, input: &Input<'_>) -> bool {
        let timestamp = (webhook.now - i64::from(input.age)).to_string();
        let signed = [timestamp.as_bytes(), b"|", &webhook.body].concat();
        fuzz::set(webhook, "telnyx-signature-ed25519", &base64(key(secret).sign(&signed).as_ref()));
        fuzz::set(webhook, "telnyx-timestamp", &timestamp);
        fuzz::is_timely(input)
    }
}
