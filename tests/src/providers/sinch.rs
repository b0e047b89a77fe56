//! Sinch's SMS API.

use serde_json::{Value, json};
use shared::sms::{message::Channel, providers::ProviderId, segments::Limit, webhook::Webhook};

use super::{Line, Picture, ProviderUnderTest, QUOTES_THE_NUMBER, Reply, Report, post_json};
use crate::{
    base64,
    fuzz::{self, Input, Template},
};

const NONCE: &str = "01FJA8B4A7BM43YGWSG9GBV067";

pub(super) struct Sinch;

impl ProviderUnderTest for Sinch {
    fn id(&self) -> ProviderId {
        ProviderId::Sinch
    }

    fn account(&self, secret: &str) -> Value {
        json!({ "webhook_secrets": [secret], "service_plan_id": "plan-1", "api_token": secret, "region": "eu" })
    }

    fn lines(&self) -> &'static [Line] {
        const { &[Line::sms("sinch")] }
    }

    fn limit(&self, _: Channel) -> Limit {
        Limit::Units(1_600)
    }

    fn request(&self, line: &Line, text: &str) -> Value {
        post_json(
            "/xms/v1/plan-1/batches",
            "Bearer s3cret",
            json!({ "type": "mt_text", "from": &line.ours[1..], "to": [&line.customer[1..]], "body": text,
                    "client_reference": "[key]" }),
        )
    }

    fn picture(&self, base: &str) -> Option<Picture> {
        Picture::at(&format!("{base}/media/1"), "/media/1", None)
    }

    fn file_request(&self, line: &Line, url: &str) -> Option<Value> {
        let mut request = self.request(line, "");
        request["body"]["type"] = json!("mt_media");
        request["body"]["body"] = json!({ "url": url });
        Some(request)
    }

    fn text_at(&self) -> &'static str {
        "/body"
    }

    fn taken(&self) -> Reply {
        Reply::new(201, json!({ "id": "01FC66621XXXXX119Z8PMV1QPQ", "type": "mt_text", "canceled": false }))
    }

    fn refused(&self) -> Reply {
        Reply::new(400, json!({ "code": "syntax_constraint_violation", "text": QUOTES_THE_NUMBER }))
    }

    fn message_id(&self) -> &'static str {
        "01FC66621XXXXX119Z8PMV1QPQ"
    }

    fn report(&self, id: &str, report: Report<'_>) -> String {
        let status = match report {
            Report::Sent => "Dispatched",
            Report::Delivered => "Delivered",
            Report::Read => unreachable!("it does not report that"),
            Report::Failed(_) => "Failed",
        };
        let code: u32 = if let Report::Failed(code) = report { code.parse().unwrap() } else { 0 };
        json!({ "type": "recipient_delivery_report_sms", "batch_id": id, "recipient": "14155550101", "code": code,
                "status": status, "at": "2026-09-21T14:13:18.720Z" })
        .to_string()
    }

    fn failures(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("402", "the number is not in service"),
            ("62", "filtered as spam by the carrier"),
            ("413", "refused by the provider's account settings"),
            ("406", "try again later"),
            ("414", "not delivered by the carrier"),
        ]
    }

    fn asks(&self, url: &str) -> Vec<(&'static str, Value)> {
        vec![("/callback_url", json!(url)), ("/delivery_report", json!("per_recipient"))]
    }

    fn headers(&self) -> &'static [&'static str] {
        &[
            "x-sinch-webhook-signature",
            "x-sinch-webhook-signature-algorithm",
            "x-sinch-webhook-signature-nonce",
            "x-sinch-webhook-signature-timestamp",
        ]
    }

    fn template(&self) -> Template {
        let value = json!({
            "type": "mo_text", "id": "01XXXXX21XXXXX119Z8P1XXXXX", "from": "16051234567", "to": "12025550134",
            "body": "Hello agent", "udh": "0500031a0201", "received_at": "2026-09-21T14:13:18.720Z"
        });
        Template::new(value, &["mo_binary", "mo_media", "mo_x", "delivery_report_sms", "SGVsbG8=", "06050415811581"])
    }

    fn field_of<'a>(&self, config: &'a str) -> &'a str {
        if config == "secret" { "webhook_secret" } else { config }
    }

    fn sign(&self, webhook: &mut Webhook, secret: &str, input: &Input<'_>) -> bool {
        let timestamp = (webhook.now - i64::from(input.age)).to_string();
        let signed = [&webhook.body, format!(".{NONCE}.{timestamp}").as_bytes()].concat();
        fuzz::set(webhook, "x-sinch-webhook-signature", &base64(&fuzz::sha256(secret, &signed)));
        fuzz::set(webhook, "x-sinch-webhook-signature-algorithm", "HmacSHA256");
        fuzz::set(webhook, "x-sinch-webhook-signature-nonce", NONCE);
        fuzz::set(webhook, "x-sinch-webhook-signature-timestamp", &timestamp);
        fuzz::is_timely(input)
    }
}
