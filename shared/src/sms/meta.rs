//! Meta: the WhatsApp Cloud API.
//!
//! | limit | value | source |
//! |---|---|---|
//! | time to answer | not stated; third parties say 3 to 20 s | <https://socialhook.io/en/blog/whatsapp-webhook-setup-reference> |
//! | re-delivery | with growing pauses, up to 7 days; the same message may come twice | <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks> |
//! | body | 3 MB | the same |
//! | answer | 200; a GET's is the challenge | <https://developers.facebook.com/docs/graph-api/webhooks/getting-started/> |
//! | message id | `wamid.` and base64 | <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages> |
//! | text we send | 4096 characters | <https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/text-messages> |
//!
//! One app has one URL for all of its numbers, so one POST may hold messages of several accounts, and statuses too:
//!
//! ```json
//! {"object":"whatsapp_business_account","entry":[{"id":"<WABA>","changes":[{"field":"messages","value":{
//!   "messaging_product":"whatsapp","metadata":{"display_phone_number":"12028831111","phone_number_id":"106540352242922"},
//!   "contacts":[{"profile":{"name":"Sheena Nelson"},"wa_id":"16505551234","user_id":"US.13491208655302741918"}],
//!   "messages":[{"from":"16505551234","id":"wamid.HBgL…","timestamp":"1789999999","type":"text",
//!                "text":{"body":"Hello agent"}}]}}]}]}
//! ```
//!
//! The URL is set up with a GET, which proves nothing but that its sender knows the verify token:
//! `?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=…`
//!
//! The signature covers the body's bytes and no time: a replay is stopped by the message id. Media come as ids, which
//! the Graph API exchanges for links that live five minutes.
//!
//! A text is sent so (<https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/text-messages>;
//! `recipient` in place of `to` for a user who shows no number), and answered 200 `{"messages":[{"id":"wamid.…"}],…}`, or
//! `{"error":{"message":"(#130429) Rate limit hit","type":"OAuthException","code":130429,"fbtrace_id":"…",…}}`. There is no
//! idempotency key. AWS End User Messaging Social takes the same body.
//!
//! ```text
//! POST https://graph.facebook.com/v25.0/106540352242922/messages      Bearer: access token
//! {"messaging_product":"whatsapp","recipient_type":"individual","text":{"body":"Hello","preview_url":false},
//!  "to":"16505551234","type":"text"}
//! ```

use std::borrow::Cow;

use aws_lc_rs::{constant_time, hmac};
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

use super::{
    message::{Channel, Event, FromKind, Location, Media, Message, plus, utc},
    segments::Limit,
    send::{NotTaken, Reason, Request, Text, code_at, misconfigured, without_plus},
    signalwire::lower_hex,
    webhook::{Proof, Rejection, Verified, Webhook},
};
use crate::{
    error::{Error, Kind, Result},
    secret::Secret,
    settings::Fields,
};

const SIGNATURE: &str = "x-hub-signature-256";
const SIGNATURE_PREFIX: &str = "sha256=";
const OBJECT: &str = "whatsapp_business_account";
/// Available until 29 July 2028: <https://developers.facebook.com/docs/graph-api/changelog>. v26.0 is the latest.
const API_VERSION: &str = "v25.0";
/// Meta's own is a number; it comes back to whoever asked, so nothing but a short plain word does.
const CHALLENGE_LENGTH: usize = 128;

/// See the page's table.
pub(crate) const LIMIT: Limit = Limit::Characters(4096);

/// What a Meta app has.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Sign webhooks.
    pub app_secrets: Vec<Secret>,
    /// Proves a handshake; without it there is none.
    pub verify_token: Option<Secret>,
    /// Sends, and fetches media.
    pub access_token: Option<Secret>,
    /// Tells accounts of one app apart.
    pub phone_number_ids: Vec<String>,
}

impl Credentials {
    pub(super) fn read(fields: &Fields<'_>) -> Self {
        let credentials = Self {
            app_secrets: fields.secrets("app_secrets"),
            verify_token: fields.secret("verify_token"),
            access_token: fields.secret("access_token"),
            phone_number_ids: fields.texts("phone_number_ids").unwrap_or_default(),
        };
        fields.require_one_of(&["app_secrets"]);
        credentials
    }

