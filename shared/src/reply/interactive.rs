//! Interactive messages: what there is to read, and what there is to choose.
//!
//! Source of the templates: Amazon Connect's administrator guide, "Add interactive messages to chat" (list picker, time
//! picker, panel, quick reply, carousel, WhatsApp's list and reply buttons), and how amazon-connect-chat-interface renders
//! and answers them: titles and subtitles are Markdown, an element of type `hyperlink` opens its URL and answers nothing.
//! `replyMessage` is for the time after the choice. Of other templates (views, Apple's) and of what is no JSON, the texts are
//! shown in their order.
//!
//! What a choice answers (`createInteractiveMessagePayload` there):
//!
//! | chosen in | content type | content |
//! |---|---|---|
//! | a list picker, a panel, a quick reply, WhatsApp's templates | `text/plain` | the title |
//! | a time picker | `text/plain` | the slot's `date` |
//! | a card of a carousel | `text/plain` | `{"templateIdentifier":…,"listTitle":…,"selectionText":…}` |
//! | an element with an `actionDetail`, but in a carousel | `….interactive.response` | `{"version":"1.0","data":{"actionName":…},"action":…}` |
//!
//! Only GSM-7 characters are added, so that a template in English is sent as GSM-7.

mod readable;
mod slot;

use serde::Serialize;
use serde_json::Value;

use crate::{
    choices::{Answer, Choice, Prompt, REPLY},
    json,
    reply::{link::with_url, markdown},
};
use readable::readable;
use slot::{offset_of_minutes, time_slot};

/// The values of `actionDetail` that ask for another page of a list.
const ACTIONS: [&str; 2] = ["SHOW_MORE", "PREVIOUS_OPTIONS"];

/// An interactive message that can be put into words.
pub(super) struct Interactive {
    lines: Vec<Line>,
    choices: Vec<Choice>,
    whatsapp: Option<Value>,
}

enum Line {
    Text(String),
    /// A choice, as it is shown in a list.
    Choice(String),
}

impl Interactive {
    /// Reads a message; `None` where there is nothing to read.
    pub(super) fn read(content: &str) -> Option<Self> {
        let message: Value = json::parse(content.as_bytes()).unwrap_or_default();
        let body = body(&message);
        let kind = message.get("templateType").and_then(Value::as_str).unwrap_or_default();
        let mut reader = Reader { lines: Vec::new(), choices: Vec::new(), kind, body, card: None };
        match kind {
            "ListPicker" | "Panel" | "QuickReply" => reader.picker(body),
            "TimePicker" => reader.time_picker(body),
            "Carousel" => reader.carousel(body),
            "WhatsAppInteractiveList" | "WhatsAppInteractiveReplyButton" => reader.whatsapp(body),
            _ => {}
        }
        let Reader { lines, choices, .. } = reader;
        if lines.is_empty() {
            let text = readable(content)?;
            return Some(Self { lines: vec![Line::Text(text)], choices: Vec::new(), whatsapp: None });
        }
        let whatsapp = kind.starts_with("WhatsApp").then(|| body.clone());
        Some(Self { lines, choices, whatsapp })
    }

    /// As numbered text.
    pub(super) fn text(&self) -> String {
        let mut number = 0;
        let mut lines: Vec<_> = self.lines.iter().map(|line| line.numbered(&mut number)).collect();
        if number > 0 {
            lines.push(REPLY.to_owned());
        }
        lines.join("\n")
    }

    /// As a message with choices, by this name.
    pub(super) fn into_prompt(self, id: String) -> Prompt {
        let mut body: Vec<String> = Vec::new();
        for line in self.lines {
            let Line::Text(line) = line else { continue };
            // The blank lines around a card stand around its choices too.
            if !line.is_empty() || body.last().is_some_and(|last| !last.is_empty()) {
                body.push(line);
            }
        }
        let body = body.join("\n").trim().to_owned();
        let body = if body.is_empty() { REPLY.to_owned() } else { body };
        Prompt { id, body, choices: self.choices, whatsapp: self.whatsapp }
    }
}

impl Line {
    fn numbered(&self, number: &mut usize) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Choice(text) => {
                *number += 1;
                format!("{number}. {text}")
            }
        }
    }
}

/// The text of an interactive message; `None` where there is nothing to read.
pub(super) fn text_of(content: &str) -> Option<String> {
    Interactive::read(content).map(|message| message.text())
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

/// The message being read. Choices are numbered through all cards of a carousel, so that a number stands for one of them.
struct Reader<'a> {
    lines: Vec<Line>,
    choices: Vec<Choice>,
    /// The template's type.
    kind: &'a str,
    /// What it shows.
    body: &'a Value,
    card: Option<Card<'a>>,
}

/// A card of a carousel.
#[derive(Clone, Copy)]
struct Card<'a> {
    id: Option<&'a str>,
    title: Option<&'a str>,
}

/// What a choice in a carousel answers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Selection<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    template_identifier: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    list_title: Option<&'a str>,
    selection_text: &'a str,
}

/// What a button for another page of a list answers.
#[derive(Serialize)]
struct Response<'a> {
    version: &'static str,
    data: ActionData<'a>,
    action: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ActionData<'a> {
    action_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pre_index: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_index: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    list_id: Option<&'a Value>,
    template_type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference_id: Option<&'a Value>,
}

impl<'a> Reader<'a> {
    fn picker(&mut self, body: &'a Value) {
        self.heading(body);
        for element in list(body, "elements") {
            self.element(element);
        }
    }

