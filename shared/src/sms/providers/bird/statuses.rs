//! Bird's reports on texts: the subscription's `sms.outbound`, `whatsapp.outbound` and `rcs.outbound`, signed as messages
//! are.
//!
//! ```json
//! {"service":"channels","event":"sms.outbound","payload":{"id":"9f5c8a3e-…","direction":"outgoing",
//!  "status":"delivery_failed","reason":"…","failure":{"code":15001,"source":{"name":"…","code":"…"}}}}
//! ```

use serde_json::Value;

use super::text_at;
use crate::sms::{
    event::Event,
    send::scalar_at,
    status::{self, Codes, State},
};

/// Bird's list of codes says of none that it is more than a failed delivery.
pub(super) const CODES: Codes = Codes { meanings: &[], opt_outs: &[] };

/// <https://docs.bird.com/api/channels-api/message-status-and-interactions>
pub(super) fn read(payload: &Value) -> Event {
    let state = match text_at(payload, "/status") {
        Some("accepted" | "processing" | "scheduled" | "sent") => Some(State::Sent),
        Some("rejected" | "sending_failed" | "delivery_failed" | "skipped") => Some(State::Failed),
        Some("delivered") => Some(State::Delivered),
        Some("read") => Some(State::Read),
        _ => None,
    };
    let code = scalar_at(payload, "/failure/code");
    let time = ["/lastStatusAt", "/updatedAt"].into_iter().find_map(|place| text_at(payload, place)?.parse().ok());
    status::event(text_at(payload, "/id"), state, |status| status.with_code(code.as_deref(), &CODES).at(time))
}