    pub(super) fn is_named(&self, message: &Message) -> Option<bool> {
        if self.phone_number_ids.is_empty() {
            return None;
        }
        Some(self.phone_number_ids.contains(message.account.as_ref()?))
    }
}

/// <https://developers.facebook.com/docs/graph-api/webhooks/getting-started/>: `sha256=` and hex of HMAC(app secret,
/// body). Meta writes what is not ASCII as `\u00e4`, so only the bytes that came will do.
pub(super) fn verify(credentials: &Credentials, webhook: &Webhook) -> Result<Proof, Rejection> {
    let proof = Proof { signed_at: None };
    if webhook.method == Method::GET {
        let handshake = Handshake::read(webhook)?;
        // None, too, may be a token that the owner has only just written.
        let token = credentials.verify_token.as_ref().ok_or(Rejection::Mismatch)?;
        return constant_time::verify_slices_are_equal(token.expose().as_bytes(), handshake.token.as_bytes())
            .map(|()| proof)
            .map_err(|_| Rejection::Mismatch);
    }
    let signature = webhook
        .header(SIGNATURE)?
        .strip_prefix(SIGNATURE_PREFIX)
        .and_then(lower_hex)
        .filter(|signature| !signature.is_empty())
        .ok_or(Rejection::Malformed)?;
    let is_made = credentials
        .app_secrets
        .iter()
        .map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes()))
        .any(|key| hmac::verify(&key, &webhook.body, &signature).is_ok());
    if is_made { Ok(proof) } else { Err(Rejection::Mismatch) }
}

/// What a GET asks.
struct Handshake<'a> {
    token: Cow<'a, str>,
    challenge: Cow<'a, str>,
}

impl<'a> Handshake<'a> {
    fn read(webhook: &'a Webhook) -> Result<Self, Rejection> {
        let query = webhook.query.as_deref().unwrap_or_default();
        let one = |name: &str| {
            let mut values =
                form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name).map(|(_, value)| value);
            let value = values.next().filter(|value| !value.is_empty()).ok_or(Rejection::Missing)?;
            if values.next().is_some() { Err(Rejection::Malformed) } else { Ok(value) }
        };
        let (mode, token, challenge) = (one("hub.mode")?, one("hub.verify_token")?, one("hub.challenge")?);
        let is_plain = challenge.len() <= CHALLENGE_LENGTH
            && challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
        if mode == "subscribe" && is_plain { Ok(Self { token, challenge }) } else { Err(Rejection::Malformed) }
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    object: String,
    #[serde(borrow)]
    entry: Option<&'a RawValue>,
}

/// One account's part, which AWS End User Messaging Social hands on as it is.
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

/// <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages>
pub(super) fn parse(verified: &Verified<'_>) -> Result<Vec<Event>> {
    let webhook = verified.webhook();
    if webhook.method == Method::GET {
        return Ok(vec![Event::Challenge(Handshake::read(webhook)?.challenge.into_owned())]);
    }
    let text = str::from_utf8(&webhook.body).map_err(|_| Error::new(Kind::Validation, "The body is not UTF-8"))?;
    let body: Body<'_> = read(text, "body")?;
    if body.object != OBJECT {
        return Ok(vec![Event::ignored("not of WhatsApp")]);
    }
    let entries: Vec<&RawValue> = read(body.entry.map_or("", RawValue::get), "entry")?;
    read_entries(&entries, "meta")
}

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
        0 => Ok(vec![Event::ignored("nothing in it")]),
        1 => events.into_iter().collect(),
        _ => Ok(events.into_iter().map(|event| event.unwrap_or(Event::ignored("malformed message"))).collect()),
    }
}

/// The error says where, and nothing of what is there.
fn read<'a, T: Deserialize<'a>>(json: &'a str, place: &'static str) -> Result<T> {
    serde_json::from_str(json).map_err(|_| Error::invalid(place, "is not what WhatsApp sends"))
}

