//! Sinch's delivery reports: asked for batch by batch (`delivery_report`, `callback_url`), and signed as messages are.
//!
//! ```json
//! {"type":"recipient_delivery_report_sms","batch_id":"01FC66621XXXXX119Z8PMV1QPQ","recipient":"12025550134","code":402,
//!  "status":"Failed","at":"2026-09-21T14:13:18.720Z","client_reference":"…"}
//! ```
//!
//! The report on a whole batch has `"statuses":[{"code":402,"status":"Failed","count":1}]`: a batch of ours has one text.

use serde_json::Value;

use crate::sms::{
    event::Event,
    send::scalar_at,
    status::{self, Codes, Meaning, State},
};

/// sinch-sdk-java, `DeliveryReceiptStatusCode`; those below 400 are the carrier's, in US 10DLC.
pub(super) const CODES: Codes = Codes {
    meanings: &[
        (Meaning::Gone, &["402", "408"]),
        (Meaning::Spam, &["15", "62"]),
        (Meaning::Account, &["60", "64", "405", "410", "412", "413"]),
        (Meaning::TryLater, &["403", "404", "406"]),
    ],
    opt_outs: &[],
};

/// <https://developers.sinch.com/docs/sms/api-reference/sms/tag/Delivery-reports/>
pub(super) fn read(body: &Value) -> Event {
    let one = body.pointer("/statuses/0").unwrap_or(body);
    // Written in capitals and not, by product.
    let word = one.get("status").and_then(Value::as_str).map(|word| word.trim().to_ascii_uppercase());
    let state = match word.as_deref() {
        Some("QUEUED" | "DISPATCHED" | "UNKNOWN") => Some(State::Sent),
        Some("ABORTED" | "CANCELLED" | "FAILED" | "EXPIRED" | "REJECTED" | "DELETED") => Some(State::Failed),
        Some("DELIVERED") => Some(State::Delivered),
        _ => None,
    };
    let time = ["operator_status_at", "at"].into_iter().find_map(|name| body.get(name)?.as_str()?.parse().ok());
    let code = scalar_at(one, "/code");
    status::event(body.get("batch_id").and_then(Value::as_str), state, |status| {
        status.with_code(code.as_deref(), &CODES).at(time)
    })
}
