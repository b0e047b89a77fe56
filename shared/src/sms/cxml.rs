//! cXML, the API of Twilio that SignalWire has too: the parameters of a webhook, and the request that sends a text.

use std::collections::BTreeMap;

use aws_lc_rs::{constant_time, digest};
use http::StatusCode;
use serde_json::Value;

use crate::{
    error::{Error, Result},
    sms::{
        event::{Event, Ignored},
        form::Form,
        lines,
        message::{Channel, FromKind, Location, Media, Message, OptOut, Referral, plus},
        send::{HttpRequest, NotTaken, Outbound, Reason, Taken, code_at, misconfigured},
        webhook::{Rejection, Webhook},
    },
};

/// Any other content type is Twilio's error 12300: <https://www.twilio.com/docs/api/errors/12300>.
pub(super) const ACCEPTED: (&str, &str) = ("text/xml", r#"<?xml version="1.0" encoding="UTF-8"?><Response/>"#);

/// `MessageType`s whose content stands in the fields that are read here. A blank one of these is a blank message.
const KNOWN_TYPES: [&str; 11] = [
    "text",
    "image",
    "audio",
    "video",
    "document",
    "sticker",
    "media",
    "location",
    "contacts",
    "button",
    "interactive",
];

const BODY_HASH: &str = "bodySHA256";

/// Whether it reports on a message of ours. Only what is received is a customer's.
pub(super) fn is_status(form: &Form<'_>) -> bool {
    ["MessageStatus", "SmsStatus"]
        .into_iter()
        .filter_map(|name| form.filled(name))
        .any(|status| !matches!(status, "received" | "receiving"))
}

/// The form that SignalWire shares.
pub(super) fn read_message(form: &Form<'_>, provider: &'static str, message_id: &str) -> Result<Event> {
    let external_id = form.filled("ExternalUserId").map(split_address);
    // Who shows no number has only the other id: https://www.twilio.com/docs/whatsapp (usernames).
    let (from_prefix, from) = form
        .filled("From")
        .map(split_address)
        .filter(|(_, address)| !address.is_empty())
        .or(external_id)
        .ok_or_else(|| Error::invalid("From", "is missing"))?;
    let (to_prefix, to) = split_address(form.required("To")?);
    let media = media(form);
    let prefix = from_prefix.or(to_prefix).or(external_id.and_then(|(prefix, _)| prefix));
    let channel = match prefix.map(str::to_ascii_lowercase).as_deref() {
        Some("whatsapp") => Channel::Whatsapp,
        Some("rcs") => Channel::Rcs,
        Some(_) => return Ok(Event::ignored(Ignored::Channel)),
        // WhatsApp sometimes comes without its prefix.
        None if form.filled("WaId").is_some() => Channel::Whatsapp,
        None if media.is_empty() => Channel::Sms,
        None => Channel::Mms,
    };
    // WhatsApp knows no short codes, so bare digits are a number there.
    let address = |text: &str| if channel == Channel::Whatsapp { plus(text) } else { text.to_owned() };

    let mut message = Message::new(provider, channel, message_id, address(from), address(to));
    message.text = form.get("Body").unwrap_or_default().to_owned();
    if message.text.trim().is_empty()
        && let Some(button) = form.filled("ButtonText").or_else(|| form.filled("ListTitle"))
    {
        message.text = button.to_owned();
    }
    message.media = media;
    message.location = location(form);
    message.segments = form.get("NumSegments").and_then(|count| count.parse().ok());
    message.account = form.filled("AccountSid").map(str::to_owned);
    message.messaging_service = form.filled("MessagingServiceSid").map(str::to_owned);
    message.in_reply_to = form.filled("OriginalRepliedMessageSid").map(str::to_owned);
    message.button_payload = form.filled("ButtonPayload").or_else(|| form.filled("ListId")).map(str::to_owned);
    message.profile_name = form.filled("ProfileName").map(str::to_owned);
    message.referral =
        Referral::of(form.get("ReferralSourceId"), form.get("ReferralHeadline"), form.get("ReferralSourceUrl"));
    if let Some(line) = form_line(form) {
        message.describe(&line);
    }
    if message.is_blank() && form.get("MessageType").is_some_and(|kind| !KNOWN_TYPES.contains(&kind)) {
        message.describe(&lines::unsupported(None));
    }
    message.opt_out = form.get("OptOutType").and_then(|word| match word.trim().to_ascii_uppercase().as_str() {
        "STOP" => Some(OptOut::Stop),
        "START" => Some(OptOut::Start),
        "HELP" => Some(OptOut::Help),
        _ => None,
    });
    message.alt_ids = external_id
        .map(|(_, id)| id)
        .filter(|id| *id != message.from && FromKind::of(id) == Some(FromKind::Bsuid))
        .map(|id| vec![id.to_owned()]);
    Ok(message.into())
}

/// What a customer entered in a form of WhatsApp's, as JSON: <https://www.twilio.com/docs/content/whatsapp-flows>.
fn form_line(form: &Form<'_>) -> Option<String> {
    let json = form.filled("FlowData").or_else(|| form.filled("InteractiveData"))?;
    let data = lines::answers(&Value::String(json.to_owned()))?;
    let reply = data.get("nfm_reply").and_then(Value::as_object).unwrap_or(&data);
    let answers = reply.get("response_json").and_then(lines::answers).unwrap_or_else(|| reply.clone());
    Some(lines::form(&answers))
}

/// The form that SignalWire takes likewise.
pub(super) fn create_message(
    host: Option<String>,
    prefix: &str,
    account: &str,
    outbound: &Outbound<'_>,
    content: (&str, &str),
) -> Result<HttpRequest> {
    if !account.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(misconfigured("the account's id can't stand in a URL"));
    }
    let address = |address: &str| match outbound.channel {
        Channel::Whatsapp => format!("whatsapp:{address}"),
        Channel::Rcs => format!("rcs:{address}"),
        Channel::Sms | Channel::Mms | Channel::Own(_) => address.to_owned(),
    };
    let (to, from) = (address(outbound.to), address(outbound.from));
    let mut fields = vec![("To", to.as_str()), ("From", from.as_str()), content];
    fields.extend(outbound.status_url.map(|url| ("StatusCallback", url)));
    Ok(HttpRequest::form(host, format!("{prefix}/2010-04-01/Accounts/{account}/Messages.json"), &fields))
}