    fn carousel(&mut self, body: &'a Value) {
        self.heading(body);
        for card in list(body, "elements") {
            if !self.lines.is_empty() {
                self.lines.push(Line::Text(String::new()));
            }
            let content = self::body(card);
            let id = [card, content].into_iter().find_map(|part| part.get("templateIdentifier")?.as_str());
            self.card = Some(Card { id, title: content.get("title").and_then(Value::as_str) });
            self.picker(content);
        }
        self.card = None;
        if !self.choices.is_empty() {
            self.lines.push(Line::Text(String::new()));
        }
    }

    fn time_picker(&mut self, body: &'a Value) {
        self.heading(body);
        self.lines.extend(body.get("location").and_then(|location| title(location, "title")).map(Line::Text));
        let offset = body.get("timeZoneOffset").and_then(number).and_then(offset_of_minutes);
        for slot in list(body, "timeslots") {
            if let (Some(date), Some(written)) = (text(slot, "date"), slot.get("date").and_then(Value::as_str)) {
                let minutes = slot.get("duration").and_then(number).unwrap_or_default();
                let shown = time_slot(&date, minutes, offset).unwrap_or(date);
                self.choice(shown.clone(), shown, None, written, Answer::Text(written.to_owned()));
            }
        }
    }

    /// WhatsApp's own templates. Their `title` is for those who don't see the rest of it.
    fn whatsapp(&mut self, body: &'a Value) {
        let part = |name: &str| body.get(name).unwrap_or(&Value::Null);
        let header = part("header");
        let medium = ["image", "video", "document"].into_iter().find_map(|kind| text(header.get(kind)?, "link"));
        let header = markup(header, "text").or(medium.filter(|link| is_url(link)));
        let own = [header, markup(part("body"), "text")];
        let is_new = |title: &String| !own.iter().flatten().any(|text| text == title);
        let title_line = markup(body, "title").filter(is_new);
        self.lines.extend([title_line].into_iter().chain(own).flatten().map(Line::Text));
        let action = part("action");
        for section in list(action, "sections") {
            let name = title(section, "title");
            self.lines.extend(name.clone().map(Line::Text));
            for row in list(section, "rows") {
                self.reply(row, name.clone());
            }
        }
        for button in list(action, "buttons") {
            self.reply(button.get("reply").unwrap_or(&Value::Null), None);
        }
        self.lines.extend(markup(part("footer"), "text").map(Line::Text));
    }

    fn reply(&mut self, reply: &'a Value, section: Option<String>) {
        let (Some(shown), Some(written)) = (title(reply, "title"), reply.get("title").and_then(Value::as_str)) else {
            return;
        };
        let detail = title(reply, "description");
        let line = [Some(shown.clone()), detail.clone()].into_iter().flatten().collect::<Vec<_>>().join(" - ");
        self.choice(line, shown, detail, written, Answer::Text(written.to_owned()));
        if let Some(choice) = self.choices.last_mut() {
            choice.group = section;
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
        self.lines.extend([heading, markup(body, "subtitle"), picture].into_iter().flatten().map(Line::Text));
    }

    fn element(&mut self, element: &'a Value) {
        let shown = title(element, "title");
        let detail = title(element, "subtitle");
        let parts: Vec<String> = [&shown, &detail].into_iter().flatten().cloned().collect();
        let line = parts.join(" - ");
        let url = text(element, "url").unwrap_or_default();
        let line = with_url(&line, &url);
        let line = with_url(&line, &image(element).unwrap_or_default());
        let is_link = text(element, "type").is_some_and(|kind| kind.eq_ignore_ascii_case("hyperlink"));
        if line.is_empty() {
            return;
        }
        if is_link && !url.is_empty() {
            self.lines.push(Line::Text(format!("- {line}")));
            return;
        }
        let Some(shown) = shown else {
            // Without a title, what is shown is all that it can be called by.
            let answer = self.answer(element, &line);
            return self.choice(line.clone(), line.clone(), None, &line, answer);
        };
        let written = element.get("title").and_then(Value::as_str).unwrap_or(&shown).to_owned();
        let detail = Some(with_url(&detail.unwrap_or_default(), &url)).filter(|detail| !detail.is_empty());
        let answer = self.answer(element, &written);
        self.choice(line, shown, detail, &written, answer);
    }

    /// What an element answers, by its title.
    fn answer(&self, element: &Value, written: &str) -> Answer {
        if let Some(card) = self.card {
            let selection = Selection { template_identifier: card.id, list_title: card.title, selection_text: written };
            return Answer::Text(serde_json::to_string(&selection).unwrap_or_default());
        }
        let action = element.get("actionDetail").and_then(Value::as_str).filter(|action| ACTIONS.contains(action));
        let Some(action) = action else { return Answer::Text(written.to_owned()) };
        let data = ActionData {
            action_name: action,
            pre_index: self.body.get("preIndex"),
            next_index: self.body.get("nextIndex"),
            list_id: self.body.get("listId"),
            template_type: self.kind,
            reference_id: self.body.get("referenceId"),
        };
        let response = Response { version: "1.0", data, action };
        Answer::Action(serde_json::to_string(&response).unwrap_or_default())
    }

    fn choice(&mut self, line: String, shown: String, detail: Option<String>, written: &str, answer: Answer) {
        self.lines.push(Line::Choice(line));
        let group = self.card.and_then(|card| one_line(&markdown::text_of(card.title?)));
        let written = Some(written.to_owned()).filter(|written| *written != shown);
        self.choices.push(Choice { title: shown, written, detail, group, answer });
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
    one_line(&markup(value, key)?)
}

fn one_line(text: &str) -> Option<String> {
    Some(text.split_whitespace().collect::<Vec<_>>().join(" ")).filter(|line| !line.is_empty())
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

#[cfg(test)]
mod tests;
