//! SignalWire: SMS and MMS in the form of Twilio's ("cXML"), and JSON.
//!
//! | limit | value | source |
//! |---|---|---|
//! | time to answer | 15 s, not verified | as Twilio |
//! | re-delivery | the number's fallback URL once | <https://developer.signalwire.com/compatibility-api> |
//! | message id | a UUID | the same |
//! | text we send | 1600 characters, else error 21617 | <https://developer.signalwire.com/rest/compatibility-api/overview/error-codes> |
//!
//! ```text
//! MessageSid=b8d5c1f2-…&SmsSid=b8d5c1f2-…&AccountSid=720796a0-…&ApiVersion=2010-04-01&From=%2B14133881111
//! &To=%2B12028831111&Body=Hello%20agent&NumMedia=0&NumSegments=1&MessageStatus=received&SmsStatus=received
//! ```
//!
//! ```json
//! {"event":"messaging.receive","message_id":"b8d5c1f2-…","project_id":"720796a0-…","from":"+14133881111",
//!  "to":"+12028831111","body":"Hello agent"}
//! ```
//!
//! The key is the project's signing key, not its API token. As Twilio's, the signature covers no time. Media links are
//! open to anyone.
//!
//! A text is sent and answered as Twilio's are
//! (<https://developer.signalwire.com/rest/compatibility-api/endpoints/create-message>), errors included: 4xx
//! `{"code":21610,"message":"…","status":400}`. There is no idempotency key.
//!
//! ```text
//! POST https://acme.signalwire.com/api/laml/2010-04-01/Accounts/720796a0-…/Messages.json      Basic: project and token
//! To=%2B14133881111&From=%2B12028831111&Body=Hello
//! ```

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::StatusCode;
use serde_json::{Map, Value};

use crate::{
    error::{Error, Result},
    fields::Fields,
    secret::Secret,
    sms::{
        contract::{Facts, Provider},
        cxml, cxml_status,
        event::{Event, Ignored},
        form::{self, Form},
        lines,
        media::{File, MediaRequest, MediaSource, SendFile},
        message::{Channel, Media, Message},
        segments::Limit,
        send::{ApiCall, NotTaken, Outbound, Taken, misconfigured},
        signature::lower_hex,
        webhook::{Proof, Proved, Rejection, Shape, Webhook},
    },
};

const SIGNATURE: &str = "x-signalwire-signature";
/// SignalWire's SDK takes it in place of its own.
const COMPATIBLE_SIGNATURE: &str = "x-twilio-signature";
/// Beside the SHA-1 one on JSON webhooks: `@signalwire/sdk` checks it first and falls back to the other.
const SHA256_SIGNATURE: &str = "x-signalwire-sha256-signature";
const MESSAGE_ID_LENGTH: usize = 36;
/// What a space's name is the first label of.
const DOMAIN: &str = ".signalwire.com";

/// "1600 character limit"; those of GSM-7's extension table are counted twice, to be safe.
pub(super) const LIMIT: Limit = Limit::Units(1600);

pub(super) const FACTS: Facts =
    Facts { accepted: cxml::ACCEPTED, sends_once: true, media_links_open: true, ..Facts::new("signalwire") };

/// What a SignalWire project has.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Sign webhooks.
    pub signing_keys: Vec<Secret>,
    /// `<space>.signalwire.com` sends.
    pub space: Option<String>,
    /// Tells projects of one key apart, and sends.
    pub project_id: Option<String>,
    /// Sends.
    pub api_token: Option<Secret>,
}

impl Credentials {
    pub(super) fn read(fields: &Fields<'_>) -> Self {
        let credentials = Self {
            signing_keys: fields.secrets("signing_keys"),
            space: fields.text("space"),
            project_id: fields.text("project_id"),
            api_token: fields.secret("api_token"),
        };
        fields.require_one_of(&["signing_keys"]);
        fields.warn_of_missing(&["space", "api_token"], &["project_id", "api_token"]);
        // Another host takes its place.
        if !fields.has("send_base_url") {
            fields.warn_of_missing(&["api_token"], &["space"]);
            if credentials.space.as_deref().is_some_and(|space| label(space).is_none()) {
                fields.warn("space", "is no space's name, so the account can't send");
            }
        }
        credentials
    }

