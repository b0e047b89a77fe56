//! What becomes of a queue item whose work failed: the one place where an error decides that. Pure: the caller counts, and
//! tells the time.

use std::time::Duration;

use crate::error::{Error, Kind};

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Back to the queue, and not before this long.
    Later(Duration),
    /// To the dead-letter queue, for this reason.
    DeadLetter(&'static str),
}

/// How long a queue's items are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Then an item is given up.
    pub end: Duration,
    /// Age at which the delay notice is due.
    pub notice: Option<Duration>,
}

/// What is known of an item that failed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tries {
    /// Since it was put into the queue (`SentTimestamp`).
    pub age: Duration,
    /// How often it failed in this way, this time included.
    pub same: u32,
    /// Whether it was tried at all: what a shut account hands back was not.
    pub was_tried: bool,
    /// Whether the delay was told of.
    pub was_told: bool,
}

/// No item waits longer than this for its next try.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// The same for what a rate or a quota turned away.
const LONGEST_FOR_RATES: Duration = Duration::from_secs(60);

/// The same where the table fails: that is never the item's own fault, and others may wait behind it.
const LONGEST_FOR_TABLE: Duration = Duration::from_secs(2 * 60);

/// Tries after which a fault that only its owner can mend, or that is ours, ends in the dead-letter queue: 18 to 36
/// minutes, if the first wait is 20 s. Until then a corrected role or flow is enough.
const TRIES: u32 = 8;

/// The same where an agent waits for the customer's answer, and should know that none will come: 5 to 10 minutes. A copy
/// of the settings is used for five.
const AGENTS_TRIES: u32 = 6;

/// Why an item that failed so is never tried again.
pub fn permanent(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::SendRefused => Some("send_refused"),
        Kind::OptedOut => Some("opted_out"),
        Kind::WindowClosed => Some("window_closed"),
        Kind::OutcomeUnknown => Some("may_have_been_delivered"),
        Kind::ConnectRejected => Some("connect_rejected"),
        Kind::StoreRejected => Some("store_rejected"),
        Kind::Validation => Some("malformed"),
        Kind::Unverified => Some("unverified"),
        // Refusals of web requests: no delivery ends so.
        Kind::Unauthenticated
        | Kind::UnauthenticatedYet
        | Kind::UnverifiedYet
        | Kind::OriginNotAllowed
        | Kind::InstanceNotAllowed
        | Kind::FlowNotAllowed
        | Kind::FieldNotAllowed
        | Kind::StreamingNotAllowed
        | Kind::NotFound
        | Kind::MethodNotAllowed
        | Kind::PayloadTooLarge => Some("refused"),
        _ => None,
    }
}

/// How many tries a fault has, and the reason that ends them.
fn limit(kind: Kind) -> Option<(&'static str, u32)> {
    match kind {
        Kind::ConnectMisconfigured => Some(("connect_misconfigured", TRIES)),
        Kind::SettingsUnavailable => Some(("settings_unavailable", TRIES)),
        Kind::ChatEnded => Some(("chat_ended", TRIES)),
        Kind::Internal => Some(("internal", TRIES)),
        Kind::SendMisconfigured => Some(("send_misconfigured", AGENTS_TRIES)),
        // The flow's first words may be a moment faster than the record of their chat, and that is written again for as
        // long as the table can't be.
        Kind::UnknownConversation => Some(("unknown_conversation", TRIES)),
        _ => None,
    }
}

/// Whether an item that fails so for long enough expires. Not where it is the table or the settings that fail, or where it
/// waits for a start that we hold back ourselves.
fn expires(kind: Kind) -> bool {
    !matches!(kind, Kind::StoreUnavailable | Kind::NotStored | Kind::SettingsUnavailable | Kind::StartsPaced)
}

/// Whether it is time to tell of the delay.
pub fn is_notice_due(error: &Error, tries: &Tries, patience: &Patience) -> bool {
    expires(error.kind()) && !tries.was_told && patience.notice.is_some_and(|notice| tries.age >= notice)
}

