//! Interactive messages as text to read and answer by hand.
//!
//! Source of the templates: Amazon Connect's administrator guide, "Add interactive messages to chat" (list picker, time
//! picker, panel, quick reply, carousel), and how amazon-connect-chat-interface renders them: titles and subtitles are
//! Markdown, an element of type `hyperlink` opens its URL and answers nothing, a choice answers with its title.
//! `replyMessage` is for the time after the choice. Of other templates (views, WhatsApp's, Apple's) and of what is no
//! JSON, the texts are shown in their order.
//!
//! Only GSM-7 characters are added, so that a template in English is sent as GSM-7.

use jiff::{
    SignedDuration,
    civil::DateTime,
    fmt::{strtime, temporal::Pieces},
    tz::Offset,
};
use serde_json::Value;

use crate::{
    json,
    reply::{link::with_url, markdown},
};

/// The last line, where there is a choice. A bot matches the title of a choice; few understand its number.
const REPLY: &str = "Reply with your choice.";

const MINUTES_OF_DAY: f64 = 1440.0;

/// The text of an interactive message; `None` where there is nothing to read.
pub(super) fn text_of(content: &str) -> Option<String> {
    let message: Value = json::parse(content.as_bytes()).unwrap_or_default();
    let mut lines = Lines::default();
    let body = body(&message);
    match message.get("templateType").and_then(Value::as_str) {
        Some("ListPicker" | "Panel" | "QuickReply") => lines.picker(body),
        Some("TimePicker") => lines.time_picker(body),
        Some("Carousel") => lines.carousel(body),
        _ => {}
    }
    lines.finish().or_else(|| readable(content))
}

/// What was chosen, of the message that a client answers an interactive one with; `None` where it can't be told.
///
/// Source: amazon-connect-chat-interface, a choice in a carousel (`listTitle`, `selectionText`) and action buttons
/// (`action`).
pub(super) fn response_text_of(content: &str) -> Option<String> {
    let response: Value = json::parse(content.as_bytes()).unwrap_or_default();
    let chosen = [Some(&response), response.get("data")].into_iter().flatten().find_map(|choice| {
        let (title, selection) = (title(choice, "listTitle")?, title(choice, "selectionText")?);
        let colon = if title.ends_with(':') { "" } else { " -" };
        Some(format!("{title}{colon} {selection}"))
    });
    chosen.or_else(|| readable(content)).or_else(|| title(&response, "action"))
}

/// What a template shows: `data.content`, or `data` in the examples of amazon-connect-chatjs.
fn body(message: &Value) -> &Value {
    let data = message.get("data").unwrap_or(&Value::Null);
    data.get("content").filter(|content| content.is_object()).unwrap_or(data)
}

/// The text being made.
#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    /// Choices so far: they are numbered through all cards of a carousel, so that a number stands for one of them.
    choices: usize,
}

impl Lines {
    fn finish(mut self) -> Option<String> {
        if self.choices > 0 {
            self.lines.push(REPLY.to_owned());
        }
        (!self.lines.is_empty()).then(|| self.lines.join("\n"))
    }

    fn picker(&mut self, body: &Value) {
        self.heading(body);
        for element in list(body, "elements") {
            self.element(element);
        }
    }

    fn carousel(&mut self, body: &Value) {
        self.heading(body);
        for card in list(body, "elements") {
            if !self.lines.is_empty() {
                self.lines.push(String::new());
            }
            self.picker(self::body(card));
        }
        if self.choices > 0 {
            self.lines.push(String::new());
        }
    }

    fn time_picker(&mut self, body: &Value) {
        self.heading(body);
        self.lines.extend(body.get("location").and_then(|location| title(location, "title")));
        let offset = body.get("timeZoneOffset").and_then(number).and_then(offset_of_minutes);
        for slot in list(body, "timeslots") {
            if let Some(date) = text(slot, "date") {
                let minutes = slot.get("duration").and_then(number).unwrap_or_default();
                self.choice(&time_slot(&date, minutes, offset).unwrap_or(date));
            }
        }
    }

    /// Title, subtitle and picture.
    fn heading(&mut self, body: &Value) {
        let heading = markup(body, "title");
        let picture = text(body, "imageDescription").filter(|description| heading.as_ref() != Some(description));
        let picture = match (image(body), picture) {
            (Some(url), description) => Some(with_url(&description.unwrap_or_default(), &url)),
            (None, description) => description.map(|description| format!("[image: {description}]")),
        };
        self.lines.extend([heading, markup(body, "subtitle"), picture].into_iter().flatten());
    }

    fn element(&mut self, element: &Value) {
        let parts: Vec<String> = ["title", "subtitle"].iter().filter_map(|key| title(element, key)).collect();
        let line = parts.join(" - ");
        let url = text(element, "url").unwrap_or_default();
        let line = with_url(&line, &url);
        let line = with_url(&line, &image(element).unwrap_or_default());
        let is_link = text(element, "type").is_some_and(|kind| kind.eq_ignore_ascii_case("hyperlink"));
        match line.as_str() {
            "" => {}
            line if is_link && !url.is_empty() => self.lines.push(format!("- {line}")),
            line => self.choice(line),
        }
    }

    fn choice(&mut self, line: &str) {
        self.choices += 1;
        self.lines.push(format!("{}. {line}", self.choices));
    }
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A string that is not blank, trimmed.
fn text(value: &Value, key: &str) -> Option<String> {
    let text = value.get(key)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The text of a string in Markdown.
fn markup(value: &Value, key: &str) -> Option<String> {
    text(value, key).map(|text| markdown::text_of(&text))
}

/// [`markup`], on one line.
fn title(value: &Value, key: &str) -> Option<String> {
    markup(value, key).map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The picture's URL, if it is one that a phone can open.
fn image(value: &Value) -> Option<String> {
    text(value, "imageData").filter(|url| is_url(url))
}

fn is_url(text: &str) -> bool {
    (text.starts_with("https://") || text.starts_with("http://")) && !text.contains(char::is_whitespace)
}

/// A number, or a string of one.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn offset_of_minutes(minutes: f64) -> Option<Offset> {
    // Out of range saturates, and is no offset then.
    Offset::from_seconds((minutes * 60.0) as i32).ok()
}

/// A slot such as `Sat 31 Oct 2020, 17:00-18:00 (UTC+2)`, at `offset` or else in its own time zone; `None` where `date`
/// is no ISO 8601 date and time. `minutes` is its length, if it has one.
fn time_slot(date: &str, minutes: f64, offset: Option<Offset>) -> Option<String> {
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

/// The texts of any content in their order, one a line, as far as a person can read them; `None` where there are none.
///
/// It looks for strings only, so that cut and malformed JSON (a comma too many, in templates written by hand) is read as
/// well, and without the order of keys being lost.
fn readable(content: &str) -> Option<String> {
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
fn is_for_people(key: &str, text: &str) -> bool {
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
    text.contains(is_readable) && (is_url(text) || !is_data && !is_action && !is_name)
}

#[cfg(test)]
mod tests;