    /// The space's.
    fn host(&self) -> Option<String> {
        self.space.as_deref().and_then(label).map(|space| format!("{space}{DOMAIN}"))
    }

    /// The request that sends a text, or a file.
    fn message(&self, outbound: &Outbound<'_>, content: (&str, &str)) -> Result<ApiCall> {
        let (Some(project), Some(token)) = (&self.project_id, &self.api_token) else {
            return Err(misconfigured("project_id or api_token is missing"));
        };
        let host = self.host().map(|host| format!("https://{host}"));
        cxml::create_message(host, "/api/laml", project, outbound, content)?.basic(project, token).map(ApiCall::Http)
    }

    /// Whether a key makes this signature over one of the URLs and what follows it.
    fn made(&self, algorithm: hmac::Algorithm, urls: &[String; 2], rest: &[u8], signature: &[u8]) -> bool {
        let keys: Vec<_> =
            self.signing_keys.iter().map(|secret| hmac::Key::new(algorithm, secret.expose().as_bytes())).collect();
        urls.iter()
            .map(|url| [url.as_bytes(), rest].concat())
            .any(|signed| keys.iter().any(|key| hmac::verify(key, &signed, signature).is_ok()))
    }
}

impl Provider for Credentials {
    /// As `@signalwire/compatibility-api` 3.2.0, `@signalwire/web-api` 3.1.7 and `@signalwire/sdk` do. The signature's own
    /// form tells what it covers: hex is over the URL and the body as it is; base64 is Twilio's, but with all values of a
    /// repeated name in the order of their arrival. Hex counts for JSON only, which is what SignalWire signs so: the bytes
    /// that a base64 one covers, sent as another body, must not pass as signed.
    fn verify(&self, webhook: &Webhook) -> Result<Proof, Rejection> {
        let proof = Proof { signed_at: None };
        let urls = webhook.urls_by_port();
        let body = webhook.body.as_ref();
        let is_json = webhook.shape() == Shape::Json;
        if is_json
            && let Ok(Some(strong)) = webhook.header(SHA256_SIGNATURE).map(lower_hex)
            && self.made(hmac::HMAC_SHA256, &urls, body, &strong)
        {
            return Ok(proof);
        }
        let name = if webhook.headers.contains_key(SIGNATURE) { SIGNATURE } else { COMPATIBLE_SIGNATURE };
        let text = webhook.header(name)?;
        let sha1 = hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY;
        let is_made = if let Some(signature) = lower_hex(text).filter(|_| is_json) {
            self.made(sha1, &urls, body, &signature)
        } else {
            let signature = STANDARD.decode(text).map_err(|_| Rejection::Malformed)?;
            let parameters = match webhook.shape() {
                Shape::Query => String::new(),
                Shape::Json => cxml::check_body_hash(webhook).map(|()| String::new())?,
                Shape::Form => form::check(body).map(|()| parameters_by_name(body))?,
            };
            self.made(sha1, &urls, parameters.as_bytes(), &signature)
        };
        if is_made { Ok(proof) } else { Err(Rejection::Mismatch) }
    }

    /// <https://developer.signalwire.com/compatibility-api/xml/messaging/>
    fn parse(&self, proved: &Proved<'_>) -> Result<Vec<Event>> {
        let webhook = proved.webhook();
        let event = match webhook.shape() {
            Shape::Query => read_form(&Form::read(webhook.query.as_deref().unwrap_or_default().as_bytes()))?,
            Shape::Form => read_form(&Form::read(&webhook.body))?,
            Shape::Json => read_json(&proved.json()?)?,
        };
        Ok(vec![event])
    }

    fn is_named(&self, _: &Proved<'_>, message: &Message) -> Option<bool> {
        Some(*self.project_id.as_ref()? == *message.account.as_ref()?)
    }

    fn limit(&self, _: Channel) -> Limit {
        LIMIT
    }

    /// The request that sends a text.
    fn request(&self, outbound: &Outbound<'_>) -> Result<ApiCall> {
        self.message(outbound, ("Body", outbound.text))
    }

    fn medium(&self, media: &Media, _: Option<&str>) -> Result<Option<MediaSource>> {
        let Some(url) = &media.url else { return Ok(None) };
        let request = MediaRequest::open(url).at_hosts(self.host());
        Ok(Some(MediaSource::Http(request.basic(self.project_id.as_deref(), self.api_token.as_ref()))))
    }