fn read_change(change: &RawValue, provider: &'static str, events: &mut Vec<Result<Event>>) {
    let value = match read::<Change<'_>>(change.get(), "changes") {
        Ok(Change { field: Some(field), value: Some(value) }) if field == "messages" => value.get(),
        Ok(Change { field: Some(field), value: None }) if field == "messages" => "",
        Ok(_) => return events.push(Ok(Event::ignored("not about messages"))),
        Err(error) => return events.push(Err(error)),
    };
    let value = match read::<Messages<'_>>(value, "value") {
        Ok(value) => value,
        Err(error) => return events.push(Err(error)),
    };
    for (part, reason) in [(value.statuses, "status"), (value.errors, "error report")] {
        if part.is_some_and(|list| list.get() != "[]") {
            events.push(Ok(Event::ignored(reason)));
        }
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
        let kind = object.get("type").and_then(Value::as_str).ok_or_else(|| missing("messages.type"))?;
        if object.get("group_id").is_some_and(|group| !group.is_null()) {
            return Ok(Event::ignored("group message"));
        }
        let content = match kind {
            "reaction" => return Ok(Event::ignored("reaction")),
            "system" => return Ok(Event::ignored("system message")),
            _ => Content::read(&object, kind)?,
        };
        let Some(content) = content else { return Ok(Event::ignored("unsupported message type")) };

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
        message.media = content.media.into_iter().collect();
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
    media: Option<Media>,
    location: Option<Location>,
    button_payload: Option<String>,
}

impl Content {
    /// `None`: a type that we don't know, such as `unsupported`, `order` or `request_welcome`.
    fn read(message: &Object, kind: &str) -> Result<Option<Self>> {
        let part = message.get(kind);
        let object = || part.and_then(Value::as_object).ok_or_else(|| missing("the message's content"));
        let content = match kind {
            "text" => Self { text: text(object()?, "body").ok_or_else(|| missing("text.body"))?, ..Self::default() },
            "image" | "audio" | "video" | "document" | "sticker" => Self::of_media(object()?)?,
            "location" => Self { location: Some(location(object()?)?), ..Self::default() },
            "contacts" => {
                let cards = part.and_then(Value::as_array).ok_or_else(|| missing("contacts"))?;
                let lines: Vec<_> = cards.iter().map(contact_line).collect();
                Self { text: lines.join("\n"), ..Self::default() }
            }
            "button" => {
                let button = object()?;
                let payload = text(button, "payload");
                let label = text(button, "text").or_else(|| payload.clone()).ok_or_else(|| missing("button.text"))?;
                Self { text: label, button_payload: payload, ..Self::default() }
            }
            "interactive" => return Self::of_reply(object()?),
            _ => return Ok(None),
        };
        Ok(Some(content))
    }

    fn of_media(object: &Object) -> Result<Self> {
        let media = Media {
            id: Some(id(object.get("id")).ok_or_else(|| missing("the media's id"))?),
            content_type: filled(object, "mime_type").map(str::to_owned),
            name: filled(object, "filename").map(str::to_owned),
            ..Media::default()
        };
        Ok(Self { text: text(object, "caption").unwrap_or_default(), media: Some(media), ..Self::default() })
    }

    /// <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/interactive>
    fn of_reply(object: &Object) -> Result<Option<Self>> {
        let kind = filled(object, "type").ok_or_else(|| missing("interactive.type"))?;
        let (label, payload) = match kind {
            "button_reply" | "list_reply" => ("title", "id"),
            // A form ("flow") that the customer filled in; what was entered is JSON text.
            "nfm_reply" => ("body", "response_json"),
            _ => return Ok(None),
        };
        let reply = object.get(kind).and_then(Value::as_object).ok_or_else(|| missing("interactive"))?;
        let button_payload = match reply.get(payload) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(value @ Value::Object(_)) => Some(value.to_string()),
            _ => None,
        };
        let label = text(reply, label).or_else(|| text(reply, "name"));
        if label.is_none() && button_payload.is_none() {
            return Err(missing("interactive"));
        }
        Ok(Some(Self { text: label.unwrap_or_default(), button_payload, ..Self::default() }))
    }
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
fn id(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) if number.is_u64() => Some(number.to_string()),
        _ => None,
    }
}

