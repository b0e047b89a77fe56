//! What an RCS agent's two-way topic brings: the form of an SMS, with text or JSON for its body.
//! <https://docs.aws.amazon.com/sms-voice/latest/userguide/rcs-inbound.html>
//!
//! ```json
//! {"originationNumber":"+14255550182","destinationNumber":"rcs-abc123","messageKeyword":"KEYWORD",
//!  "messageBody":"{\"type\":\"SUGGESTION\",\"text\":\"Yes\",\"postbackData\":\"confirm_1\"}","inboundMessageId":"cae173d2-…"}
//! ```

use serde_json::Value;

use crate::{
    error::Result,
    json,
    sms::{
        event::{Event, Ignored},
        lines,
        message::{Channel, Location, Media, Message, plus},
        providers::aws_sns::{Envelope, Object, filled, read_sms},
    },
};

/// What AWS's ids of agents begin with.
const AGENT: &str = "rcs-";

/// What tells content that names no type.
const CONTENT: [&str; 6] = ["suggestion", "postbackData", "location", "latitude", "mediaStatus", "s3Key"];

/// Whether it was sent to an agent.
pub(super) fn is_agent(object: &Object) -> bool {
    filled(object, "destinationNumber").is_some_and(|number| number.starts_with(AGENT))
        || event_type(object).is_some_and(|kind| kind.starts_with("RCS_"))
}

/// Reads a message or a notice. Only plain text is plain: the rest is JSON, which says of what type it is.
pub(super) fn read(object: &Object, envelope: Option<&Envelope>) -> Result<Event> {
    let body = object.get("messageBody");
    let content = match body {
        Some(Value::String(text)) if text.trim_start().starts_with('{') => json::parse::<Object>(text.as_bytes()).ok(),
        Some(Value::Object(content)) => Some(content.clone()),
        _ => None,
    };
    // Who types JSON has typed a text.
    let content = content
        .filter(|content| event_type(content).is_some() || CONTENT.iter().any(|name| content.contains_key(*name)));
    let kind = content.as_ref().and_then(event_type).or_else(|| event_type(object)).unwrap_or_default();
    if let Some(reason) = notice(&kind) {
        return Ok(Event::ignored(reason));
    }
    if body.is_none() && filled(object, "inboundMessageId").is_none() {
        return Ok(Event::ignored(Ignored::OtherEvent));
    }
    let mut message = read_sms(object, Channel::Rcs, envelope)?;
    message.from = plus(&message.from);
    if let Some(content) = content {
        message.text = String::new();
        message.described = false;
        fill(&mut message, &content, &kind);
    }
    Ok(message.into())
}

/// The type that JSON names, in capitals.
fn event_type(object: &Object) -> Option<String> {
    ["type", "eventType", "messageType"].into_iter().find_map(|name| filled(object, name)).map(str::to_ascii_uppercase)
}

/// What is no message of a customer's.
fn notice(kind: &str) -> Option<Ignored> {
    match kind.strip_prefix("RCS_").unwrap_or(kind) {
        "TYPING" | "IS_TYPING" | "CONVERSATION_STARTED" => Some(Ignored::Typing),
        "DELIVERED" | "READ" | "SENT" | "FAILED" | "EXPIRED" | "REVOKED" | "FALLBACK" => Some(Ignored::Status),
        _ => None,
    }
}

fn fill(message: &mut Message, content: &Object, kind: &str) {
    let of = |name: &str| content.get(name).and_then(Value::as_object).unwrap_or(content);
    if kind.contains("SUGGESTION") || content.contains_key("postbackData") {
        let suggestion = of("suggestion");
        message.button_payload = filled(suggestion, "postbackData").map(str::to_owned);
        let label = filled(suggestion, "text").or(message.button_payload.as_deref());
        message.text = label.unwrap_or_default().to_owned();
    } else if let Some(location) = location(of("location")) {
        message.location = Some(location);
    } else if content.contains_key("mediaStatus") || content.contains_key("s3Key") || kind.contains("MEDIA") {
        message.text = filled(content, "text").unwrap_or_default().to_owned();
        message.media = vec![medium(of("media"))];
    } else if let Some(text) = filled(content, "text").filter(|_| kind.is_empty() || kind.contains("TEXT")) {
        text.clone_into(&mut message.text);
    } else {
        message.describe(&lines::unsupported(Some(&Value::Object(content.clone()))));
    }
    if message.is_blank() {
        message.describe(&lines::unsupported(None));
    }
}

/// A file in the owner's bucket, which is shown as its word.
fn medium(content: &Object) -> Media {
    let name = filled(content, "fileName").map(str::to_owned);
    Media {
        id: filled(content, "s3Key").map(str::to_owned).or_else(|| name.clone()).or_else(|| Some("media".to_owned())),
        content_type: filled(content, "mimeType").map(str::to_owned),
        size: content.get("fileSizeBytes").and_then(Value::as_u64),
        name,
        ..Media::default()
    }
}

fn location(object: &Object) -> Option<Location> {
    let degrees = |name, limit: f64| {
        let value = match object.get(name)? {
            Value::String(text) => text.trim().parse().ok()?,
            value => value.as_f64()?,
        };
        (-limit..=limit).contains(&value).then_some(value)
    };
    Some(Location {
        latitude: degrees("latitude", 90.0)?,
        longitude: degrees("longitude", 180.0)?,
        name: filled(object, "name").or_else(|| filled(object, "label")).map(str::to_owned),
        address: filled(object, "address").map(str::to_owned),
    })
}
