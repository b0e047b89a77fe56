//! What Twilio and SignalWire share.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::sms::{message::Channel, webhook::Webhook};

use super::{Line, QUOTES_THE_NUMBER, Reply, Report, post};
use crate::fuzz::{self, Input, Shape};

/// The form that creates a message.
pub(super) fn request(account_path: &str, authorization: &str, line: &Line, text: &str) -> Value {
    let prefix = match line.channel {
        Channel::Whatsapp => "whatsapp:",
        Channel::Rcs => "rcs:",
        _ => "",
    };
    post(
        &format!("{account_path}/Messages.json"),
        json!({ "authorization": authorization, "content-type": "application/x-www-form-urlencoded" }),
        json!({ "To": format!("{prefix}{}", line.customer), "From": format!("{prefix}{}", line.ours), "Body": text }),
    )
}

/// The same with a file in place of the text.
pub(super) fn with_file(mut request: Value, url: &str) -> Value {
    let body = request["body"].as_object_mut().unwrap();
    body.remove("Body");
    body.insert("MediaUrl".to_owned(), json!(url));
    request
}

pub(super) fn refusal(status: u16, code: u32) -> Reply {
    Reply::new(status, json!({ "code": code, "message": QUOTES_THE_NUMBER, "more_info": "…", "status": status }))
}

/// A status callback.
pub(super) fn report(id: &str, report: Report<'_>) -> String {
    let (status, code) = match report {
        Report::Sent => ("sent", ""),
        Report::Delivered => ("delivered", ""),
        Report::Read => ("read", ""),
        Report::Failed(code) => ("undelivered", code),
    };
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs([
            ("MessageSid", id),
            ("SmsSid", id),
            ("MessageStatus", status),
            ("SmsStatus", status),
            ("ErrorCode", code),
            ("To", "+14155550101"),
            ("From", "+12025550100"),
            ("ApiVersion", "2010-04-01"),
        ])
        .finish()
}

/// The URL and the sorted parameters that a signature covers. A JSON body is signed through its hash in the URL.
pub(super) fn signed(webhook: &mut Webhook, input: &Input<'_>, drops_repeats: bool) -> String {
    if input.shape == Shape::Json {
        let rest = webhook.query.take().unwrap_or_default();
        webhook.query = Some(format!("bodySHA256={}&{rest}", fuzz::sha256_of(&webhook.body)));
    }
    let mut signed = url(webhook, input.way);
    if input.shape == Shape::Form {
        let mut pairs = fuzz::pairs(&webhook.body);
        if drops_repeats {
            pairs = pairs.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        } else {
            pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        signed.extend(pairs.into_iter().flat_map(|(name, value)| [name, value]));
    }
    signed
}

/// The URL that is signed, with the port or without: both SDKs take both.
pub(super) fn url(webhook: &Webhook, way: u8) -> String {
    let url = webhook.url();
    if way & 1 == 0 { url } else { url.replacen(".example.com", ".example.com:443", 1) }
}
