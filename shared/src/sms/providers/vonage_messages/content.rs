//! What a message of the Messages API holds, by its type.

use serde_json::{Map, Value};

use crate::sms::{
    lines,
    message::{Location, Media},
};

/// The body of a webhook.
pub(super) type Payload = Map<String, Value>;

/// What a customer sent.
#[derive(Default)]
pub(super) struct Content {
    pub(super) text: String,
    /// What is not text, told in a line of ours.
    pub(super) line: Option<String>,
    pub(super) media: Vec<Media>,
    pub(super) location: Option<Location>,
    pub(super) button_payload: Option<String>,
}

impl Content {
    /// `None`: a type that we don't know, or of which nothing can be read.
    pub(super) fn read(payload: &Payload, message_type: &str) -> Option<Self> {
        let part = payload.get(message_type);
        let object = || part.and_then(Value::as_object);
        let text = || text_in(payload, "text");
        match message_type {
            "text" => Some(Self { text: part?.as_str()?.to_owned(), ..Self::default() }),
            "image" | "audio" | "video" | "file" | "vcard" | "sticker" => Self::of_media(object()?, text()),
            "location" => {
                let location = Some(location(object()?)?);
                Some(Self { text: text().unwrap_or_default(), location, ..Self::default() })
            }
            "reply" => {
                let reply = object()?;
                let [title, description] = ["title", "description"].map(|name| text_in(reply, name));
                Self::of_button([title, text(), description], text_in(reply, "id")).or_else(|| Self::of_form(reply))
            }
            "button" => {
                let button = object()?;
                Self::of_button([text_in(button, "text"), text(), None], text_in(button, "payload"))
            }
            "order" => object().map(|_| Self::described(lines::order(part.unwrap_or(&Value::Null)))),
            "contact" | "contacts" => Some(Self::described(lines::contacts(part?))),
            _ => Self::of_form(object()?),
        }
    }

    fn described(line: String) -> Self {
        Self { line: Some(line), ..Self::default() }
    }

    /// The text is what was written to it.
    fn of_media(medium: &Payload, text: Option<String>) -> Option<Self> {
        let url = Some(text_in(medium, "url")?);
        let name = medium.get("name").and_then(Value::as_str).map(str::to_owned);
        let text = text_in(medium, "caption").or(text).unwrap_or_default();
        Some(Self { text, media: vec![Media { url, name, ..Media::default() }], ..Self::default() })
    }

    /// A tapped button or a chosen line of a list: what the customer read on it is his text.
    fn of_button(texts: [Option<String>; 3], payload: Option<String>) -> Option<Self> {
        let text = texts.into_iter().flatten().next().or_else(|| payload.clone())?;
        Some(Self { text, button_payload: payload, ..Self::default() })
    }

    /// A filled-in form, as WhatsApp has it.
    fn of_form(content: &Payload) -> Option<Self> {
        let reply = content.get("nfm_reply").and_then(Value::as_object).unwrap_or(content);
        reply.get("response_json")?;
        let (text, line, button_payload) = lines::form_reply(reply)?;
        Some(Self { text, line, button_payload, ..Self::default() })
    }
}

/// Degrees come as numbers, and came as texts in version 0.1.
fn location(place: &Payload) -> Option<Location> {
    let degrees = |names: [&str; 2], limit: f64| {
        let value = names.into_iter().find_map(|name| place.get(name))?;
        let degrees = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
        (-limit..=limit).contains(&degrees).then_some(degrees)
    };
    Some(Location {
        latitude: degrees(["lat", "latitude"], 90.0)?,
        longitude: degrees(["long", "longitude"], 180.0)?,
        name: text_in(place, "name"),
        address: text_in(place, "address"),
    })
}

pub(super) fn text_in(object: &Payload, name: &str) -> Option<String> {
    filled(object.get(name)?.as_str().map(str::to_owned))
}

pub(super) fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}
