//! WhatsApp's own form of messages, in webhooks and in sends: Meta's Cloud API has it, and AWS End User Messaging Social
//! passes it on.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use crate::{
    error::{Error, Result},
    sms::{
        event::{Event, Ignored},
        lines,
        media::File,
        message::{Channel, FromKind, Location, Media, Message, Referral, plus, utc},
        segments::Limit,
        send::{Outbound, without_plus},
        whatsapp_status,
    },
};

/// Meta's own limit: <https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/text-messages>.
pub(super) const LIMIT: Limit = Limit::Characters(4096);

/// One account's part, which AWS End User Messaging Social forwards unchanged.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    changes: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Change<'a> {
    field: Option<String>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

/// Kept unread, so that what is wrong in one part does no harm to another.
#[derive(Deserialize)]
struct Messages<'a> {
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    contacts: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    statuses: Option<&'a RawValue>,
    #[serde(borrow)]
    errors: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Metadata {
    display_phone_number: Value,
    phone_number_id: Value,
}

type Object = Map<String, Value>;

/// All entries, all their changes, all messages of these. What is malformed is refused if it is alone and ignored beside
/// others, which it must not hold up.
pub(super) fn read_entries(entries: &[&RawValue], provider: &'static str) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    for entry in entries {
        match read::<Entry<'_>>(entry.get(), "entry") {
            Ok(entry) => entry.changes.iter().for_each(|change| read_change(change, provider, &mut events)),
            Err(error) => events.push(Err(error)),
        }
    }
    match events.len() {
        0 => Ok(vec![Event::ignored(Ignored::Empty)]),
        1 => events.into_iter().collect(),
        _ => Ok(events.into_iter().map(|event| event.unwrap_or(Event::ignored(Ignored::Malformed))).collect()),
    }
}

/// The error says where, and nothing of what is there.
pub(super) fn read<'a, T: Deserialize<'a>>(json: &'a str, place: &'static str) -> Result<T> {
    serde_json::from_str(json).map_err(|_| Error::invalid(place, "is not what WhatsApp sends"))
}

fn read_change(change: &RawValue, provider: &'static str, events: &mut Vec<Result<Event>>) {
    let value = match read::<Change<'_>>(change.get(), "changes") {
        Ok(Change { field: Some(field), value: Some(value) }) if field == "messages" => value.get(),
        Ok(Change { field: Some(field), value: None }) if field == "messages" => "",
        Ok(_) => return events.push(Ok(Event::ignored(Ignored::OtherEvent))),
        Err(error) => return events.push(Err(error)),
    };
    let value = match read::<Messages<'_>>(value, "value") {
        Ok(value) => value,
        Err(error) => return events.push(Err(error)),
    };
    if let Some(statuses) = value.statuses {
        whatsapp_status::read(statuses, events);
    }
    if value.errors.is_some_and(|list| list.get() != "[]") {
        events.push(Ok(Event::ignored(Ignored::Errors)));
    }
    let Some(messages) = value.messages else { return };
    match read::<Vec<&RawValue>>(messages.get(), "messages") {
        Ok(messages) => {
            let inbox = Inbox::read(&value, provider);
            events.extend(messages.iter().map(|message| inbox.read_message(message)));
        }
        Err(error) => events.push(Err(error)),
    }
}

/// What the messages of one change have in common.
struct Inbox {
    provider: &'static str,
    /// Our number, and Meta's id of it.
    number: Option<(String, String)>,
    contacts: Vec<Object>,
}

impl Inbox {
    fn read(value: &Messages<'_>, provider: &'static str) -> Self {
        let metadata = value.metadata.and_then(|json| read::<Metadata>(json.get(), "metadata").ok());
        let number = metadata.and_then(|metadata| {
            // It may be written for people: "+250 788 123 200".
            let digits: String =
                id(Some(&metadata.display_phone_number))?.chars().filter(char::is_ascii_digit).collect();
            Some((plus(&digits), id(Some(&metadata.phone_number_id))?)).filter(|_| !digits.is_empty())
        });
        let contacts = value
            .contacts
            .and_then(|json| read::<Vec<&RawValue>>(json.get(), "contacts").ok())
            .unwrap_or_default()
            .iter()
            .filter_map(|json| read(json.get(), "contacts").ok())
            .collect();
        Self { provider, number, contacts }
    }

