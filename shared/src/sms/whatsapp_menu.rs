//! Choices in WhatsApp's own form: reply buttons and lists.
//!
//! | limit | buttons | list |
//! |---|---|---|
//! | choices | 3 | 10 rows, in at most 10 sections |
//! | title | 20 | 24, and 72 for a row's description |
//! | body | 1024 | 4096 |
//! | others | | 20 for the button that opens it, 24 for a section's title |
//!
//! Sources: <https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/interactive-reply-buttons-messages>
//! and <https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/interactive-list-messages>. They
//! count characters; here UTF-16 units are counted, of which no text has fewer.
//!
//! ```text
//! {"type":"button","body":{"text":"All well?"},"action":{"buttons":[{"type":"reply","reply":{"id":"…","title":"Yes"}}]}}
//! {"type":"list","body":{"text":"Which?"},"action":{"button":"Choose","sections":[{"rows":[{"id":"…","title":"Orders"}]}]}}
//! ```

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use unicode_segmentation::UnicodeSegmentation;

use crate::{
    choices::{Choice, Prompt},
    sms::opt_out::folded,
};

const BUTTONS: usize = 3;
const BUTTON_TITLE: usize = 20;
const BUTTONS_BODY: usize = 1024;

const ROWS: usize = 10;
const ROW_TITLE: usize = 24;
const DESCRIPTION: usize = 72;
const SECTION_TITLE: usize = 24;
const LIST_BODY: usize = 4096;
const OPENER: usize = 20;

/// The button that opens a list.
const CHOOSE: &str = "Choose";

/// The `interactive` object of a message; `None` where the choices don't fit.
pub(super) fn interactive(prompt: &Prompt) -> Option<Value> {
    if prompt.choices.is_empty() {
        return None;
    }
    prompt.whatsapp.as_ref().and_then(|own| of_flow(prompt, own)).or_else(|| buttons(prompt)).or_else(|| list(prompt))
}

/// Buttons have nothing but their titles.
fn buttons(prompt: &Prompt) -> Option<Value> {
    let fits = |choice: &Choice| choice.detail.is_none() && length(&choice.title) <= BUTTON_TITLE;
    let is_ok = prompt.choices.len() <= BUTTONS
        && length(&prompt.body) <= BUTTONS_BODY
        && prompt.choices.iter().all(fits)
        && are_distinct(prompt.choices.iter().map(|choice| &choice.title));
    let button =
        |(id, choice): (String, &Choice)| json!({ "type": "reply", "reply": { "id": id, "title": choice.title } });
    is_ok.then(|| {
        let buttons: Vec<_> = prompt.with_ids().map(button).collect();
        json!({ "type": "button", "body": { "text": prompt.body }, "action": { "buttons": buttons } })
    })
}

fn list(prompt: &Prompt) -> Option<Value> {
    if prompt.choices.len() > ROWS || length(&prompt.body) > LIST_BODY {
        return None;
    }
    let rows = prompt.with_ids().map(|(id, choice)| Row::of(&id, choice)).collect::<Option<Vec<_>>>()?;
    if !are_distinct(rows.iter().map(|row| &row.title)) {
        return None;
    }
    let action = json!({ "button": CHOOSE, "sections": sections(prompt, &rows) });
    Some(json!({ "type": "list", "body": { "text": prompt.body }, "action": action }))
}

struct Row {
    title: String,
    json: Value,
}

impl Row {
    /// A title that is too long stands whole in the description.
    fn of(id: &str, choice: &Choice) -> Option<Self> {
        let title = cut(&choice.title, ROW_TITLE);
        let whole = Some(&choice.title).filter(|whole| **whole != title);
        let description =
            [whole, choice.detail.as_ref()].into_iter().flatten().cloned().collect::<Vec<_>>().join(" - ");
        if title.is_empty() || length(&description) > DESCRIPTION {
            return None;
        }
        let mut row = Map::from_iter([("id".to_owned(), json!(id)), ("title".to_owned(), json!(title))]);
        if !description.is_empty() {
            row.insert("description".to_owned(), json!(description));
        }
        Some(Self { title, json: Value::Object(row) })
    }
}

/// A section for each card of a carousel, if all have titles.
fn sections(prompt: &Prompt, rows: &[Row]) -> Vec<Value> {
    let mut sections: Vec<(Option<&String>, Vec<&Value>)> = Vec::new();
    for (choice, row) in prompt.choices.iter().zip(rows) {
        match sections.last_mut() {
            Some((group, rows)) if *group == choice.group.as_ref() => rows.push(&row.json),
            _ => sections.push((choice.group.as_ref(), vec![&row.json])),
        }
    }
    if sections.len() == 1 || sections.iter().any(|(group, _)| group.is_none()) {
        return vec![json!({ "rows": rows.iter().map(|row| &row.json).collect::<Vec<_>>() })];
    }
    let section = |(group, rows): (Option<&String>, Vec<&Value>)| json!({ "title": cut(group.map_or("", String::as_str), SECTION_TITLE), "rows": rows });
    sections.into_iter().map(section).collect()
}

