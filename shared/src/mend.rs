//! Text that is not quite text, made so: one bad character must not cost a whole message.
//!
//! What can't be read becomes U+FFFD, the replacement character. Signatures are checked over the bytes as they came.

use std::borrow::Cow;

/// Replaces what Amazon SQS refuses in a message ("#x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to
/// #x10FFFF", `SendMessage` in its API reference), and takes out NUL, which Connect refuses and which says nothing.
pub fn text(text: &mut String) {
    let is_refused =
        |character: char| matches!(character, '\u{fffe}' | '\u{ffff}') || character < ' ' && !is_blank(character);
    if text.contains(is_refused) {
        *text = text
            .chars()
            .filter(|character| *character != '\0')
            .map(|character| if is_refused(character) { char::REPLACEMENT_CHARACTER } else { character })
            .collect();
    }
}

fn is_blank(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r')
}

/// JSON whose texts are Unicode: bytes that are no UTF-8, and escapes of half a surrogate pair (`\ud83d` alone, as programs
/// write that cut a text within an emoji), are replaced.
pub fn json(bytes: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(bytes);
    let alone = lone_surrogates(text.as_bytes());
    if alone.is_empty() {
        return text;
    }
    let mut mended = String::with_capacity(text.len());
    let mut from = 0;
    for at in alone {
        mended.push_str(text.get(from..at).unwrap_or_default());
        mended.push_str(r"\ufffd");
        from = at + ESCAPE;
    }
    mended.push_str(text.get(from..).unwrap_or_default());
    Cow::Owned(mended)
}

/// The length of `\ud83d`.
const ESCAPE: usize = 6;

/// Where escapes of half a pair begin.
fn lone_surrogates(json: &[u8]) -> Vec<usize> {
    let mut alone = Vec::new();
    let mut at = 0;
    while let Some(next) = json.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\\')) {
        at += next;
        match unit(json, at) {
            Some(0xd800..=0xdbff) if matches!(unit(json, at + ESCAPE), Some(0xdc00..=0xdfff)) => at += 2 * ESCAPE,
            Some(0xd800..=0xdfff) => {
                alone.push(at);
                at += ESCAPE;
            }
            Some(_) => at += ESCAPE,
            // `\\`, `\n` and the like.
            None => at += 2,
        }
    }
    alone
}

/// The UTF-16 unit that is escaped here, if one is.
fn unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + ESCAPE)?.strip_prefix(br"\u")?;
    // `from_str_radix` alone would take a sign.
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::{json, text};

    #[test]
    fn characters_that_sqs_refuses_are_replaced() {
        for (given, expected) in [
            ("See you at 6 😀\t\r\n", "See you at 6 😀\t\r\n"),
            ("a\u{fffe}b\u{ffff}c", "a\u{fffd}b\u{fffd}c"),
            ("a\u{1}b\u{b}c\u{1f}", "a\u{fffd}b\u{fffd}c\u{fffd}"),
            ("a\0b", "ab"),
            ("\0", ""),
            ("\u{7f}\u{85}\u{fffd}\u{1ffff}", "\u{7f}\u{85}\u{fffd}\u{1ffff}"),
        ] {
            let mut mended = given.to_owned();
            text(&mut mended);
            assert_eq!(mended, expected, "{given:?}");
        }
    }

    #[test]
    fn half_a_pair_is_replaced() {
        for (given, expected) in [
            (r#""See you at 6 \ud83d""#, "See you at 6 \u{fffd}"),
            (r#""\ude00 late""#, "\u{fffd} late"),
            (r#""\uD83D\uDE00""#, "😀"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\ud83dx\ude00""#, "\u{fffd}x\u{fffd}"),
            (r#""\ud83d\n""#, "\u{fffd}\n"),
            (r#""\ud83d\\ude00""#, "\u{fffd}\\ude00"),
            (r#""\\ud83d""#, "\\ud83d"),
            (r#""\\\ud83d""#, "\\\u{fffd}"),
            (r#""é\u00e9""#, "éé"),
        ] {
            assert_eq!(serde_json::from_str::<String>(&json(given.as_bytes())).unwrap(), expected, "{given}");
        }
        assert_eq!(
            serde_json::from_str::<String>(&json(b"\"a\xffb\xed\xa0\xbdc\"")).unwrap(),
            "a\u{fffd}b\u{fffd}\u{fffd}\u{fffd}c"
        );
    }

    proptest! {
        #[test]
        fn json_that_can_be_read_stays_as_it_is(texts in prop::collection::vec(any::<String>(), 0..4)) {
            let whole = serde_json::to_string(&texts).unwrap();
            prop_assert!(matches!(json(whole.as_bytes()), Cow::Borrowed(same) if same == whole));
        }

        #[test]
        fn any_units_can_be_read(units in prop::collection::vec(any::<u16>(), 0..20)) {
            let escaped: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let read: Value = serde_json::from_str(&json(format!("\"{escaped}\"").as_bytes())).unwrap();
            prop_assert_eq!(read, String::from_utf16_lossy(&units));
        }

        #[test]
        fn any_bytes_are_mended_once(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let once = json(&bytes).into_owned();
            prop_assert_eq!(json(once.as_bytes()), once.as_str());
        }
    }
}
