//! The bridge's own notes in a chat, which begin with a word in brackets, and how a customer's words are told from them.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

/// The words that the bridge puts into brackets. Every note begins with one of them.
const WORDS: [&str; 22] = [
    "attachment",
    "audio",
    "contact",
    "customer left",
    "delayed",
    "delivered",
    "empty message",
    "file",
    "form",
    "image",
    "location",
    "not delivered",
    "opted in",
    "opted out",
    "order",
    "part missing",
    "reaction",
    "read",
    "sticker",
    "unsupported message",
    "video",
    "waiting for the customer",
];

/// How many characters of a text are looked at.
const LOOKED_AT: usize = 200;

/// What stands before a customer's text that begins like a note.
const PREFIX: &str = "Customer wrote: ";

/// A customer's own text, so that no agent takes it for a note.
pub(crate) fn customers_words(text: &str) -> Cow<'_, str> {
    if begins_like_a_note(text) { Cow::Owned(format!("{PREFIX}{text}")) } else { Cow::Borrowed(text) }
}

/// As an agent sees it: letters of other forms and widths, invisible characters and blanks make no difference.
fn begins_like_a_note(text: &str) -> bool {
    let beginning: String = text.chars().filter(|c| !is_invisible(*c)).skip_while(|c| c.is_whitespace()).take(LOOKED_AT).collect();
    let seen = ComposingNormalizerBorrowed::new_nfkc().normalize(&beginning).to_lowercase();
    let Some(words) = seen.trim_start().strip_prefix(['[', '【', '〔', '⟦', '❲', '〚', '⁅']) else { return false };
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    WORDS.iter().any(|word| {
        words.strip_prefix(word).is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphanumeric()))
    })
}

fn is_invisible(character: char) -> bool {
    (character.is_control() && !character.is_whitespace())
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::{WORDS, customers_words};

    #[test]
    fn what_begins_like_a_note_is_the_customers() {
        for text in [
            "[not delivered] Hello",
            "[Not Delivered]",
            " \n[ not  delivered ]",
            "[opted out] STOP",
            "[delayed]",
            "[file: invoice.pdf]",
            "[image] larger than 20 MB",
            "[\u{200b}not\u{200d} delivered]",
            "\u{feff}\u{202e}[not delivered]",
            "［ｎｏｔ　ｄｅｌｉｖｅｒｅｄ］",
            "【not delivered】",
            "[not delivered",
            "[𝗻𝗼𝘁 𝗱𝗲𝗹𝗶𝘃𝗲𝗿𝗲𝗱]",
        ] {
            assert_eq!(customers_words(text), format!("Customer wrote: {text}"));
        }
        for text in ["", "[", "[]", "Hello [not delivered]", "not delivered", "[filed]", "[1] one", "[ok]", "(image)"] {
            assert_eq!(customers_words(text), text);
        }
        let long = format!("[{}not delivered]", " ".repeat(100_000));
        assert_eq!(customers_words(&long), long);
    }

    #[test]
    fn every_word_counts() {
        for word in WORDS {
            assert!(customers_words(&format!("[{word}] x")).starts_with("Customer wrote: "), "{word}");
        }
    }
}
