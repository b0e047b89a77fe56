//! Statuses of WhatsApp: Meta's, which AWS End User Messaging Social passes on.
//!
//! ```json
//! {"id":"wamid.HBg…","status":"failed","timestamp":"1758254144","recipient_id":"14155550101",
//!  "errors":[{"code":131047,"title":"Re-engagement message","message":"…","error_data":{"details":"…"}}]}
//! ```
//!
//! They come to the URL of the messages, with the same signature. A text whose send was answered 200 can still fail here.

use serde_json::{Value, value::RawValue};

use crate::sms::{
    event::{Event, Ignored},
    status::{self, Codes, Meaning, State},
    whatsapp::{id, read as read_json, time},
};

/// <https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes>
pub(super) const CODES: Codes = Codes {
    meanings: &[
        (Meaning::NotOnWhatsapp, &["131026"]),
        // Of marketing messages, which a reply is none of: told, and not recorded.
        (Meaning::Unsubscribed, &["131050"]),
        (Meaning::Spam, &["131048", "131049", "368"]),
        (Meaning::WindowClosed, &["131047"]),
        (
            Meaning::Account,
            &[
                "190", "131031", "131042", "133010", "132000", "132001", "132005", "132007", "132012", "132015",
                "132016",
            ],
        ),
        (Meaning::TryLater, &["131056", "130429", "80007", "131016", "131000", "131057"]),
    ],
    opt_outs: &[],
};

/// <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/status>
pub(super) fn read(statuses: &RawValue, events: &mut Vec<crate::error::Result<Event>>) {
    // "[]": nothing is said.
    match read_json::<Vec<Value>>(statuses.get(), "statuses") {
        Ok(statuses) => events.extend(statuses.iter().map(|one| Ok(read_one(one)))),
        Err(_) => events.push(Ok(Event::ignored(Ignored::Status))),
    }
}

fn read_one(report: &Value) -> Event {
    let state = match report.get("status").and_then(Value::as_str) {
        Some("sent") => Some(State::Sent),
        Some("failed") => Some(State::Failed),
        Some("delivered") => Some(State::Delivered),
        Some("read") => Some(State::Read),
        // "deleted", "played", and those of tomorrow.
        _ => None,
    };
    let code = id(report.pointer("/errors/0/code"));
    let message_id = id(report.get("id"));
    status::event(message_id.as_deref(), state, |status| {
        status.with_code(code.as_deref(), &CODES).at(report.get("timestamp").and_then(time))
    })
}