/// Decides.
pub fn next(error: &Error, tries: &Tries, patience: &Patience) -> Next {
    let kind = error.kind();
    if let Some(reason) = permanent(kind) {
        return Next::DeadLetter(reason);
    }
    if let Some((reason, limit)) = limit(kind)
        && tries.same >= limit
    {
        return Next::DeadLetter(reason);
    }
    if expires(kind) && tries.was_tried && tries.age >= patience.end {
        return Next::DeadLetter("expired");
    }
    let wait = wait(error, tries.same);
    if !expires(kind) {
        return Next::Later(wait);
    }
    // The notice and the end are on time, whatever the wait.
    let next = [patience.notice.filter(|_| !tries.was_told), Some(patience.end)].into_iter().flatten();
    let next = next.filter_map(|at| at.checked_sub(tries.age).filter(|left| !left.is_zero())).min();
    Next::Later(next.map_or(wait, |next| wait.min(next)))
}

fn wait(error: &Error, same: u32) -> Duration {
    let asked = error.wait().unwrap_or_default().min(LONGEST);
    match error.kind() {
        // These know when their time comes.
        Kind::StartsPaced | Kind::AccountShut => asked,
        // Chats end when they end: what Connect's quota makes a web page wait is no promise.
        Kind::ChatQuotaExceeded => growing(LONGEST_FOR_RATES, Duration::from_secs(10), same),
        Kind::Throttled | Kind::ConversationThrottled => {
            growing(LONGEST_FOR_RATES, Duration::from_secs(10), same).max(asked)
        }
        Kind::StoreUnavailable => growing(LONGEST_FOR_TABLE, Duration::from_secs(2), same),
        Kind::ConnectMisconfigured | Kind::SettingsUnavailable | Kind::SendMisconfigured => {
            growing(LONGEST, Duration::from_secs(20), same).max(asked)
        }
        Kind::ChatEnded | Kind::Internal | Kind::UnknownConversation => growing(LONGEST, Duration::from_secs(5), same),
        _ => growing(LONGEST, Duration::from_secs(2), same).max(asked),
    }
}

/// How long an item waits that belongs into a dead-letter queue, where there is none or it takes nothing.
pub fn pause(receipts: u32) -> Duration {
    growing(LONGEST, Duration::from_secs(5), receipts)
}

