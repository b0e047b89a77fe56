//! MessageBird's classic API.

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use shared::sms::{message::Channel, providers::ProviderId, segments::Limit, webhook::Webhook};

use super::{Line, Picture, ProviderUnderTest, QUOTES_THE_NUMBER, Reply, Report, post_json};
use crate::fuzz::{self, Input, Template};

pub(super) struct Messagebird;

fn refusal(status: u16, code: u32) -> Reply {
    let error = json!({ "code": code, "description": QUOTES_THE_NUMBER, "parameter": "recipients" });
    Reply::new(status, json!({ "errors": [error] }))
}

impl ProviderUnderTest for Messagebird {
    fn id(&self) -> ProviderId {
        ProviderId::Messagebird
    }

    fn account(&self, secret: &str) -> Value {
        json!({ "signing_keys": [secret], "access_key": secret })
    }

    fn lines(&self) -> &'static [Line] {
        const { &[Line::sms("messagebird")] }
    }

    fn limit(&self, _: Channel) -> Limit {
        Limit::Segments(9)
    }

    fn request(&self, line: &Line, text: &str) -> Value {
        let body = json!({ "originator": &line.ours[1..], "recipients": [&line.customer[1..]], "body": text,
                           "datacoding": "auto", "reference": "[key]" });
        post_json("/messages", "AccessKey s3cret", body)
    }

    fn picture(&self, _: &str) -> Option<Picture> {
        Picture::at("https://media.messagebird.com/v1/media/1", "/v1/media/1", Some("AccessKey s3cret"))
    }

    fn file_request(&self, line: &Line, url: &str) -> Option<Value> {
        let body = json!({ "originator": &line.ours[1..], "recipients": [&line.customer[1..]], "mediaUrls": [url],
                           "reference": "[key]" });
        Some(post_json("/mms", "AccessKey s3cret", body))
    }

    fn text_at(&self) -> &'static str {
        "/body"
    }

    fn taken(&self) -> Reply {
        Reply::new(201, json!({ "id": "e8077d803532c0b5937c639b60216938", "direction": "mt", "type": "sms" }))
    }

    fn refused(&self) -> Reply {
        refusal(422, 9)
    }

    fn opted_out(&self) -> Option<Reply> {
        Some(refusal(422, 103))
    }

    fn message_id(&self) -> &'static str {
        "e8077d803532c0b5937c639b60216938"
    }

    fn report(&self, id: &str, report: Report<'_>) -> String {
        let status = match report {
            Report::Sent => "sent",
            Report::Delivered => "delivered",
            Report::Read => unreachable!("it does not report that"),
            Report::Failed(_) => "delivery_failed",
        };
        let code = if let Report::Failed(code) = report { code } else { "" };
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("id", id),
                ("reference", "3b5f"),
                ("recipient", "14155550101"),
                ("status", status),
                ("statusErrorCode", code),
                ("statusDatetime", "2026-09-21T14:13:18+00:00"),
            ])
            .finish()
    }

    fn failures(&self) -> &'static [(&'static str, &'static str)] {
        &[("104", "not delivered by the carrier")]
    }

    fn opt_out_code(&self) -> Option<&'static str> {
        Some("103")
    }

    fn asks(&self, url: &str) -> Vec<(&'static str, Value)> {
        vec![("/reportUrl", json!(url))]
    }

    fn headers(&self) -> &'static [&'static str] {
        &["messagebird-signature-jwt"]
    }

    fn template(&self) -> Template {
        let value = json!({
            "id": "e8077d803532c0b5937c639b60216938", "recipient": "447700900000", "originator": "31687654321",
            "body": "Hello agent", "createdDatetime": "2026-09-21T14:13:18+00:00",
            "mediaUrls": ["https://media.example/1", "https://media.example/2"],
            "mid": "1", "shortcode": "1008", "message": "Hello", "receive_datetime": "20260921141318"
        });
        Template::new(value, &["status", "delivered", "mediaURLs", "mediaUrls[]"])
    }

    fn takes_forms(&self) -> bool {
        true
    }

    fn sign(&self, webhook: &mut Webhook, secret: &str, input: &Input<'_>) -> bool {
        let starts = webhook.now - i64::from(input.age);
        let mut claims = json!({ "iss": "MessageBird", "nbf": starts, "iat": starts, "exp": starts + 60, "jti": "1",
                                 "url_hash": fuzz::sha256_of(webhook.url().as_bytes()) });
        if !webhook.body.is_empty() {
            claims["payload_hash"] = json!(fuzz::sha256_of(&webhook.body));
        }
        let (name, algorithm) = match input.way % 3 {
            0 => ("HS256", hmac::HMAC_SHA256),
            1 => ("HS384", hmac::HMAC_SHA384),
            _ => ("HS512", hmac::HMAC_SHA512),
        };
        let [header, claims] =
            [json!({ "alg": name }), claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = BASE64_URL_SAFE_NO_PAD.encode(fuzz::hmac_of(algorithm, secret, &signed));
        fuzz::set(webhook, "messagebird-signature-jwt", &format!("{signed}.{signature}"));
        // A second's leeway at both ends.
        (-1..=60).contains(&input.age)
    }
}
