//! JSON of a known form: webhooks, queue items, what Connect streams.

use serde::de::{DeserializeOwned, Error as _};

use super::DEPTH;
use crate::mend;

/// How many items a list may have. WhatsApp's webhooks bring up to 1,000 updates at once
/// (<https://developers.facebook.com/docs/graph-api/webhooks/getting-started>).
const ITEMS: usize = 1_000;

/// What an object, a member and an item cost at most as `serde_json::Value`, in bytes. An object is a B-tree, whose nodes
/// have room for 11 members.
const OBJECT: usize = 640;
const MEMBER: usize = 128;
const ITEM: usize = 64;

/// Bytes that the values of a document may cost: for each byte of its text, and beside that.
const COST_PER_BYTE: usize = 14;
const FREE: usize = 1_000 * OBJECT;

/// Reads JSON whose text is repaired first ([`mend::json`]), within bounds on depth, lists and what its values cost in
/// memory. The error may quote the text.
pub(crate) fn parse<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    let text = mend::json(text);
    if !is_bounded(text.as_bytes()) {
        return Err(serde_json::Error::custom("is nested too deep, has too long lists, or too many values"));
    }
    serde_json::from_str(&text)
}

/// Whether a text, if it is JSON, keeps the bounds. It is not read: what opens, closes and separates is counted.
pub(crate) fn is_bounded(text: &[u8]) -> bool {
    // How many separators each open list or object has had.
    let mut open: Vec<usize> = Vec::with_capacity(DEPTH);
    let mut cost: usize = 0;
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_text(&mut bytes),
            b'[' | b'{' => {
                open.push(0);
                cost += if *byte == b'{' { OBJECT } else { ITEM };
            }
            b']' | b'}' => drop(open.pop()),
            b':' => cost += MEMBER,
            b',' => {
                cost += ITEM;
                if let Some(count) = open.last_mut() {
                    *count += 1;
                    if *count >= ITEMS {
                        return false;
                    }
                }
            }
            _ => {}
        }
        if open.len() > DEPTH {
            return false;
        }
    }
    cost <= FREE + COST_PER_BYTE * text.len()
}

/// Goes to the end of a text that has begun.
fn skip_text(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn bounds() {
        let list = |count: usize| format!("[{}0]", "0,".repeat(count - 1));
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        for (label, text, expected) in [
            ("the longest list", list(1_000), true),
            ("a longer one", list(1_001), false),
            ("the deepest", deep(16), true),
            ("deeper", deep(17), false),
            ("what stands in a text does not count", format!("\"{}\\\"{}\"", "[".repeat(99), "{".repeat(99)), true),
            ("many lists in lists", format!("[{}0]", format!("{},", list(900)).repeat(900)), false),
            ("many objects in lists", format!("[{}0]", format!("[{}0],", "{},".repeat(900)).repeat(90)), false),
        ] {
            assert_eq!(parse::<Value>(text.as_bytes()).is_ok(), expected, "{label}");
        }
    }
}
