//! MessageBird's reports on texts: asked for text by text (`reportUrl`), and signed as messages are.
//!
//! ```text
//! GET …?id=e8077d803532c0b5937c639b60216938&reference=…&recipient=31687654321&status=delivery_failed&statusReason=…
//!   &statusErrorCode=103&statusDatetime=2026-09-21T14%3A13%3A18%2B00%3A00
//! ```

use crate::sms::{
    event::Event,
    form::Form,
    status::{self, Codes, State},
};

/// Of its codes only one is known to say more than that a text was not delivered: the recipient has sent STOP.
pub(super) const CODES: Codes = Codes { meanings: &[], opt_outs: &["103"] };

/// <https://developers.messagebird.com/api/sms-messaging/#handle-a-status-report>
pub(super) fn read(form: &Form<'_>) -> Event {
    let word = form.filled("status").map(|word| word.trim().to_ascii_lowercase());
    let state = match word.as_deref() {
        Some("scheduled" | "sent" | "buffered") => Some(State::Sent),
        Some("expired" | "delivery_failed") => Some(State::Failed),
        Some("delivered") => Some(State::Delivered),
        _ => None,
    };
    let time = form.filled("statusDatetime").and_then(|time| time.trim().parse().ok());
    status::event(form.filled("id"), state, |status| status.with_code(form.filled("statusErrorCode"), &CODES).at(time))
}