/// Doubles with every try; the upper half is jitter, so that what failed together does not come back together.
fn growing(longest: Duration, first: Duration, tries: u32) -> Duration {
    let most = first.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(longest);
    most.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience { end: Duration::from_secs(14_400), notice: Some(Duration::from_secs(300)) };

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn after(kind: Kind, same: u32) -> Next {
        let tries = Tries { age: seconds(1), same, was_tried: true, was_told: true };
        next(&Error::new(kind, "x"), &tries, &PATIENCE)
    }

    fn wait_of(next: Next) -> u64 {
        match next {
            Next::Later(wait) => wait.as_millis().try_into().unwrap(),
            Next::DeadLetter(reason) => panic!("{reason}"),
        }
    }

    #[test]
    fn what_may_pass_waits_longer_each_time() {
        for (kind, same, at_least, at_most) in [
            (Kind::Throttled, 1, 5_000, 10_000),
            (Kind::Throttled, 2, 10_000, 20_000),
            (Kind::Throttled, 1_000, 30_000, 60_000),
            (Kind::ConversationThrottled, 1, 5_000, 10_000),
            (Kind::ConnectUnavailable, 5, 16_000, 32_000),
            (Kind::StoreUnavailable, 1_000, 60_000, 120_000),
            (Kind::ChatQuotaExceeded, 1, 5_000, 10_000),
            (Kind::ChatQuotaExceeded, 999, 30_000, 60_000),
            (Kind::ConnectMisconfigured, 7, 450_000, 900_000),
            (Kind::SendMisconfigured, 5, 160_000, 320_000),
            (Kind::Timeout, u32::MAX, 450_000, 900_000),
        ] {
            for _ in 0..50 {
                let wait = wait_of(after(kind, same));
                assert!((at_least..=at_most).contains(&wait), "{kind:?} {same}: {wait}");
            }
        }
    }

    #[test]
    fn who_asks_for_time_gets_it() {
        let tries = Tries { age: seconds(1), same: 1, was_tried: true, was_told: true };
        let asks = |kind, asked| next(&Error::new(kind, "x").retry_after(seconds(asked)), &tries, &PATIENCE);
        assert_eq!(asks(Kind::Throttled, 120), Next::Later(seconds(120)));
        assert_eq!(asks(Kind::Throttled, 86_400), Next::Later(LONGEST));
        assert_eq!(asks(Kind::ProviderUnavailable, 120), Next::Later(seconds(120)));
        assert_eq!(asks(Kind::AccountShut, 7), Next::Later(seconds(7)));
        assert!(wait_of(asks(Kind::ChatQuotaExceeded, 60)) <= 10_000);
    }

    #[test]
    fn each_fault_has_its_own_number_of_tries() {
        for (kind, same, reason) in [
            (Kind::ConnectRejected, 1, "connect_rejected"),
            (Kind::OutcomeUnknown, 1, "may_have_been_delivered"),
            (Kind::Validation, 1, "malformed"),
            (Kind::StoreRejected, 1, "store_rejected"),
            (Kind::Unverified, 1, "unverified"),
            (Kind::SendRefused, 1, "send_refused"),
            (Kind::OptedOut, 1, "opted_out"),
            (Kind::WindowClosed, 1, "window_closed"),
            (Kind::ConnectMisconfigured, 8, "connect_misconfigured"),
            (Kind::SettingsUnavailable, 8, "settings_unavailable"),
            (Kind::SendMisconfigured, 6, "send_misconfigured"),
            (Kind::UnknownConversation, 8, "unknown_conversation"),
            (Kind::ChatEnded, 8, "chat_ended"),
            (Kind::Internal, 8, "internal"),
        ] {
            assert_eq!(after(kind, same), Next::DeadLetter(reason), "{kind:?}");
            if same > 1 {
                wait_of(after(kind, same - 1));
            }
        }
    }

    #[test]
    fn patience_ends_what_was_tried_and_is_not_held_up_by_us() {
        let old = |kind, was_tried| {
            let tries = Tries { age: seconds(14_400), same: 1, was_tried, was_told: true };
            next(&Error::new(kind, "x").retry_after(seconds(9)), &tries, &PATIENCE)
        };
        for kind in [
            Kind::Throttled,
            Kind::ConnectUnavailable,
            Kind::ProviderUnavailable,
            Kind::Timeout,
            Kind::ChatQuotaExceeded,
            Kind::AccountShut,
            Kind::ConversationThrottled,
        ] {
            assert_eq!(old(kind, true), Next::DeadLetter("expired"), "{kind:?}");
            wait_of(old(kind, false));
        }
        for kind in [Kind::StoreUnavailable, Kind::NotStored, Kind::SettingsUnavailable, Kind::StartsPaced] {
            wait_of(old(kind, true));
        }
    }

    #[test]
    fn no_wait_goes_past_the_notice_or_the_end() {
        for (age, was_told, at_most) in [(299, false, 1), (200, false, 100), (299, true, 900), (14_398, true, 2)] {
            let tries = Tries { age: seconds(age), same: 20, was_tried: true, was_told };
            let error = Error::new(Kind::ProviderUnavailable, "x").retry_after(seconds(900));
            assert!(wait_of(next(&error, &tries, &PATIENCE)) <= at_most * 1_000, "{age}");
            assert_eq!(is_notice_due(&error, &tries, &PATIENCE), !was_told && age >= 300);
        }
        let late = Tries { age: seconds(301), same: 1, was_tried: true, was_told: false };
        assert!(is_notice_due(&Error::new(Kind::Throttled, "x"), &late, &PATIENCE));
        assert!(!is_notice_due(&Error::new(Kind::StoreUnavailable, "x"), &late, &PATIENCE));
    }
}
