//! What becomes of a queue item whose delivery failed: the one place where an error decides that.

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

/// No item waits longer than this for its next try.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// The same where the table fails: that is never the item's own fault, and others may wait behind it.
const LONGEST_FOR_TABLE: Duration = Duration::from_secs(2 * 60);

/// Receipts after which a fault that only its owner can mend, or that is ours, ends in the dead-letter queue: 18 to 36
/// minutes, if the first wait is 20 s. Until then a corrected role or flow is enough.
const PATIENCE: u32 = 8;

/// The same where an agent waits for the customer's answer, and should know that none will come: 5 to 10 minutes. A copy
/// of the settings is used for five.
const AGENTS_PATIENCE: u32 = 6;

/// Decides. `receipts` is how often the queue has handed the item over, `tries` how often it was tried then.
pub fn next(error: &Error, receipts: u32, tries: u32) -> Next {
    let (first, patience) = match error.kind() {
        // Rates are counted by the second, and outages last for minutes.
        Kind::Throttled
        | Kind::ConnectUnavailable
        | Kind::ProviderUnavailable
        | Kind::Timeout
        | Kind::StoreUnavailable
        | Kind::NotStored => (2, None),
        // Chats end in minutes. However long it takes: an hour at quota must dead-letter nothing.
        Kind::ChatQuotaExceeded => (30, None),
        Kind::ConnectMisconfigured => (20, Some(("connect_misconfigured", PATIENCE))),
        Kind::SettingsUnavailable => (20, Some(("settings_unavailable", PATIENCE))),
        Kind::ChatEnded => (5, Some(("chat_ended", PATIENCE))),
        Kind::Internal => (5, Some(("internal", PATIENCE))),
        Kind::SendMisconfigured => (20, Some(("send_misconfigured", AGENTS_PATIENCE))),
        // The flow's first words may be a moment faster than the record of their chat, and that is written again for as
        // long as the table can't be.
        Kind::UnknownConversation => (5, Some(("unknown_conversation", PATIENCE))),
        Kind::SendRefused => return Next::DeadLetter("send_refused"),
        Kind::OptedOut => return Next::DeadLetter("opted_out"),
        Kind::OutcomeUnknown => return Next::DeadLetter("may_have_been_delivered"),
        Kind::ConnectRejected => return Next::DeadLetter("connect_rejected"),
        Kind::Validation => return Next::DeadLetter("malformed"),
        Kind::Unverified => return Next::DeadLetter("unverified"),
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
        | Kind::PayloadTooLarge => return Next::DeadLetter("refused"),
    };
    match patience {
        Some((reason, patience)) if receipts >= patience => Next::DeadLetter(reason),
        // Who asks for time gets it.
        _ => {
            let longest = if error.kind() == Kind::StoreUnavailable { LONGEST_FOR_TABLE } else { LONGEST };
            let wait = growing(longest, Duration::from_secs(first), tries);
            Next::Later(wait.max(error.wait().unwrap_or_default().min(LONGEST)))
        }
    }
}

/// How long an item waits that belongs into a dead-letter queue, where there is none or it takes nothing.
pub fn pause(receipts: u32) -> Duration {
    growing(LONGEST, Duration::from_secs(5), receipts)
}

/// How long an item waits that another one goes before: seconds, since it can go at once when that one is done with; after an
/// hour longer, since the queue hands it over no more than a thousand times.
pub fn in_turn(receipts: u32) -> Duration {
    let longest = if receipts < 200 { Duration::from_secs(20) } else { Duration::from_secs(120) };
    growing(longest, Duration::from_secs(5), receipts)
}

/// Doubles with every try; the upper half is jitter, so that what failed together does not come back together.
fn growing(longest: Duration, first: Duration, tries: u32) -> Duration {
    let most = first.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(longest);
    most.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(kind: Kind, receipts: u32) -> Next {
        next(&Error::new(kind, "x"), receipts, receipts)
    }

    fn wait(kind: Kind, receipts: u32) -> u64 {
        match after(kind, receipts) {
            Next::Later(wait) => wait.as_millis().try_into().unwrap(),
            Next::DeadLetter(reason) => panic!("{reason}"),
        }
    }

    #[test]
    fn what_may_pass_waits_longer_each_time() {
        for (kind, receipts, at_least, at_most) in [
            (Kind::Throttled, 1, 1_000, 2_000),
            (Kind::Throttled, 2, 2_000, 4_000),
            (Kind::ConnectUnavailable, 5, 16_000, 32_000),
            (Kind::StoreUnavailable, 1_000, 60_000, 120_000),
            (Kind::ChatQuotaExceeded, 1, 15_000, 30_000),
            (Kind::ChatQuotaExceeded, 999, 450_000, 900_000),
            (Kind::ConnectMisconfigured, 7, 450_000, 900_000),
            (Kind::SendMisconfigured, 5, 160_000, 320_000),
            (Kind::Timeout, u32::MAX, 450_000, 900_000),
        ] {
            for _ in 0..50 {
                let wait = wait(kind, receipts);
                assert!((at_least..=at_most).contains(&wait), "{kind:?} {receipts}: {wait}");
            }
        }
    }

    #[test]
    fn who_asks_for_time_gets_it() {
        let asks = |seconds| Error::new(Kind::Throttled, "x").retry_after(Duration::from_secs(seconds));
        assert_eq!(next(&asks(120), 1, 1), Next::Later(Duration::from_secs(120)));
        assert_eq!(next(&asks(86_400), 1, 1), Next::Later(LONGEST));
        assert!(matches!(next(&asks(1), 6, 6), Next::Later(wait) if wait >= Duration::from_secs(32)));
    }

    #[test]
    fn who_waited_for_others_is_tried_as_soon_as_who_did_not() {
        let wait = next(&Error::new(Kind::Throttled, "x"), 50, 1);
        assert!(matches!(wait, Next::Later(wait) if wait <= Duration::from_secs(2)), "{wait:?}");
        let wait = next(&Error::new(Kind::SendMisconfigured, "x"), 6, 1);
        assert_eq!(wait, Next::DeadLetter("send_misconfigured"), "patience is the agent's");
        for (receipts, at_least, at_most) in [(1, 2, 5), (2, 5, 10), (50, 10, 20), (200, 60, 120), (u32::MAX, 60, 120)]
        {
            let wait = in_turn(receipts).as_secs_f64();
            assert!((f64::from(at_least)..=f64::from(at_most)).contains(&wait), "{receipts}: {wait}");
        }
    }

    #[test]
    fn what_cannot_pass_is_put_aside() {
        for (kind, receipts, reason) in [
            (Kind::ConnectRejected, 1, "connect_rejected"),
            (Kind::OutcomeUnknown, 1, "may_have_been_delivered"),
            (Kind::Validation, 1, "malformed"),
            (Kind::Unverified, 1, "unverified"),
            (Kind::ConnectMisconfigured, 8, "connect_misconfigured"),
            (Kind::SettingsUnavailable, 8, "settings_unavailable"),
            (Kind::SendMisconfigured, 6, "send_misconfigured"),
            (Kind::UnknownConversation, 8, "unknown_conversation"),
            (Kind::SendRefused, 1, "send_refused"),
            (Kind::OptedOut, 1, "opted_out"),
            (Kind::ChatEnded, 8, "chat_ended"),
            (Kind::Internal, 9, "internal"),
        ] {
            assert_eq!(after(kind, receipts), Next::DeadLetter(reason), "{kind:?}");
        }
    }
}
