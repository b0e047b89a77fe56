//! What a person can read of a message that is no template that we know.

use crate::reply::markdown;

/// The texts of any content in their order, one a line, as far as a person can read them; `None` where there are none.
///
/// It looks for strings only, so that cut and malformed JSON (a comma too many, in templates written by hand) is read as
/// well, and without the order of keys being lost.
pub(super) fn readable(content: &str) -> Option<String> {
    let content = content.trim();
    let lines: Vec<String> = if content.starts_with(['{', '[']) {
        strings(content)
            .into_iter()
            .filter(|(key, text)| is_for_people(key, text))
            .map(|(_, text)| markdown::text_of(&text))
            .collect()
    } else {
        // A JSON string, or no JSON.
        vec![serde_json::from_str(content).unwrap_or_else(|_| content.to_owned()).trim().to_owned()]
    };
    let text = lines.join("\n");
    (!text.trim().is_empty()).then_some(text)
}

/// The strings of something like JSON, each with its key; not those of a `replyMessage`.
fn strings(json: &str) -> Vec<(String, String)> {
    let mut strings = Vec::new();
    let mut key = String::new();
    let mut depth = 0_usize;
    // The depth that a `replyMessage` stands at.
    let mut skipped = None;
    let mut rest = json;
    while let Some(character) = rest.chars().next() {
        rest = rest.get(character.len_utf8()..).unwrap_or_default();
        match character {
            '{' | '[' => depth += 1,
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                skipped = skipped.filter(|at| *at < depth);
            }
            '"' => {
                let (text, after) = string(rest);
                rest = after;
                if after.trim_start().starts_with(':') {
                    if text == "replyMessage" && skipped.is_none() {
                        skipped = Some(depth);
                    } else if skipped == Some(depth) {
                        skipped = None;
                    }
                    key = text;
                } else if skipped.is_none() {
                    strings.push((key.clone(), text));
                }
            }
            _ => {}
        }
    }
    strings
}

/// The string that `json` begins with, after its quote, and what follows it.
fn string(json: &str) -> (String, &str) {
    let mut is_escaped = false;
    let end = json.find(|character| {
        let ends = character == '"' && !is_escaped;
        is_escaped = character == '\\' && !is_escaped;
        ends
    });
    let (literal, after) = json.split_at_checked(end.unwrap_or(json.len())).unwrap_or((json, ""));
    // A line end in a string, or the end in the middle of an escape, makes it no JSON: it is shown as it stands.
    let text = serde_json::from_str(&format!("\"{literal}\"")).unwrap_or_else(|_| literal.to_owned());
    (text.replace('\0', "").replace("\r\n", "\n").replace('\r', "\n"), after.get(1..).unwrap_or_default())
}

/// Whether a string of a template that isn't known is text, and not one of its own names, ids or data.
pub(super) fn is_for_people(key: &str, text: &str) -> bool {
    let is_name =
        ["id", "ids", "identifier", "type", "arn", "token", "version", "format", "style"].iter().any(|name| {
            let before = key.len().checked_sub(name.len()).and_then(|at| key.split_at_checked(at));
            // `type`, `imageType`, `image_type`; not `paid`.
            before.is_some_and(|(before, end)| {
                end.eq_ignore_ascii_case(name)
                    && (before.is_empty()
                        || before.ends_with('_')
                        || end.starts_with(|first: char| first.is_ascii_uppercase()))
            })
        });
    let is_action = matches!(key, "action" | "actionName" | "actionDetail");
    // Not every script has blanks between its words.
    let is_data = text.len() > 100 && text.is_ascii() && !text.contains(char::is_whitespace) || key == "imageData";
    let is_readable = |character: char| character.is_alphanumeric() || !character.is_ascii();
    text.contains(is_readable) && (super::is_url(text) || !is_data && !is_action && !is_name)
}