    /// <https://developer.signalwire.com/compatibility-api/rest/create-a-message>
    fn send_file(&self, outbound: &Outbound<'_>, file: &File<'_>) -> Result<SendFile> {
        self.message(outbound, ("MediaUrl", file.url)).map(SendFile::Call)
    }

    /// What the answer means. SignalWire's codes are Twilio's, as far as it has them: among others 21610, "Attempt to send
    /// to unsubscribed recipient", and 21611, "This 'From' number has exceeded the maximum number of queued messages".
    fn read_answer(&self, status: StatusCode, body: &[u8]) -> Result<Taken, NotTaken> {
        cxml::read_answer(status, body)
    }
}

fn parameters_by_name(body: &[u8]) -> String {
    let form = Form::read(body);
    let mut pairs: Vec<_> = form.pairs().collect();
    pairs.sort_by_key(|(name, _)| *name);
    pairs.into_iter().flat_map(|(name, value)| [name, value]).collect()
}

fn read_form(form: &Form<'_>) -> Result<Event> {
    if form.filled("MessageSid").is_none() && form.filled("CallSid").is_some() {
        return Ok(Event::ignored(Ignored::Call));
    }
    let message_id = checked_id(form.required("MessageSid")?, "MessageSid")?;
    if cxml::is_status(form) {
        return Ok(cxml_status::read(form, message_id));
    }
    cxml::read_message(form, "signalwire", message_id)
}

/// A longer one may be a signed webhook whose borders were moved: see `twilio`.
fn checked_id<'a>(id: &'a str, field: &'static str) -> Result<&'a str> {
    let is_id = id.len() <= MESSAGE_ID_LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if is_id { Ok(id) } else { Err(Error::invalid(field, "is not a message id")) }
}

fn read_json(object: &Map<String, Value>) -> Result<Event> {
    let form = Form::from_json(object);
    if form.filled("MessageSid").is_some() {
        return read_form(&form);
    }
    // Other events are calls, states of our own messages, and whatever else the project has.
    if form.get("event").or(form.get("event_type")) != Some("messaging.receive") {
        return Ok(Event::ignored(Ignored::OtherEvent));
    }
    let nested = object.get("params").and_then(Value::as_object);
    let nested_form = nested.map(Form::from_json);
    let find = |name: &str| form.filled(name).or_else(|| nested_form.as_ref()?.filled(name));
    let required = |name: &'static str, other: &str| {
        find(name).or_else(|| find(other)).ok_or_else(|| Error::invalid(name, "is missing"))
    };
    let message_id = checked_id(required("message_id", "id")?, "message_id")?;
    let from = required("from", "from_number")?;
    let to = required("to", "to_number")?;
    let fields =
        |name: &'static str| [Some(object), nested].into_iter().flatten().filter_map(move |object| object.get(name));
    let media: Vec<Media> = fields("media")
        .filter_map(Value::as_array)
        .flatten()
        .filter_map(|medium| medium.as_str().or_else(|| medium.get("url")?.as_str()))
        .map(|url| Media { url: Some(url.to_owned()), ..Media::default() })
        .collect();
    let unread = fields("body").chain(fields("media")).find(|value| match value {
        Value::Array(items) => items.len() > media.len(),
        value => value.is_object(),
    });
    let channel = if media.is_empty() { Channel::Sms } else { Channel::Mms };

    let mut message = Message::new("signalwire", channel, message_id, from, to);
    message.text = find("body").unwrap_or_default().to_owned();
    message.media = media;
    if unread.is_some() {
        message.describe(&lines::unsupported(unread));
    }
    message.segments = find("segments").and_then(|count| count.parse().ok());
    message.account = find("project_id").map(str::to_owned);
    Ok(message.into())
}

/// `acme` of `acme` or `acme.signalwire.com`. It becomes part of a host, so it is one label (RFC 1123, section 2.1).
fn label(space: &str) -> Option<&str> {
    let label = space.strip_suffix(DOMAIN).unwrap_or(space);
    let is_label = (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-');
    is_label.then_some(label)
}

#[cfg(test)]
mod tests;
