//! Vonage's delivery receipts: asked for text by text (`status-report-req`, `callback`), and signed as messages are.
//!
//! ```text
//! msisdn=447700900000&to=AcmeInc&network-code=12345&messageId=0A0000001234567B&price=0.03330000&status=delivered
//!   &scts=2001011400&err-code=0&api-key=abcd1234&client-ref=…&message-timestamp=2020-01-01+12%3A00%3A00
//! ```
//!
//! A long text has one for each of its parts.

use jiff::Timestamp;

use crate::sms::{
    event::Event,
    status::{self, Codes, Meaning, State},
};

/// "up to 100 characters". A longer URL must be the account's own: it is the default for delivery receipts.
pub(super) const CALLBACK_LENGTH: usize = 100;

/// <https://developer.vonage.com/messaging/sms/guides/delivery-receipts>
pub(super) const CODES: Codes = Codes {
    meanings: &[
        (Meaning::NoTexts, &["14"]),
        (Meaning::Gone, &["3", "4", "12", "13"]),
        (Meaning::Spam, &["6", "50", "51", "52", "53", "54"]),
        (Meaning::Account, &["10", "11"]),
        (Meaning::TryLater, &["1", "2", "5", "7", "8", "99"]),
    ],
    // "Illegal Number": the user asked not to receive.
    opt_outs: &["9"],
};

/// `get` looks parameters up.
pub(super) fn read<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Event {
    let word = get("status").map(|word| word.trim().to_ascii_lowercase());
    let state = match word.as_deref() {
        Some("accepted" | "buffered" | "unknown") => Some(State::Sent),
        Some("failed" | "rejected" | "expired") => Some(State::Failed),
        Some("delivered") => Some(State::Delivered),
        _ => None,
    };
    let time = get("message-timestamp").and_then(super::received_at).and_then(|time| time.parse::<Timestamp>().ok());
    status::event(get("messageId"), state, |status| status.with_code(get("err-code"), &CODES).at(time))
}
