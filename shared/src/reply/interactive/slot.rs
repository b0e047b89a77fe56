//! A slot of a time picker in words.

use jiff::{
    SignedDuration,
    civil::DateTime,
    fmt::{strtime, temporal::Pieces},
    tz::Offset,
};

const MINUTES_OF_DAY: f64 = 1440.0;

pub(super) fn offset_of_minutes(minutes: f64) -> Option<Offset> {
    // Out of range saturates, and is no offset then.
    Offset::from_seconds((minutes * 60.0) as i32).ok()
}

/// A slot such as `Sat 31 Oct 2020, 17:00-18:00 (UTC+2)`, at `offset` or else in its own time zone; `None` where `date`
/// is no ISO 8601 date and time. `minutes` is its length, if it has one.
pub(super) fn time_slot(date: &str, minutes: f64, offset: Option<Offset>) -> Option<String> {
    let pieces = Pieces::parse(date).ok()?;
    let local = DateTime::from_parts(pieces.date(), pieces.time()?);
    let own = pieces.to_numeric_offset();
    let offset = offset.filter(|_| own.is_some()).or(own);
    let start = match (own, offset) {
        (Some(own), Some(offset)) => offset.to_datetime(own.to_timestamp(local).ok()?),
        _ => local,
    };
    let day = "%a %-d %b %Y, %H:%M";
    let mut slot = strtime::format(day, start).ok()?;
    // Of a day and more, the unit is not the one that the guide's example has.
    let length = (1.0..MINUTES_OF_DAY).contains(&minutes).then(|| SignedDuration::from_mins(minutes as i64));
    if let Some(end) = length.and_then(|length| start.checked_add(length).ok()) {
        let (dash, form) = if end.date() == start.date() { ("-", "%H:%M") } else { (" - ", day) };
        slot.push_str(dash);
        slot.push_str(&strtime::format(form, end).ok()?);
    }
    if let Some(offset) = offset {
        let minutes = offset.seconds() / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
        slot.push_str(&match (hours, minutes) {
            (0, 0) => " (UTC)".to_owned(),
            (hours, 0) => format!(" (UTC{sign}{hours})"),
            (hours, minutes) => format!(" (UTC{sign}{hours}:{minutes:02})"),
        });
    }
    Some(slot)
}
