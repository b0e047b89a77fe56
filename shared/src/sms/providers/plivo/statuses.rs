//! Plivo's delivery reports: asked for text by text (`url`, `method`), and signed as messages are.
//!
//! ```text
//! MessageUUID=db3ce55a-…&ParentMessageUUID=db3ce55a-…&PartInfo=1+of+1&From=14759440448&To=14795961111&Status=undelivered
//!   &ErrorCode=30&MCC=310&MNC=004&Units=1
//! ```
//!
//! A long text has one for each of its parts, which names the first as its parent. It is delivered once its last part is.

use crate::sms::{
    event::Event,
    form::Form,
    status::{self, Codes, Meaning, State},
};

/// <https://www.plivo.com/docs/messaging/troubleshooting/error-codes>
pub(super) const CODES: Codes = Codes {
    meanings: &[
        (Meaning::NoTexts, &["100"]),
        (Meaning::Gone, &["50", "70"]),
        (Meaning::Spam, &["30"]),
        (Meaning::Account, &["40", "60", "201", "900", "910"]),
        (Meaning::TryLater, &["20", "80", "90", "300", "420", "1000"]),
    ],
    opt_outs: &["200"],
};

/// <https://www.plivo.com/docs/messaging/api/message#message-status-callbacks>
pub(super) fn read(form: &Form<'_>) -> Event {
    let word = form.filled("Status").map(|word| word.trim().to_ascii_lowercase());
    let state = match word.as_deref() {
        Some("queued" | "sent") => Some(State::Sent),
        Some("failed" | "undelivered" | "rejected") => Some(State::Failed),
        Some("delivered") if is_last_part(form) => Some(State::Delivered),
        Some("delivered") => Some(State::Sent),
        Some("read") => Some(State::Read),
        _ => None,
    };
    let id = form.filled("ParentMessageUUID").or_else(|| form.filled("MessageUUID"));
    status::event(id, state, |status| status.with_code(form.filled("ErrorCode"), &CODES))
}

/// `2 of 2`; what can't be read is a text of one part.
fn is_last_part(form: &Form<'_>) -> bool {
    let part = form.filled("PartInfo").and_then(|info| info.split_once("of"));
    part.is_none_or(|(part, total)| part.trim() == total.trim())
}
