//! The plain text of a chat message, whatever its content type.

use unicode_segmentation::UnicodeSegmentation;

use crate::{
    chat::{INTERACTIVE, INTERACTIVE_RESPONSE},
    choices::Prompt,
    reply::{
        interactive::{self, Interactive},
        markdown,
        streamed::AgentsFile,
    },
};

/// Characters of a file name that are shown; of a longer one, its beginning and its end.
const MOST_OF_NAME: usize = 80;

/// The text of a message, by its content type (`ContentType` of a streamed item, any case, parameters ignored); `None`
/// where the type is unknown or an interactive message has nothing to read. May be blank where `content` is.
///
/// Source of the types: `SupportedMessagingContentTypes` of `StartChatContact`. Line ends become `\n`, NULs go.
pub fn of_message(content_type: &str, content: &str) -> Option<String> {
    let content = cleaned(content);
    match essence(content_type).as_str() {
        "text/plain" => Some(content),
        "text/markdown" => Some(markdown::text_of(&content)),
        INTERACTIVE => interactive::text_of(&content),
        INTERACTIVE_RESPONSE => interactive::response_text_of(&content),
        _ => None,
    }
}

/// The message with choices that a message is, by this name; `None` where it is no interactive one. It may have none.
pub(super) fn prompt(content_type: &str, content: &str, id: impl FnOnce() -> String) -> Option<Prompt> {
    if essence(content_type) != INTERACTIVE {
        return None;
    }
    Interactive::read(&cleaned(content)).map(|message| message.into_prompt(id()))
}

fn cleaned(content: &str) -> String {
    content.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "")
}

fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The names of attachments, each in brackets on a line of its own.
pub fn of_attachments<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let lines: Vec<String> = names
        .map(|name| match shown_name(name) {
            name if name.is_empty() => "[attachment]".to_owned(),
            name => format!("[attachment: {name}]"),
        })
        .collect();
    lines.join("\n")
}

/// The names of files, as the agent reads them.
pub(super) fn names(files: &[AgentsFile]) -> String {
    let names = files.iter().map(|file| match shown_name(&file.name) {
        name if name.is_empty() => "a file".to_owned(),
        name => name,
    });
    names.collect::<Vec<_>>().join(", ")
}

/// A file name without what would break the line or turn the text around, and not too long.
fn shown_name(name: &str) -> String {
    let visible: String = name
        .chars()
        .map(|character| if character.is_whitespace() { ' ' } else { character })
        .filter(|character| !character.is_control() && !is_direction(*character))
        .collect();
    let name = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    if name.chars().count() <= MOST_OF_NAME {
        return name;
    }
    let start = within(name.graphemes(true), MOST_OF_NAME / 2);
    let end = within(name.graphemes(true).rev(), MOST_OF_NAME / 2);
    format!("{}...{}", start.concat(), end.into_iter().rev().collect::<String>())
}

/// The first graphemes, `most` characters at most.
fn within<'a>(graphemes: impl Iterator<Item = &'a str>, most: usize) -> Vec<&'a str> {
    let mut characters = 0;
    graphemes
        .take_while(|grapheme| {
            characters += grapheme.chars().count();
            characters <= most
        })
        .collect()
}

/// Marks that change the direction of text: Unicode Standard Annex 9, section 2.
fn is_direction(character: char) -> bool {
    matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{of_attachments, of_message};

    #[test]
    fn the_type_decides() {
        for (content_type, content, expected) in [
            ("text/plain", "**Hi** &amp; <b>", Some("**Hi** &amp; <b>")),
            ("text/plain", "a\r\nb\rc\nd\0e\n", Some("a\nb\nc\nde\n")),
            ("text/plain", "", Some("")),
            ("Text/Plain; charset=UTF-8", " Hi ", Some(" Hi ")),
            ("text/markdown", "**Hi** &amp;\r\n_you_", Some("Hi &\nyou")),
            (" TEXT/MARKDOWN ;charset=utf-8", "# Hi", Some("Hi")),
            (
                "application/vnd.amazonaws.connect.message.interactive",
                r#"{"templateType":"QuickReply","data":{"content":{"title":"Ok?","elements":[{"title":"Yes"}]}}}"#,
                Some("Ok?\n1. Yes\nReply with your choice."),
            ),
            (
                "application/vnd.amazonaws.connect.message.interactive.response",
                r#"{"listTitle":"Flights","selectionText":"Buy"}"#,
                Some("Flights - Buy"),
            ),
            ("application/vnd.amazonaws.connect.message.interactive", "{}", None),
            ("application/vnd.amazonaws.connect.event.typing", "x", None),
            ("application/json", "{}", None),
            ("text/html", "<p>Hi</p>", None),
            ("", "Hi", None),
        ] {
            assert_eq!(of_message(content_type, content).as_deref(), expected, "{content_type} {content:?}");
        }
    }

    #[test]
    fn attachments_are_named() {
        let long = format!("{}.pdf", "invoice ".repeat(40));
        let cut = "[attachment: invoice invoice invoice invoice invoice ...ice invoice invoice invoice invoice .pdf]";
        let marks = format!("a{}", "\u{301}".repeat(500));
        for (names, expected) in [
            (&["invoice.pdf"][..], "[attachment: invoice.pdf]".to_owned()),
            (&["a.png", "b.png"], "[attachment: a.png]\n[attachment: b.png]".to_owned()),
            (&[], String::new()),
            (&["", " \r\n\0"], "[attachment]\n[attachment]".to_owned()),
            (&["a\r\nb\u{2028}c\t\u{7}.pdf"], "[attachment: a b c .pdf]".to_owned()),
            (&["x\u{202e}fdp.exe\u{2066}"], "[attachment: xfdp.exe]".to_owned()),
            (&["résumé été.docx"], "[attachment: résumé été.docx]".to_owned()),
            (&[long.as_str()], cut.to_owned()),
            (&[marks.as_str()], "[attachment: ...]".to_owned()),
        ] {
            assert_eq!(of_attachments(names.iter().copied()), expected, "{names:?}");
        }
    }

    proptest! {
        #[test]
        fn any_message_has_a_text_or_none(content in any::<String>(), kind in 0_usize..5) {
            let types = ["text/plain", "text/markdown", "application/vnd.amazonaws.connect.message.interactive",
                "application/vnd.amazonaws.connect.message.interactive.response", "application/json"];
            let text = of_message(types[kind], &content);
            prop_assert!(kind > 1 || text.is_some());
            prop_assert!(!text.is_some_and(|text| text.contains(['\0', '\r'])));
        }

        #[test]
        fn any_names_are_a_line_each(names in prop::collection::vec(any::<String>(), 0..5)) {
            let text = of_attachments(names.iter().map(String::as_str));
            prop_assert_eq!(text.lines().count(), names.len());
            prop_assert!(text.lines().all(|line| line.chars().count() <= 80 + "[attachment: ...]".len()));
            prop_assert!(!text.chars().any(|character| character.is_control() && character != '\n'));
        }
    }
}
