//! RCS by Telnyx: an agent in place of our number, and a body in Google's form, its names in snake case.
//! <https://developers.telnyx.com/docs/messaging/messages/receiving-rcs-webhooks>
//!
//! ```json
//! {"type": "RCS", "from": {"phone_number": "+13125550001"}, "to": [{"agent_id": "e4448a5c0670c2a9"}],
//!  "body": {"text": "Hello agent"}}
//! ```
//!
//! A body has one of `text`, `user_file`, `location` and `suggestion_response`. A text is sent so
//! (<https://developers.telnyx.com/api-reference/rcs/send-an-rcs-message>), and answered as an SMS is:
//!
//! ```text
//! POST https://api.telnyx.com/v2/messages/rcs
//! {"agent_id":"e4448a5c0670c2a9","to":"+13125550001","messaging_profile_id":"…",
//!  "agent_message":{"content_message":{"text":"Hello"}}}
//! ```

use serde_json::{Value, json};

use crate::{
    error::Result,
    sms::{
        lines,
        message::{Location, Media, Message},
        segments::Limit,
        send::{Outbound, misconfigured},
    },
};

/// Google's: <https://developers.google.com/business-communications/rcs-business-messaging/guides/build/messages/send#text>.
pub(super) const LIMIT: Limit = Limit::Characters(3072);

/// Reads the body of a message.
pub(super) fn fill(message: &mut Message, body: &Value) {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    if let Some(words) = text("/text").or_else(|| body.as_str()) {
        words.clone_into(&mut message.text);
    }
    if body.get("suggestion_response").is_some() {
        message.button_payload = text("/suggestion_response/postback_data").map(str::to_owned);
        if let Some(label) = text("/suggestion_response/text") {
            label.clone_into(&mut message.text);
        }
    }
    message.media.extend(medium(body));
    message.location = body.get("location").and_then(location);
    if message.is_blank() && !body.is_null() && body.get("text").is_none_or(|text| !text.is_string()) {
        message.describe(&lines::unsupported(Some(body)));
    }
}

fn medium(body: &Value) -> Option<Media> {
    let file = body.get("user_file")?;
    let file = file.get("payload").unwrap_or(file);
    let text = |name: &str| file.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    Some(Media {
        url: Some(text("file_uri")?.to_owned()),
        content_type: text("mime_type").map(str::to_owned),
        size: file.get("file_size_bytes").and_then(Value::as_u64),
        name: text("file_name").map(str::to_owned),
        ..Media::default()
    })
}

fn location(place: &Value) -> Option<Location> {
    let degrees = |name: &str, limit: f64| {
        place.get(name).and_then(Value::as_f64).filter(|value| (-limit..=limit).contains(value))
    };
    Some(Location {
        latitude: degrees("latitude", 90.0)?,
        longitude: degrees("longitude", 180.0)?,
        name: None,
        address: None,
    })
}

/// What sends a text.
pub(super) fn body(outbound: &Outbound<'_>, content: &Value) -> Result<Value> {
    let profile = outbound.from_id.ok_or_else(|| misconfigured("the agent's messaging profile is not known"))?;
    Ok(json!({
        "agent_id": outbound.from, "to": outbound.to, "messaging_profile_id": profile,
        "agent_message": { "content_message": content },
    }))
}
