//! Status callbacks of cXML: Twilio's, which SignalWire sends too.
//!
//! ```text
//! MessageSid=SM…&MessageStatus=undelivered&ErrorCode=30006&To=%2B14133881111&From=%2B12028831111&AccountSid=AC…
//! ```
//!
//! They are asked for text by text (`StatusCallback`), and signed as messages are. Their order is not promised.

use crate::sms::{
    event::Event,
    form::Form,
    status::{self, Codes, Meaning, State},
};

/// <https://www.twilio.com/docs/api/errors>
pub(super) const CODES: Codes = Codes {
    meanings: &[
        (Meaning::NoTexts, &["30006"]),
        (Meaning::Gone, &["30005", "21211", "21614", "63024"]),
        // Blocked: by the customer, or by the carrier. That is no wish, so it is not recorded as one.
        (Meaning::Unsubscribed, &["30004", "63014", "63033"]),
        (Meaning::Spam, &["30007", "63013", "63026"]),
        (Meaning::NotOnWhatsapp, &["63003"]),
        (Meaning::WindowClosed, &["63016"]),
        (
            Meaning::Account,
            &["21408", "21606", "21612", "21620", "30023", "30027", "30032", "30034", "63015", "63038", "63041"],
        ),
        (Meaning::TryLater, &["30001", "30003", "30008", "30017", "30022", "63018", "63032"]),
    ],
    opt_outs: &["21610"],
};

/// <https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks>
pub(super) fn read(form: &Form<'_>, message_id: &str) -> Event {
    let word = form.filled("MessageStatus").or_else(|| form.filled("SmsStatus")).unwrap_or_default();
    let state = match word.trim().to_ascii_lowercase().as_str() {
        "accepted" | "scheduled" | "queued" | "initiated" | "sending" | "sent" => Some(State::Sent),
        "undelivered" | "failed" => Some(State::Failed),
        "delivered" => Some(State::Delivered),
        "read" => Some(State::Read),
        _ => None,
    };
    status::event(Some(message_id), state, |status| status.with_code(form.filled("ErrorCode"), &CODES))
}
