//! Tokens, and times as Connect writes them.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

/// A token that tells its bearer nothing. Connect's are opaque, of at most 1000 characters.
pub(crate) fn opaque_token() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// `2026-11-20T16:00:00.000Z`
pub(super) fn rfc3339(time: Timestamp) -> String {
    format!("{time:.3}")
}

pub(crate) fn in_future(duration: SignedDuration) -> String {
    rfc3339(Timestamp::now().checked_add(duration).unwrap_or(Timestamp::MAX))
}
