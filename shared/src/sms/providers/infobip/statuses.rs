//! Infobip's delivery reports: asked for text by text (`webhooks.delivery.url`), with the credentials of messages.
//!
//! ```json
//! {"results":[{"messageId":"3b5f…","to":"385916242493","doneAt":"2026-09-21T14:13:18.000+0000",
//!   "status":{"groupId":2,"groupName":"UNDELIVERABLE","id":9,"name":"UNDELIVERABLE_NOT_DELIVERED"},
//!   "error":{"groupId":1,"groupName":"HANDSET_ERRORS","id":1,"name":"EC_UNKNOWN_SUBSCRIBER","permanent":true}}]}
//! ```
//!
//! An error says by its name and by `permanent` what it is; its group's number means another group in another product.

use serde_json::Value;

use super::read_time;
use crate::sms::{
    event::Event,
    status::{self, Codes, Meaning, State},
};

/// <https://www.infobip.com/docs/essentials/api-essentials/response-status-and-error-codes>
pub(super) const CODES: Codes = Codes {
    meanings: &[
        (Meaning::NoTexts, &["EC_TELESERVICE_NOT_PROVISIONED", "EC_BEARER_SERVICE_NOT_PROVISIONED"]),
        (
            Meaning::Gone,
            &["EC_UNKNOWN_SUBSCRIBER", "EC_UNIDENTIFIED_SUBSCRIBER", "EC_ILLEGAL_SUBSCRIBER", "EC_CALL_BARRED"],
        ),
        (Meaning::Spam, &["EC_MESSAGE_FILTERED", "REJECTED_FLOODING_FILTER"]),
        (
            Meaning::Account,
            &[
                "REJECTED_SENDER",
                "REJECTED_SOURCE",
                "REJECTED_NOT_ENOUGH_CREDITS",
                "REJECTED_PREPAID_PACKAGE_EXPIRED",
                "REJECTED_NETWORK",
                "REJECTED_ROUTE_NOT_AVAILABLE",
                "REJECTED_DESTINATION_NOT_REGISTERED",
            ],
        ),
    ],
    opt_outs: &[],
};

/// <https://www.infobip.com/docs/api/channels/sms/sms-messaging/logs-and-status-reports/receive-outbound-sms-message-report-v3>
pub(super) fn read(message_id: Option<&str>, status: &Value, error: &Value, done_at: &Value) -> Event {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let name = text(status, "name");
    let state = match text(status, "groupName").as_deref() {
        Some("PENDING") => Some(State::Sent),
        // It has only come to the operator.
        Some("DELIVERED") if name.as_deref() == Some("DELIVERED_TO_OPERATOR") => Some(State::Sent),
        Some("DELIVERED") => Some(State::Delivered),
        Some("UNDELIVERABLE" | "EXPIRED" | "REJECTED") => Some(State::Failed),
        _ => None,
    };
    let of_error = text(error, "name").filter(|name| name != "NO_ERROR");
    let may_pass = of_error.is_some() && error.get("permanent").and_then(Value::as_bool) == Some(false);
    let time = done_at.as_str().and_then(read_time).and_then(|time| time.parse().ok());
    status::event(message_id, state, |status| {
        let mut status = status.with_code(of_error.or(name).as_deref(), &CODES).at(time);
        if status.meaning == Some(Meaning::Undelivered) && may_pass {
            status.meaning = Some(Meaning::TryLater);
        }
        status
    })
}

/// A customer has seen a message.
pub(super) fn seen(message_id: Option<&str>, seen_at: &str) -> Event {
    let time = read_time(seen_at).and_then(|time| time.parse().ok());
    status::event(message_id, Some(State::Read), |status| status.at(time))
}
