//! AWS End User Messaging's events of SMS, MMS and RCS, by an event destination that is a topic of the account's. They
//! come where the account has a `configuration_set`.
//!
//! ```json
//! {"eventType":"TEXT_DELIVERED","eventVersion":"1.0","eventTimestamp":1758463998123,"isFinal":true,
//!  "originationPhoneNumber":"+12125550101","destinationPhoneNumber":"+13125550001","messageId":"862a8790-…",
//!  "messageStatus":"DELIVERED","messageStatusDescription":"…"}
//! ```
//!
//! <https://docs.aws.amazon.com/sms-voice/latest/userguide/configuration-sets-event-format.html>

use jiff::Timestamp;
use serde_json::Value;

use super::{Object, filled};
use crate::sms::{
    event::Event,
    status::{self, Codes, Meaning, State},
};

/// <https://docs.aws.amazon.com/sms-voice/latest/userguide/configuration-sets-event-types.html>, without the network.
/// Opt-outs are no events: the send itself is refused.
pub(super) const CODES: Codes = Codes {
    meanings: &[
        (Meaning::NoTexts, &["UNREACHABLE"]),
        (Meaning::Gone, &["INVALID"]),
        (Meaning::Spam, &["SPAM", "CARRIER_BLOCKED"]),
        (Meaning::Account, &["BLOCKED", "PROTECT_BLOCKED"]),
        (Meaning::TryLater, &["CARRIER_UNREACHABLE", "TTL_EXPIRED"]),
    ],
    opt_outs: &[],
};

/// The event's name without its network, if it is an event of a text of ours.
pub(super) fn kind(object: &Object) -> Option<&str> {
    let kind = filled(object, "eventType")?;
    let kind = ["TEXT_", "MEDIA_", "RCS_"].into_iter().find_map(|network| kind.strip_prefix(network))?;
    (object.contains_key("messageId") && !object.contains_key("inboundMessageId")).then_some(kind)
}

/// Reads an event of this kind.
pub(super) fn read(object: &Object, kind: &str) -> Event {
    // Some failures are tried again by the carrier.
    let is_final = object.get("isFinal").and_then(Value::as_bool) != Some(false);
    let state = match kind {
        "QUEUED" | "SENT" | "PENDING" => Some(State::Sent),
        // One or the other, by country.
        "SUCCESSFUL" | "DELIVERED" => Some(State::Delivered),
        "READ" => Some(State::Read),
        "TTL_EXPIRED"
        | "CARRIER_UNREACHABLE"
        | "CARRIER_BLOCKED"
        | "BLOCKED"
        | "INVALID"
        | "INVALID_MESSAGE"
        | "UNREACHABLE"
        | "SPAM"
        | "PROTECT_BLOCKED"
        | "UNKNOWN"
        | "FAILED"
        | "EXPIRED"
        | "REVOKED"
        | "FILE_TYPE_UNSUPPORTED"
        | "FILE_SIZE_EXCEEDED"
        | "FILE_INACCESSIBLE" => Some(if is_final { State::Failed } else { State::Sent }),
        _ => None,
    };
    let time = object.get("eventTimestamp").and_then(Value::as_i64);
    let time = time.and_then(|time| Timestamp::from_millisecond(time).ok());
    status::event(filled(object, "messageId"), state, |status| status.with_code(Some(kind), &CODES).at(time))
}
