//! Telnyx's reports on texts: `message.sent` and `message.finalized`, to the profile's webhook, signed as messages are.
//!
//! ```json
//! {"data":{"event_type":"message.finalized","payload":{"id":"84cca175-…","direction":"outbound",
//!  "to":[{"phone_number":"+13125550001","status":"delivery_failed","line_type":"Wireline"}],
//!  "errors":[{"code":"40001","title":"Not routable"}],"completed_at":"2026-09-21T14:13:18.000+00:00"}}}
//! ```

use serde_json::Value;

use crate::sms::{
    event::Event,
    send::scalar_at,
    status::{self, Codes, Meaning, State},
};

/// <https://developers.telnyx.com/docs/messaging/messages/error-codes>
pub(super) const CODES: Codes = Codes {
    meanings: &[
        // "Not routable": a landline, for one.
        (Meaning::NoTexts, &["40001"]),
        (Meaning::Gone, &["40008"]),
        (Meaning::Spam, &["40002", "40003"]),
        (Meaning::TryLater, &["40004", "40005", "40006", "40011"]),
    ],
    // "Blocked due to STOP message".
    opt_outs: &["40300"],
};

/// Whether an event is about a text of ours.
pub(super) fn is_report(event_type: &str) -> bool {
    matches!(event_type, "message.sent" | "message.finalized" | "message.delivered" | "message.read")
}

/// Reads the body of a webhook.
pub(super) fn read(body: &Value) -> Event {
    let payload = body.pointer("/data/payload").unwrap_or(&Value::Null);
    let state = match payload.pointer("/to/0/status").and_then(Value::as_str) {
        // "delivery_unconfirmed": nobody knows, and nobody will.
        Some("queued" | "sending" | "sent" | "delivery_unconfirmed") => Some(State::Sent),
        Some("expired" | "sending_failed" | "delivery_failed") => Some(State::Failed),
        Some("delivered") => Some(State::Delivered),
        Some("read") => Some(State::Read),
        _ => None,
    };
    let time = ["/data/payload/completed_at", "/data/occurred_at"]
        .into_iter()
        .find_map(|place| body.pointer(place)?.as_str()?.parse().ok());
    let code = scalar_at(payload, "/errors/0/code");
    status::event(payload.get("id").and_then(Value::as_str), state, |status| {
        status.with_code(code.as_deref(), &CODES).at(time)
    })
}