    fn read_message(&self, json: &RawValue) -> Result<Event> {
        let object: Object = read(json.get(), "messages")?;
        let kind = object.get("type").and_then(Value::as_str).unwrap_or_default();
        if object.get("group_id").is_some_and(|group| !group.is_null()) {
            return Ok(Event::ignored(Ignored::Group));
        }
        match kind {
            "reaction" => return Ok(Event::ignored(Ignored::Reaction)),
            "system" => return Ok(Event::ignored(Ignored::System)),
            "request_welcome" => return Ok(Event::ignored(Ignored::Typing)),
            _ => {}
        }
        let content = Content::read(&object, kind).unwrap_or_else(|| Content::unsupported(object.get(kind)));

        let message_id = id(object.get("id")).ok_or_else(|| missing("messages.id"))?;
        let (to, account) = self.number.clone().ok_or_else(|| missing("metadata"))?;
        let sender = self.sender(&object).ok_or_else(|| missing("messages.from"))?;
        let mut message = Message::new(self.provider, Channel::Whatsapp, message_id, sender.address, to);
        if sender.is_user_id {
            message.from_kind = Some(FromKind::Bsuid);
        }
        message.alt_ids = sender.other_id.map(|id| vec![id]);
        message.profile_name = sender.name;
        message.text = content.text;
        if let Some(line) = &content.line {
            message.describe(line);
        }
        message.media = content.media.into_iter().collect();
        message.referral = object.get("referral").and_then(Value::as_object).and_then(referral);
        message.location = content.location;
        message.button_payload = content.button_payload;
        message.received_at = object.get("timestamp").and_then(time).map(utc);
        message.reply_from = Some(account.clone());
        message.account = Some(account);
        message.in_reply_to = object.get("context").and_then(|context| id(context.get("id")));
        Ok(message.into())
    }

    /// Who shows no number has only an id:
    /// <https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids>
    fn sender(&self, message: &Object) -> Option<Sender> {
        let named = (id(message.get("from")), id(message.get("from_user_id")));
        let of_contact = |contact: &Object| (id(contact.get("wa_id")), id(contact.get("user_id")));
        let (contact, (number, user_id)) = match (named, self.contacts.as_slice()) {
            // Then only the one who wrote can be meant.
            ((None, None), [contact]) => (Some(contact), of_contact(contact)),
            ((None, None), _) => return None,
            (named, contacts) => {
                let is_same = |ours: &Option<String>, theirs: &Option<String>| ours.is_some() && ours == theirs;
                let contact = contacts.iter().find(|contact| {
                    let (number, user_id) = of_contact(contact);
                    is_same(&named.0, &number) || is_same(&named.1, &user_id)
                });
                let user_id = named.1.or_else(|| of_contact(contact?).1);
                (contact, (named.0, user_id))
            }
        };
        let profile = contact.and_then(|contact| contact.get("profile")?.as_object());
        let name = profile.and_then(|profile| filled(profile, "name").or_else(|| filled(profile, "username")));
        let is_user_id = number.is_none();
        let address = plus(&number.or_else(|| user_id.clone())?);
        let other_id = user_id.filter(|id| *id != address);
        Some(Sender { address, is_user_id, other_id, name: name.map(str::to_owned) })
    }
}

struct Sender {
    address: String,
    /// Whether the address is a user's id, for want of a number.
    is_user_id: bool,
    other_id: Option<String>,
    name: Option<String>,
}

/// What a customer sent.
#[derive(Default)]
struct Content {
    text: String,
    /// What is not text, told in a line of ours.
    line: Option<String>,
    media: Option<Media>,
    location: Option<Location>,
    button_payload: Option<String>,
}

impl Content {
    /// `None`: a type that we don't know, or of which nothing can be read.
    fn read(message: &Object, kind: &str) -> Option<Self> {
        let part = message.get(kind)?;
        let object = part.as_object();
        match kind {
            "text" => Some(Self { text: text(object?, "body")?, ..Self::default() }),
            "image" | "audio" | "video" | "document" | "sticker" => Self::of_media(object?),
            "location" => Some(Self { location: Some(location(object?)?), ..Self::default() }),
            "contacts" => part.is_array().then(|| Self::described(lines::contacts(part))),
            "order" => object.map(|_| Self::described(lines::order(part))),
            "button" => {
                let payload = text(object?, "payload");
                let label = text(object?, "text").or_else(|| payload.clone())?;
                Some(Self { text: label, button_payload: payload, ..Self::default() })
            }
            "interactive" => Self::of_reply(object?),
            _ => None,
        }
    }

    fn described(line: String) -> Self {
        Self { line: Some(line), ..Self::default() }
    }

