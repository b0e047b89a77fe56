//! SignalWire.

use serde_json::{Value, json};
use shared::sms::{message::Channel, providers::ProviderId, segments::Limit, webhook::Webhook};

use super::{Line, Picture, ProviderUnderTest, Reply, Report, cxml};
use crate::{
    base64,
    fuzz::{self, Input, Shape, Template},
};

pub(super) struct Signalwire;

impl ProviderUnderTest for Signalwire {
    fn id(&self) -> ProviderId {
        ProviderId::Signalwire
    }

    fn account(&self, secret: &str) -> Value {
        json!({ "signing_keys": [secret], "space": "acme", "project_id": "720796a0-8ee9", "api_token": secret })
    }

    fn lines(&self) -> &'static [Line] {
        const { &[Line::sms("signalwire")] }
    }

    fn limit(&self, _: Channel) -> Limit {
        Limit::Units(1_600)
    }

    fn request(&self, line: &Line, text: &str) -> Value {
        let path = "/api/laml/2010-04-01/Accounts/720796a0-8ee9";
        cxml::request(path, &format!("Basic {}", base64(b"720796a0-8ee9:s3cret")), line, text)
    }

    fn picture(&self, _: &str) -> Option<Picture> {
        let credentials = format!("Basic {}", base64(b"720796a0-8ee9:s3cret"));
        Picture::at("https://acme.signalwire.com/api/media/1", "/api/media/1", Some(&credentials))
    }

    fn file_request(&self, line: &Line, url: &str) -> Option<Value> {
        Some(cxml::with_file(self.request(line, ""), url))
    }

    fn text_at(&self) -> &'static str {
        "/Body"
    }

    fn taken(&self) -> Reply {
        Reply::new(201, json!({ "sid": "b8d5c1f2-0d1e-4c5b-9c0a-111111111111", "status": "queued" }))
    }

    fn refused(&self) -> Reply {
        cxml::refusal(422, 21_217)
    }

    fn opted_out(&self) -> Option<Reply> {
        Some(cxml::refusal(400, 21_610))
    }

    fn message_id(&self) -> &'static str {
        "b8d5c1f2-0d1e-4c5b-9c0a-111111111111"
    }

    fn report(&self, id: &str, report: Report<'_>) -> String {
        super::cxml::report(id, report)
    }

    fn failures(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("30006", "the number can't receive texts"),
            ("30005", "the number is not in service"),
            ("30004", "the customer blocked or unsubscribed"),
            ("30007", "filtered as spam by the carrier"),
            ("30034", "refused by the provider's account settings"),
            ("30008", "try again later"),
            ("30019", "not delivered by the carrier"),
        ]
    }

    fn opt_out_code(&self) -> Option<&'static str> {
        Some("21610")
    }

    fn asks(&self, url: &str) -> Vec<(&'static str, Value)> {
        vec![("/StatusCallback", json!(url))]
    }

    fn headers(&self) -> &'static [&'static str] {
        &["x-signalwire-signature", "x-signalwire-sha256-signature", "x-twilio-signature"]
    }

    fn template(&self) -> Template {
        let value = json!({
            "MessageSid": "b8d5c1f2-0d1e-4c5b-9c0a-111111111111", "AccountSid": "720796a0-8ee9-4350-83bd-2d07a3121f1e",
            "From": "+14133881111", "To": "+12028831111", "Body": "Hello agent", "NumSegments": "1",
            "MediaUrl0": "https://media.example/1", "MessageStatus": "received",
            "event": "messaging.receive", "message_id": "b8d5c1f2-0d1e-4c5b-9c0a-222222222222", "project_id": "720796a0",
            "from": "+14133881112", "to": "+12028831111", "body": "Hello", "segments": 2, "media": ["https://m.example/1"],
            "params": { "id": "b8d5c1f2", "from_number": "+14133881113", "to_number": "+12028831111", "media": [],
                        "body": "Ho" }
        });
        Template::new(value, &["event_type", "CallSid", "SmsStatus", "bodySHA256"])
    }

    fn takes_forms(&self) -> bool {
        true
    }

    fn fuzz_accounts(&self, secret: &str) -> Vec<Value> {
        vec![
            json!({ "name": "s1", "signing_keys": [secret], "numbers": fuzz::numbers() }),
            json!({ "name": "s2", "signing_keys": [secret], "project_id": "720796a0" }),
        ]
    }

    fn sign(&self, webhook: &mut Webhook, secret: &str, input: &Input<'_>) -> bool {
        let own = if input.way & 2 == 0 { "x-signalwire-signature" } else { "x-twilio-signature" };
        let whole = |webhook: &Webhook| [cxml::url(webhook, input.way).as_bytes(), &webhook.body].concat();
        match (input.way >> 2) % 3 {
            0 => {
                let signed = cxml::signed(webhook, input, false);
                fuzz::set(webhook, own, &base64(&fuzz::sha1(secret, signed)));
            }
            1 => {
                let signature = hex::encode(fuzz::sha1(secret, whole(webhook)));
                fuzz::set(webhook, own, &signature);
            }
            _ => {
                let signature = hex::encode(fuzz::sha256(secret, whole(webhook)));
                fuzz::set(webhook, "x-signalwire-sha256-signature", &signature);
            }
        }
        // What is hex covers JSON bodies only.
        (input.way >> 2).is_multiple_of(3) || input.shape == Shape::Json
    }
}
