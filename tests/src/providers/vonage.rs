//! Vonage's SMS API.

use std::collections::BTreeMap;

use aws_lc_rs::hmac::HMAC_SHA512;
use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::{Digest as _, Md5};
use serde_json::{Map, Value, json};
use shared::sms::{
    message::Channel,
    providers::ProviderId,
    segments::{Encoding, Limit, size},
    webhook::Webhook,
};

use super::{Line, ProviderUnderTest, QUOTES_THE_NUMBER, Reply, Report, post};
use crate::fuzz::{self, Input, Shape, Template};

/// The ways of signing; an account has one of them.
const METHODS: [&str; 5] = ["md5hash", "md5", "sha1", "sha256", "sha512"];

pub(super) struct Vonage;

/// It answers 200, whatever went wrong in a request that it could read.
fn refusal(code: &str) -> Reply {
    let message = json!({ "status": code, "error-text": QUOTES_THE_NUMBER });
    Reply::new(200, json!({ "message-count": "1", "messages": [message] }))
}

impl ProviderUnderTest for Vonage {
    fn id(&self) -> ProviderId {
        ProviderId::Vonage
    }

    fn account(&self, secret: &str) -> Value {
        json!({ "signature_secrets": [secret], "api_key": "abcd1234", "api_secret": secret })
    }

