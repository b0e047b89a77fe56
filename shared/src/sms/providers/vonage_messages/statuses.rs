//! The status webhook of the Messages API: asked for text by text (`webhook_url`), with a JWT as messages have.
//!
//! ```json
//! {"message_uuid":"aaaaaaaa-…","to":"447700900000","from":"447700900001","timestamp":"2025-02-03T12:14:25Z",
//!  "status":"rejected","error":{"type":"https://developer.vonage.com/api-errors/messages#1340","title":1340,
//!  "detail":"Sent Outside Allowed Window"},"client_ref":"…","channel":"whatsapp"}
//! ```

use serde_json::Value;

use super::Payload;
use crate::sms::{
    event::Event,
    send::scalar,
    status::{self, Codes, Meaning, State},
};

/// <https://developer.vonage.com/api-errors/messages>
pub(super) const CODES: Codes = Codes {
    meanings: &[
        (Meaning::NoTexts, &["1250"]),
        (Meaning::Gone, &["1190"]),
        (Meaning::Spam, &["1210"]),
        (Meaning::NotOnWhatsapp, &["1300"]),
        (Meaning::WindowClosed, &["1340"]),
        (Meaning::TryLater, &["1180"]),
    ],
    opt_outs: &["1240"],
};

/// <https://developer.vonage.com/en/api/messages#message-status>
pub(super) fn read(payload: &Payload) -> Event {
    let text = |name: &str| payload.get(name).and_then(Value::as_str);
    let state = match text("status") {
        Some("submitted") => Some(State::Sent),
        Some("rejected" | "undeliverable") => Some(State::Failed),
        Some("delivered") => Some(State::Delivered),
        Some("read") => Some(State::Read),
        _ => None,
    };
    let time = text("timestamp").and_then(|time| time.parse().ok());
    let code = payload.get("error").and_then(code);
    status::event(text("message_uuid"), state, |status| status.with_code(code.as_deref(), &CODES).at(time))
}

/// The number at the end of the type, else the title, which older versions have it in.
fn code(error: &Value) -> Option<String> {
    let is_number = |text: &String| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let of_type = error.get("type").and_then(Value::as_str).and_then(|url| url.rsplit(['#', '/']).next());
    of_type.map(str::to_owned).filter(is_number).or_else(|| scalar(error.get("title")?))
}
