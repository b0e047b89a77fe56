//! Bandwidth's reports on texts, to the application's status callback URL, with the callback credentials.
//!
//! ```json
//! [{"type":"message-failed","time":"2026-09-21T14:13:18.123Z","to":"+13125550001","errorCode":4720,
//!   "description":"rejected-…","message":{"id":"1589228074636lm4k2je7j7jklbn2","direction":"out","tag":"…"}}]
//! ```

use serde_json::Value;

use super::filled;
use crate::sms::{
    event::Event,
    send::scalar_at,
    status::{self, Codes, Meaning, State},
};

/// <https://dev.bandwidth.com/docs/messaging/errors/>. Those that begin with 5 are faults of Bandwidth's or a carrier's.
const CODES: Codes = Codes {
    meanings: &[
        (Meaning::NoTexts, &["4700"]),
        (Meaning::Gone, &["4303", "4404", "4406", "4720", "4721", "4790", "4791", "4792", "4793"]),
        (Meaning::Unsubscribed, &["4482", "4772"]),
        (Meaning::Spam, &["4470", "4481", "4770", "4771"]),
        (Meaning::Account, &["4403", "4405", "4432", "4433", "4451", "4452", "4493", "4740", "4773", "4774", "4795"]),
        (Meaning::TryLater, &["4701", "4702", "4730", "4750", "4753", "4780", "4781", "4785"]),
    ],
    opt_outs: &["4775"],
};

/// <https://dev.bandwidth.com/docs/messaging/webhooks/>
pub(super) fn read(kind: &str, event: &Value) -> Event {
    let state = match kind {
        "message-sending" | "message-sent" => Some(State::Sent),
        "message-failed" => Some(State::Failed),
        "message-delivered" => Some(State::Delivered),
        "message-read" => Some(State::Read),
        _ => None,
    };
    let id = event.get("message").and_then(|message| filled(message, "id"));
    let code = scalar_at(event, "/errorCode");
    let time = filled(event, "time").and_then(|time| time.parse().ok());
    status::event(id, state, |status| {
        let mut status = status.with_code(code.as_deref(), &CODES).at(time);
        if status.meaning == Some(Meaning::Undelivered) && code.is_some_and(|code| code.starts_with('5')) {
            status.meaning = Some(Meaning::TryLater);
        }
        status
    })
}