/// `whatsapp:+14155550100` → `("whatsapp", "+14155550100")`
fn split_address(text: &str) -> (Option<&str>, &str) {
    let text = text.trim();
    match text.split_once(':') {
        Some((prefix, address)) => (Some(prefix), address.trim()),
        None => (None, text),
    }
}

/// All `MediaUrl<n>`, in the order of n. `NumMedia` is not believed: it could ask for any number of look-ups.
fn media(form: &Form<'_>) -> Vec<Media> {
    let index = |name: &str, prefix: &str| name.strip_prefix(prefix).and_then(media_index);
    let mut urls = BTreeMap::new();
    let mut types = BTreeMap::new();
    for (name, value) in form.pairs().filter(|(_, value)| !value.trim().is_empty()) {
        if let Some(index) = index(name, "MediaUrl") {
            urls.entry(index).or_insert(value);
        } else if let Some(index) = index(name, "MediaContentType") {
            types.entry(index).or_insert(value);
        }
    }
    urls.into_iter()
        .map(|(index, url)| Media {
            url: Some(url.to_owned()),
            content_type: types.get(&index).map(|content_type| (*content_type).to_owned()),
            ..Media::default()
        })
        .collect()
}

/// Digits only: `parse` alone would take `+1` for 1.
fn media_index(digits: &str) -> Option<u32> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

fn location(form: &Form<'_>) -> Option<Location> {
    let degrees = |name, limit: f64| {
        let degrees: f64 = form.filled(name)?.trim().parse().ok()?;
        (-limit..=limit).contains(&degrees).then_some(degrees)
    };
    Some(Location {
        latitude: degrees("Latitude", 90.0)?,
        longitude: degrees("Longitude", 180.0)?,
        name: form.filled("Label").map(str::to_owned),
        address: form.filled("Address").map(str::to_owned),
    })
}

/// A JSON body is signed through the URL, which holds its hash. The SDKs ask for this way by the caller's types; here
/// the content type decides, and then the parameter must be there: else the body would be unsigned.
pub(super) fn check_body_hash(webhook: &Webhook) -> Result<(), Rejection> {
    let query = webhook.query.as_deref().unwrap_or_default();
    let (_, hash) =
        form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == BODY_HASH).ok_or(Rejection::Malformed)?;
    let expected = hex::decode(hash.as_bytes()).map_err(|_| Rejection::Malformed)?;
    let actual = digest::digest(&digest::SHA256, &webhook.body);
    constant_time::verify_slices_are_equal(actual.as_ref(), &expected).map_err(|_| Rejection::Mismatch)
}

/// What the answer means, by the codes of <https://www.twilio.com/docs/api/errors>.
pub(super) fn read_answer(status: StatusCode, body: &[u8]) -> Result<Taken, NotTaken> {
    NotTaken::read(status, code_at(body, "/code"), |code| match code {
        // "Attempt to send to unsubscribed recipient".
        "21610" => Some(Reason::OptedOut),
        // "Failed to send freeform message because you are outside the allowed window".
        "63016" => Some(Reason::WindowClosed),
        // "Too Many Requests"; WhatsApp's "Rate limit exceeded" for a sender, and "Channel … throughput".
        "20429" | "63018" => Some(Reason::Throttled),
        // A queue of this sender is full ("Message queue full", "SMS queue is full").
        "30001" => Some(Reason::Throttled),
        "21611" => Some(Reason::ThrottledHere),
        _ => None,
    })
    .map(|()| Taken::at(body, "/sid"))
}