    fn lines(&self) -> &'static [Line] {
        const { &[Line::sms("vonage")] }
    }

    fn limit(&self, _: Channel) -> Limit {
        Limit::Units(1_600)
    }

    fn request(&self, line: &Line, text: &str) -> Value {
        let kind = match size(text).encoding {
            Encoding::Gsm7 => "text",
            Encoding::Ucs2 => "unicode",
        };
        post(
            "/sms/json",
            json!({ "content-type": "application/json" }),
            json!({ "api_key": "abcd1234", "api_secret": "s3cret", "to": &line.customer[1..], "from": &line.ours[1..],
                    "text": text, "type": kind, "client-ref": "[key]" }),
        )
    }

    fn text_at(&self) -> &'static str {
        "/text"
    }

    fn taken(&self) -> Reply {
        let message = json!({ "to": "14133881111", "status": "0", "message-id": "0C000000217B7F02",
                              "remaining-balance": "15.53590000" });
        Reply::new(200, json!({ "message-count": "1", "messages": [message] }))
    }

    fn refused(&self) -> Reply {
        refusal("3")
    }

    fn throttled(&self) -> Reply {
        refusal("1")
    }

    fn unavailable(&self) -> Reply {
        refusal("5")
    }

    fn tells_failures_by_2xx(&self) -> bool {
        true
    }

    fn message_id(&self) -> &'static str {
        "0C000000217B7F02"
    }

    fn report(&self, id: &str, report: Report<'_>) -> String {
        let status = match report {
            Report::Sent => "accepted",
            Report::Delivered => "delivered",
            Report::Read => unreachable!("it does not report that"),
            Report::Failed(_) => "failed",
        };
        let code = if let Report::Failed(code) = report { code } else { "0" };
        let now = jiff::Timestamp::now();
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("msisdn", "14155550101"),
                ("to", "12025550100"),
                ("network-code", "31026"),
                ("messageId", id),
                ("price", "0.03"),
                ("status", status),
                ("scts", "2609211413"),
                ("err-code", code),
            ])
            .append_pair("message-timestamp", &now.strftime("%Y-%m-%d %H:%M:%S").to_string())
            .append_pair("timestamp", &now.as_second().to_string())
            .append_pair("api-key", "abcd1234")
            .finish()
    }

    fn failures(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("14", "the number can't receive texts"),
            ("3", "the number is not in service"),
            ("6", "filtered as spam by the carrier"),
            ("10", "refused by the provider's account settings"),
            ("1", "try again later"),
            ("15", "not delivered by the carrier"),
        ]
    }

    fn opt_out_code(&self) -> Option<&'static str> {
        Some("9")
    }

    fn asks(&self, url: &str) -> Vec<(&'static str, Value)> {
        vec![("/callback", json!(url)), ("/status-report-req", json!(1))]
    }

    fn headers(&self) -> &'static [&'static str] {
        &[]
    }

    fn template(&self) -> Template {
        let value = json!({
            "msisdn": "447700900001", "to": "447700900000", "messageId": "0A0000000123ABCD1", "text": "Hello agent",
            "type": "text", "keyword": "HELLO", "api-key": "abcd1234", "message-timestamp": "2026-09-21 14:13:19",
            "timestamp": "1789999999", "concat": "true", "concat-ref": "7", "concat-total": "3", "concat-part": 2,
            "data": "48656c6c6f", "udh": "050003010201"
        });
        Template::new(
            value,
            &["unicode", "binary", "00480065", "06050415810000", "status", "scts", "err-code", "sig", "vcard"],
        )
    }

    fn takes_forms(&self) -> bool {
        true
    }

    fn fuzz_accounts(&self, secret: &str) -> Vec<Value> {
        let account = |method: &str| {
            json!({ "name": method, "signature_secrets": [secret], "signature_method": method, "api_key": "abcd1234",
                    "numbers": fuzz::numbers(), "max_age_seconds": 0 })
        };
        METHODS.map(account).into()
    }

    /// Only what has each name once can be signed, and no name with the signs that join them.
    fn sign(&self, webhook: &mut Webhook, secret: &str, input: &Input<'_>) -> bool {
        let method = METHODS[usize::from(input.way) % METHODS.len()];
        let sign = |pairs: Vec<(String, String)>| {
            let count = pairs.len();
            let sorted: BTreeMap<_, _> = pairs.into_iter().collect();
            let can_be_signed =
                sorted.len() == count && !sorted.keys().any(|name| name.contains(['&', '=']) || name == "sig");
            let text: String =
                sorted.iter().map(|(name, value)| format!("&{name}={}", value.replace(['&', '='], "_"))).collect();
            can_be_signed.then(|| signature(method, secret, &text))
        };
        let append = |encoded: &str, signature: &str| format!("{encoded}&sig={signature}");
        match input.shape {
            Shape::Query => {
                let query = webhook.query.take().unwrap_or_default();
                let signature = sign(fuzz::pairs(query.as_bytes()));
                webhook.query = Some(append(&query, signature.as_deref().unwrap_or("00")));
                signature.is_some()
            }
            Shape::Form => {
                let signature = sign(fuzz::pairs(&webhook.body));
                let tail = append("", signature.as_deref().unwrap_or("00"));
                webhook.body = [&webhook.body, tail.as_bytes()].concat().into();
                signature.is_some()
            }
            Shape::Json => {
                let Ok(mut object) = serde_json::from_slice::<Map<String, Value>>(&webhook.body) else { return false };
                object.remove("sig");
                let text_of = |value: &Value| match value {
                    Value::Null => Some(None),
                    Value::String(text) => Some(Some(text.clone())),
                    Value::Bool(_) | Value::Number(_) => Some(Some(value.to_string())),
                    Value::Array(_) | Value::Object(_) => None,
                };
                let pairs: Option<Vec<_>> =
                    object.iter().map(|(name, value)| Some((name.clone(), text_of(value)?))).collect();
                // Null is not signed, and its name is refused all the same; none here has the signs in it.
                let is_plain = !object.keys().any(|name| name.contains(['&', '=']));
                let signature = pairs.filter(|_| is_plain).and_then(|pairs| {
                    sign(pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
                });
                object.insert("sig".to_owned(), signature.as_deref().unwrap_or("00").into());
                webhook.body = Value::Object(object).to_string().into();
                signature.is_some()
            }
        }
    }
}

fn signature(method: &str, secret: &str, text: &str) -> String {
    hex::encode(match method {
        "md5hash" => Md5::digest(format!("{text}{secret}")).to_vec(),
        "md5" => {
            let mac = Hmac::<Md5>::new_from_slice(secret.as_bytes()).unwrap().chain_update(text);
            mac.finalize().into_bytes().to_vec()
        }
        "sha1" => fuzz::sha1(secret, text),
        "sha256" => fuzz::sha256(secret, text),
        _ => fuzz::hmac_of(HMAC_SHA512, secret, text),
    })
}
