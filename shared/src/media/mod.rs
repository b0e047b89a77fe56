//! Fetches customers' media, for [`crate::deliver`] to bring them into the chat.
//!
//! The way of one picture: the provider's [`crate::sms::contract::Provider::medium`] says where it is and what opens it
//! ([`crate::sms::media`]) → `fetch` opens it, at nothing but the provider's own hosts or public addresses (`address`) →
//! `file` names it by its type → `body` streams it, so that a file is never whole in memory: one of unknown length goes
//! through `/tmp` first, since Connect must be told the length before it gets the first byte.

mod address;
pub(crate) mod aws;
pub(crate) mod body;
pub(crate) mod fetch;
pub(crate) mod file;

/// As people write it: 1 MB is 1,048,576 bytes.
pub(crate) fn megabytes(bytes: u64) -> String {
    const MEGABYTE: u64 = 1024 * 1024;
    let tenths = bytes.saturating_mul(10) / MEGABYTE;
    match (bytes % MEGABYTE, bytes) {
        (0, _) => format!("{} MB", bytes / MEGABYTE),
        (_, ..1024) => format!("{bytes} bytes"),
        (_, ..MEGABYTE) => format!("{} KB", bytes / 1024),
        _ => format!("{}.{} MB", tenths / 10, tenths % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::megabytes;

    #[test]
    fn sizes_are_written_as_people_write_them() {
        for (bytes, written) in [
            (20 * 1024 * 1024, "20 MB"),
            (100 * 1024 * 1024, "100 MB"),
            (1024 * 1024 + 512 * 1024, "1.5 MB"),
            (2_000_000, "1.9 MB"),
            (5 * 1024, "5 KB"),
            (10, "10 bytes"),
        ] {
            assert_eq!(megabytes(bytes), written);
        }
    }
}
