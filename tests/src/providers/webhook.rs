//! A channel of the owner's own.

use serde_json::{Value, json};
use shared::{
    Kind,
    sms::{message::Channel, providers::ProviderId, segments::Limit},
};

use super::{Call, Line, ProviderUnderTest, QUOTES_THE_NUMBER, Reply, Report, SECRET, post};
use crate::{
    base64,
    fuzz::{self, Template},
};

pub(super) struct Webhook;

/// Secrets are base64 of some length.
fn key(secret: &str) -> Vec<u8> {
    fuzz::sha256("", secret)
}

impl ProviderUnderTest for Webhook {
    fn id(&self) -> ProviderId {
        ProviderId::Webhook
    }

    fn account(&self, secret: &str) -> Value {
        let secret = format!("whsec_{}", base64(&key(secret)));
        json!({ "signing_secrets": [secret], "send_secrets": [secret], "send_url": "https://line.example.com/out" })
    }

    /// The account names the whole URL; what is not on this machine is https.
    fn send_to(&self, account: &mut Value, base: &str) {
        let base = if base.starts_with("http://127.0.0.1") { base.to_owned() } else { base.replace("http:", "https:") };
        account["send_url"] = json!(format!("{base}/out"));
    }

    fn lines(&self) -> &'static [Line] {
        const { &[Line::sms("webhook")] }
    }

    fn limit(&self, _: Channel) -> Limit {
        Limit::Characters(4_096)
    }

    fn request(&self, line: &Line, text: &str) -> Value {
        post(
            "/out",
            json!({ "content-type": "application/json", "webhook-id": "[key]" }),
            json!({ "type": "message", "data": { "id": "[key]", "from": line.ours, "to": line.customer, "text": text,
                                                 "contact_id": "contact" } }),
        )
    }

    fn file_request(&self, line: &Line, url: &str) -> Option<Value> {
        let mut request = self.request(line, "");
        let data = request["body"]["data"].as_object_mut().unwrap();
        data.remove("text");
        data.insert("media".to_owned(), json!([{ "url": url, "content_type": "image/png", "name": "mug.png" }]));
        Some(request)
    }

    fn text_at(&self) -> &'static str {
        "/data/text"
    }

    fn assert_signed(&self, call: &Call) {
        let header = |name: &str| call.headers[name].as_str();
        let signed = format!("{}.{}.{}", header("webhook-id"), header("webhook-timestamp"), call.body);
        let mac = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &key(SECRET));
        let expected = base64(aws_lc_rs::hmac::sign(&mac, signed.as_bytes()).as_ref());
        assert_eq!(header("webhook-signature"), format!("v1,{expected}"));
    }

    fn taken(&self) -> Reply {
        Reply::new(200, json!({ "id": "7" }))
    }

    fn refused(&self) -> Reply {
        Reply::new(422, json!({ "error": QUOTES_THE_NUMBER }))
    }

    fn opted_out(&self) -> Option<Reply> {
        Some(Reply::status(410))
    }

    fn means(&self, status: u16, usual: Kind) -> Kind {
        match status {
            401 | 403 | 404 => Kind::SendRefused,
            503 => Kind::Throttled,
            _ => usual,
        }
    }

    fn supports_idempotency(&self) -> bool {
        true
    }

    fn message_id(&self) -> &'static str {
        "7"
    }

    fn taken_as(&self, id: &str) -> Reply {
        Reply::new(200, json!({ "id": id }))
    }

    fn report(&self, id: &str, report: Report<'_>) -> String {
        let status = match report {
            Report::Sent => unreachable!("it does not report that"),
            Report::Delivered => "delivered",
            Report::Read => "read",
            Report::Failed(_) => "failed",
        };
        let mut data = json!({ "message_id": id, "status": status });
        if let Report::Failed(code) = report {
            data["reason"] = json!(code);
        }
        json!({ "type": "status", "data": data }).to_string()
    }

    fn failures(&self) -> &'static [(&'static str, &'static str)] {
        &[("its own words", "its own words")]
    }

    fn reports_reads(&self) -> bool {
        true
    }

    fn headers(&self) -> &'static [&'static str] {
        &["webhook-id", "webhook-timestamp", "webhook-signature"]
    }

    fn template(&self) -> Template {
        let value = json!({
            "type": "message",
            "data": {
                "id": "42", "from": "user-7", "to": "shop", "text": "Hello agent", "profile_name": "Jo",
                "media": [{ "url": "https://media.example/1", "content_type": "image/png", "name": "a.png" }],
                "location": { "latitude": 48.1, "longitude": 11.5, "name": "Office", "address": "1 Main St" },
                "choice_id": "1", "received_at": "2026-09-21T14:13:18Z", "message_id": "1", "status": "read" }
        });
        Template::new(value, &["opt_out", "opt_in", "end", "typing", "status", "reaction", "delivered"])
    }
}