/// Seconds, as text; some senders write milliseconds, and some a number.
fn time(value: &Value) -> Option<Timestamp> {
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

fn location(object: &Object) -> Result<Location> {
    let degrees = |name, limit: f64| {
        let value = match object.get(name)? {
            Value::String(text) => text.trim().parse().ok()?,
            value => value.as_f64()?,
        };
        (-limit..=limit).contains(&value).then_some(value)
    };
    Ok(Location {
        latitude: degrees("latitude", 90.0).ok_or_else(|| missing("location.latitude"))?,
        longitude: degrees("longitude", 180.0).ok_or_else(|| missing("location.longitude"))?,
        name: filled(object, "name").map(str::to_owned),
        address: filled(object, "address").map(str::to_owned),
    })
}

/// A card as an agent can read it: `[contact] Ada Lovelace, +44 20 7946 0000, ada@example.com`. All of it may be missing:
/// <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/contacts>
fn contact_line(card: &Value) -> String {
    let all = |list: &str, name: &str| {
        card.get(list)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|item| filled(item.as_object()?, name).map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let name = card.get("name").and_then(Value::as_object).and_then(|name| {
        let of_parts = || {
            let parts: Vec<_> = ["first_name", "last_name"].iter().filter_map(|part| filled(name, part)).collect();
            Some(parts.join(" ")).filter(|name| !name.is_empty())
        };
        filled(name, "formatted_name").map(str::to_owned).or_else(of_parts)
    });
    let company = card.get("org").and_then(|org| filled(org.as_object()?, "company")).map(str::to_owned);
    let parts: Vec<_> =
        name.into_iter().chain(company).chain(all("phones", "phone")).chain(all("emails", "email")).collect();
    format!("[contact] {}", parts.join(", ")).trim_end().to_owned()
}

/// The request that sends a text: from the number that the customer wrote to, else from the account's only one.
pub(super) fn request(credentials: &Credentials, text: &Text<'_>) -> Result<Request> {
    let token = credentials.access_token.as_ref().ok_or_else(|| misconfigured("access_token is missing"))?;
    let only = match credentials.phone_number_ids.as_slice() {
        [id] => Some(id.as_str()),
        _ => None,
    };
    let id = text.from_id.or(only).ok_or_else(|| misconfigured("which of phone_number_ids sends is not known"))?;
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(misconfigured("the number's id can't stand in a URL"));
    }
    let path = format!("/{API_VERSION}/{id}/messages");
    Request::json("https://graph.facebook.com", path, &message(text)).bearer(token.expose())
}

/// The message object, which AWS End User Messaging Social takes too.
pub(crate) fn message(text: &Text<'_>) -> Value {
    let recipient = if FromKind::of(text.to) == Some(FromKind::Bsuid) { "recipient" } else { "to" };
    json!({
        "messaging_product": "whatsapp", "recipient_type": "individual", recipient: without_plus(text.to),
        "type": "text", "text": { "body": text.body, "preview_url": false },
    })
}

/// What the answer means, by the codes of
/// <https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes>: "build your app's error
/// handling logic around code values".
pub(super) fn read_answer(status: StatusCode, body: &[u8]) -> Result<(), NotTaken> {
    NotTaken::read(status, code_at(body, "/error/code"), |code| match code {
        // "User's number has stopped marketing messages": a reply is none, but who gets this is not to be texted.
        "131050" => Some(Reason::OptedOut),
        // "API Too Many Calls", "Rate limit issues", "Rate limit hit", "Spam rate limit hit", "(Business Account,
        // Consumer Account) pair rate limit hit", "Account register deregister rate limit exceeded".
        "4" | "80007" | "130429" | "131048" | "131056" | "133016" => Some(Reason::Throttled),
        // "API Service" (down or overloaded), "Service unavailable", "Account in maintenance mode", "Server Temporarily
        // Unavailable".
        "2" | "131016" | "131057" | "133004" => Some(Reason::Unavailable),
        // "AuthException", "API Method" (capability or permissions), "Permission Denied", "Parameter value is not valid"
        // (the number was deleted), "Access token has expired", "Temporarily blocked for policies violations", "Access
        // denied", "Account has been locked", "Business eligibility payment issue", "Phone number not registered".
        "0" | "3" | "10" | "33" | "190" | "368" | "131005" | "131031" | "131042" | "133010" => {
            Some(Reason::Misconfigured)
        }
        // "API Permission": 200 to 299.
        code if code.len() == 3 && code.starts_with('2') => Some(Reason::Misconfigured),
        // 131047, for one: "Re-engagement message", more than 24 hours after the customer's last.
        _ => None,
    })
}

#[cfg(test)]
mod tests;