/// What a flow wrote in this form, with our ids; `None` where WhatsApp would refuse it.
fn of_flow(prompt: &Prompt, own: &Value) -> Option<Value> {
    let mut ids = prompt.with_ids().map(|(id, choice)| (id, choice.written.as_ref().unwrap_or(&choice.title)));
    let mut named = |reply: &Value, most: usize| {
        let (id, title) = ids.next()?;
        let is_ok = reply.get("title")? == title && length(title) <= most;
        let mut reply = reply.as_object().filter(|_| is_ok)?.clone();
        reply.insert("id".to_owned(), json!(id));
        Some(Value::Object(reply))
    };
    let mut action = own.get("action")?.as_object()?.clone();
    let (kind, most) = if let Some(buttons) = own.pointer("/action/buttons").and_then(Value::as_array) {
        let named = buttons.iter().map(|button| {
            let mut button = button.as_object()?.clone();
            let reply = named(button.get("reply")?, BUTTON_TITLE)?;
            button.insert("reply".to_owned(), reply);
            button.entry("type").or_insert_with(|| json!("reply"));
            Some(Value::Object(button))
        });
        let named = named.collect::<Option<Vec<_>>>().filter(|buttons| buttons.len() <= BUTTONS)?;
        action.insert("buttons".to_owned(), json!(named));
        ("button", BUTTONS_BODY)
    } else {
        let sections = own.pointer("/action/sections")?.as_array()?;
        let named = sections.iter().map(|section| {
            let mut section = section.as_object()?.clone();
            let rows = section.get("rows")?.as_array()?.iter().map(|row| named(row, ROW_TITLE));
            let rows = rows.collect::<Option<Vec<_>>>()?;
            section.insert("rows".to_owned(), json!(rows));
            Some(Value::Object(section))
        });
        action.insert("sections".to_owned(), json!(named.collect::<Option<Vec<_>>>()?));
        ("list", LIST_BODY)
    };
    let titles = prompt.choices.iter().map(|choice| &choice.title);
    let is_whole = ids.next().is_none() && prompt.choices.len() <= ROWS && are_distinct(titles);
    let body = own.pointer("/body/text")?.as_str()?;
    let is_ok =
        is_whole && !body.trim().is_empty() && length(body) <= most && (kind == "button" || has_list_texts(own));
    let mut interactive =
        Map::from_iter([("type".to_owned(), json!(kind)), ("action".to_owned(), Value::Object(action))]);
    for name in ["header", "body", "footer"] {
        interactive.extend(own.get(name).filter(|part| part.is_object()).map(|part| (name.to_owned(), part.clone())));
    }
    is_ok.then_some(Value::Object(interactive))
}

/// Whether what stands around the rows of a flow's list is within its limits.
fn has_list_texts(own: &Value) -> bool {
    let is_within =
        |text: Option<&Value>, most: usize| text.and_then(Value::as_str).is_none_or(|text| length(text) <= most);
    let sections = own.pointer("/action/sections").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let rows = || sections.iter().filter_map(|section| section.get("rows")?.as_array());
    let has_title = |section: &Value| {
        section.get("title").is_some_and(|title| title.as_str().is_some_and(|title| !title.trim().is_empty()))
    };
    let opener = own.pointer("/action/button").and_then(Value::as_str).unwrap_or_default();
    (1..=OPENER).contains(&length(opener))
        && sections.iter().all(|section| is_within(section.get("title"), SECTION_TITLE))
        && (sections.len() == 1 || sections.iter().all(has_title))
        && rows().all(|rows| !rows.is_empty())
        && rows().flatten().all(|row| is_within(row.get("description"), DESCRIPTION))
}

fn are_distinct<'a>(titles: impl Iterator<Item = &'a String>) -> bool {
    let mut seen = BTreeSet::new();
    titles.into_iter().all(|title| seen.insert(folded(title)))
}

fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// At most so long, with a sign where something is left out.
fn cut(text: &str, most: usize) -> String {
    if length(text) <= most {
        return text.to_owned();
    }
    let mut kept = String::new();
    for grapheme in text.graphemes(true) {
        if length(&kept) + length(grapheme) >= most {
            break;
        }
        kept.push_str(grapheme);
    }
    let kept = kept.trim_end();
    if kept.is_empty() { String::new() } else { format!("{kept}…") }
}

#[cfg(test)]
mod tests;