    fn unsupported(part: Option<&Value>) -> Self {
        Self::described(lines::unsupported(part))
    }

    fn of_media(object: &Object) -> Option<Self> {
        let media = Media {
            id: Some(id(object.get("id"))?),
            content_type: filled(object, "mime_type").map(str::to_owned),
            name: filled(object, "filename").map(str::to_owned),
            ..Media::default()
        };
        Some(Self { text: text(object, "caption").unwrap_or_default(), media: Some(media), ..Self::default() })
    }

    /// <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/interactive>
    fn of_reply(object: &Object) -> Option<Self> {
        let kind = filled(object, "type")?;
        let reply = object.get(kind)?.as_object()?;
        match kind {
            "button_reply" | "list_reply" => {
                let button_payload = text(reply, "id");
                let label = text(reply, "title").or_else(|| text(reply, "name"));
                if label.is_none() && button_payload.is_none() {
                    return None;
                }
                Some(Self { text: label.unwrap_or_default(), button_payload, ..Self::default() })
            }
            // A form ("flow") that the customer filled in.
            "nfm_reply" => lines::form_reply(reply).map(|(text, line, button_payload)| Self {
                text,
                line,
                button_payload,
                ..Self::default()
            }),
            _ => None,
        }
    }
}

/// <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/text> (`referral`)
fn referral(object: &Object) -> Option<Referral> {
    Referral::of(filled(object, "source_id"), filled(object, "headline"), filled(object, "source_url"))
}

fn missing(field: &'static str) -> Error {
    Error::invalid(field, "is missing, or of the wrong type")
}

fn text(object: &Object, name: &str) -> Option<String> {
    object.get(name)?.as_str().map(str::to_owned)
}

fn filled<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str().filter(|text| !text.trim().is_empty())
}

/// An id or a number of a phone, which are texts, though they look like numbers and may be sent as such.
pub(super) fn id(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) if number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

/// Seconds, as text; some senders write milliseconds, and some a number.
pub(super) fn time(value: &Value) -> Option<Timestamp> {
    const FIRST_MILLISECONDS: i64 = 100_000_000_000;
    let number = match value {
        Value::String(text) => text.trim().parse().ok()?,
        value => value.as_i64()?,
    };
    match number {
        ..=0 => None,
        FIRST_MILLISECONDS.. => Timestamp::from_millisecond(number).ok(),
        seconds => Timestamp::from_second(seconds).ok(),
    }
}

fn location(object: &Object) -> Option<Location> {
    let degrees = |name, limit: f64| {
        let value = match object.get(name)? {
            Value::String(text) => text.trim().parse().ok()?,
            value => value.as_f64()?,
        };
        (-limit..=limit).contains(&value).then_some(value)
    };
    Some(Location {
        latitude: degrees("latitude", 90.0)?,
        longitude: degrees("longitude", 180.0)?,
        name: filled(object, "name").map(str::to_owned),
        address: filled(object, "address").map(str::to_owned),
    })
}

/// The message object, which AWS End User Messaging Social takes too.
pub(super) fn message(outbound: &Outbound<'_>) -> Value {
    match outbound.choices {
        Some(choices) => addressed(outbound, "interactive", choices),
        None => addressed(outbound, "text", &json!({ "body": outbound.text, "preview_url": false })),
    }
}

/// The same that sends a file, which was uploaded.
/// <https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/document-messages>
pub(super) fn file_message(outbound: &Outbound<'_>, file: &File<'_>, id: &str) -> Value {
    let kind = kind_of(file.content_type);
    let medium = if kind == "document" { json!({ "id": id, "filename": file.name }) } else { json!({ "id": id }) };
    addressed(outbound, kind, &medium)
}

/// What kind of message carries a file of this type: whatever is no picture, video or recording as WhatsApp plays it is a
/// document. <https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media>
pub(super) fn kind_of(content_type: &str) -> &'static str {
    match content_type {
        "image/jpeg" | "image/png" => "image",
        "audio/aac" | "audio/amr" | "audio/mpeg" | "audio/mp4" | "audio/ogg" => "audio",
        "video/mp4" | "video/3gpp" => "video",
        _ => "document",
    }
}

fn addressed(outbound: &Outbound<'_>, kind: &str, content: &Value) -> Value {
    let recipient = if FromKind::of(outbound.to) == Some(FromKind::Bsuid) { "recipient" } else { "to" };
    json!({
        "messaging_product": "whatsapp", "recipient_type": "individual", recipient: without_plus(outbound.to),
        "type": kind, kind: content,
    })
}
