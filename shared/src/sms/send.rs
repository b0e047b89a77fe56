//! Texts on their way to a provider: what a request to its send API is made of, and what its answer means.
//!
//! The way of a text: [`super::contract::Provider::request`] → [`crate::sender::Sender`], which alone calls →
//! [`super::contract::Provider::read_answer`]. AWS's own two APIs are called by their SDK instead (`sender/aws.rs`).
//!
//! What an answer means is decided so:
//!
//! | answer | means |
//! |---|---|
//! | 2xx | the provider has it, whatever the body says or if it is cut short; only Vonage's SMS API and Infobip tell failures so |
//! | 429 | [`Reason::Throttled`]: nothing was sent |
//! | 401, 402, 403, 404, 3xx | [`Reason::Misconfigured`], unless the provider's own code says more: nothing was sent |
//! | other 4xx | [`Reason::Refused`] |
//! | 408 | [`Reason::Unavailable`]: the provider did not get all of the request (RFC 9110, section 15.5.9) |
//! | 500, 503 and others | [`Reason::Unavailable`]: the provider says itself that it did not take it |
//! | 502, 504 | [`Reason::Unknown`]: a gateway had no answer from behind it (RFC 9110, sections 15.6.3 and 15.6.5) |
//! | none | [`Reason::Unknown`], unless no connection was made |
//!
//! What may have been sent is sent again only where the provider knows a repeat by its key
//! ([`super::contract::Facts::supports_idempotency`]); elsewhere the agent is told.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderName, HeaderValue, StatusCode, header::AUTHORIZATION};
use serde_json::Value;

use crate::{
    error::{Error, Kind, Result},
    secret::Secret,
    sms::message::Channel,
    url::BaseUrl,
};

/// One text to one customer. Not `Debug`.
#[derive(Clone, Copy)]
pub struct Outbound<'a> {
    /// The network that the customer wrote over.
    pub channel: Channel,
    /// Our address: a number, or what else the customer wrote to.
    pub from: &'a str,
    /// The provider's own id of our address, where it has one (Meta's phone number id, AWS's ARN).
    pub from_id: Option<&'a str>,
    /// The customer's address.
    pub to: &'a str,
    /// The words: not blank, and within [`super::contract::Provider::limit`].
    pub text: &'a str,
    /// The choices that go in place of the text, or beside it: what [`super::contract::Provider::choices`] made of them.
    pub choices: Option<&'a Value>,
    /// Connect's id of the chat that it is said in.
    pub contact_id: &'a str,
    /// The same whenever this text is sent again, and of no other: 64 hexadecimal digits.
    pub key: &'a str,
    /// Where the provider shall report what becomes of it, if it must be asked to.
    pub status_url: Option<&'a str>,
}

/// The channel's own form of choices.
#[derive(Clone, Debug, PartialEq)]
pub enum Native {
    /// It takes the text's place: the customer sees no numbers.
    Instead(Value),
    /// It goes with the numbered text.
    Beside(Value),
}

/// The call that sends a text.
pub enum ApiCall {
    /// A request of our own.
    Http(HttpRequest),
    /// `SendTextMessage` of AWS End User Messaging SMS, which the SDK signs.
    AwsSms(AwsSms),
    /// `SendWhatsAppMessage` of AWS End User Messaging Social, which the SDK signs.
    AwsSocial(AwsSocial),
}

/// What `SendTextMessage` takes. Not `Debug`.
pub struct AwsSms {
    /// Where our number is. None: where the function runs.
    pub region: Option<String>,
    /// Our number, or its id.
    pub from: String,
    /// The customer's number.
    pub to: String,
    /// The words.
    pub text: String,
    /// The configuration set, whose event destinations report what becomes of it.
    pub configuration_set: Option<String>,
}

/// What `SendWhatsAppMessage` takes. Not `Debug`.
pub struct AwsSocial {
    /// Where our number is. None: where the function runs.
    pub region: Option<String>,
    /// The ARN of our number.
    pub phone_number_id: String,
    /// Meta's message object, as JSON.
    pub message: String,
}

/// A text that the provider took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The provider's ids of it, if it gave any: what its own console and its later webhooks name it by. Only Vonage's SMS
    /// API has one for each part of a long text.
    pub message_ids: Vec<String>,
}

impl Taken {
    /// With the id at a place in a JSON body (RFC 6901).
    pub(super) fn at(body: &[u8], pointer: &str) -> Self {
        Self { message_ids: code_at(body, pointer).into_iter().collect() }
    }
}

/// A POST to a provider's API. Not `Debug`: the URL may name the account, the rest holds secrets and the text.
pub struct HttpRequest {
    /// Path and query below the provider's host, or below the account's `send_base_url`.
    pub path: String,
    /// Scheme and host of the provider's API, if it is known: an account may have one of its own.
    pub host: Option<String>,
    /// Credentials and what else the provider wants.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The body's type.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

/// Adds a member to the JSON body of a request.
pub(super) fn add(body: &mut Value, name: &str, value: Value) {
    if let Some(object) = body.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

impl HttpRequest {
    /// A form.
    pub(super) fn form(host: Option<String>, path: impl Into<String>, fields: &[(&str, &str)]) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let content_type = "application/x-www-form-urlencoded";
        Self { host, path: path.into(), headers: Vec::new(), content_type, body }
    }

    /// JSON.
    pub(super) fn json(host: impl Into<String>, path: impl Into<String>, body: &Value) -> Self {
        Self {
            host: Some(host.into()),
            path: path.into(),
            headers: Vec::new(),
            content_type: "application/json",
            body: body.to_string(),
        }
    }

    /// Where it goes. `base` takes the place of the provider's own host.
    pub(crate) fn url(&self, base: Option<&BaseUrl>) -> Result<String> {
        let base = base.map(BaseUrl::as_written).or_else(|| self.host.clone());
        let base = base.ok_or_else(|| misconfigured("the host of the provider's API is not known"))?;
        Ok(format!("{base}{}", self.path))
    }

    /// HTTP Basic authentication (RFC 7617).
    pub(super) fn basic(self, user: &str, password: &Secret) -> Result<Self> {
        let credentials = STANDARD.encode(format!("{user}:{}", password.expose()));
        self.header(AUTHORIZATION, &format!("Basic {credentials}"))
    }

    /// A bearer token (RFC 6750).
    pub(super) fn bearer(self, token: &str) -> Result<Self> {
        self.header(AUTHORIZATION, &format!("Bearer {token}"))
    }

    /// A header, which no log shows.
    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Result<Self> {
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| misconfigured("a credential of the account can't stand in a header"))?;
        value.set_sensitive(true);
        self.headers.push((name, value));
        Ok(self)
    }
}

/// The account can't send, by its settings.
pub(crate) fn misconfigured(cause: &'static str) -> Error {
    Error::new(Kind::SendMisconfigured, "The account at the provider is not set up to send").caused_by(cause)
}

/// Why a text was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotTaken {
    /// What it means for us.
    pub reason: Reason,
    /// The provider's own code.
    pub code: Option<String>,
}

/// What a failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Too fast, and not sent.
    Throttled,
    /// The same, counted for this customer or this sender only, and not for the account.
    ThrottledHere,
    /// The provider can't at the moment, and it was not sent.
    Unavailable,
    /// It may have been sent.
    Unknown,
    /// Refused for good.
    Refused,
    /// The customer has told the provider that no texts are wanted.
    OptedOut,
    /// WhatsApp's 24 hours since the customer's last message are over.
    WindowClosed,
    /// Credentials, rights or the account: its owner can mend it.
    Misconfigured,
}

impl NotTaken {
    /// By the provider's own code, which says more than the status.
    pub(crate) fn new(reason: Reason, code: impl fmt::Display) -> Self {
        Self { reason, code: Some(code.to_string()) }
    }

    /// By the status alone: see the module's page. `None`: it was taken.
    pub(crate) fn of_status(status: StatusCode) -> Option<Reason> {
        match status.as_u16() {
            200..=299 => None,
            429 => Some(Reason::Throttled),
            300..=399 | 401..=404 => Some(Reason::Misconfigured),
            502 | 504 => Some(Reason::Unknown),
            408 | 500..=599 => Some(Reason::Unavailable),
            _ => Some(Reason::Refused),
        }
    }

    /// By status and code, where `known` names the codes that say more than the status.
    pub(super) fn read(
        status: StatusCode,
        code: Option<String>,
        known: impl Fn(&str) -> Option<Reason>,
    ) -> Result<(), Self> {
        let Some(by_status) = Self::of_status(status) else { return Ok(()) };
        let reason = code.as_deref().and_then(known).unwrap_or(by_status);
        Err(Self { reason, code })
    }

    /// The bridge's error. `provider` is told to the owner, with the code, if that is one: a text could quote a number.
    pub(crate) fn into_error(self, provider: &str, status: Option<u16>) -> Error {
        let status = status.map_or_else(|| "no answer".to_owned(), |status| format!("HTTP {status}"));
        let is_code = |code: &String| {
            code.len() <= 60 && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-. ".contains(&byte))
        };
        // A telephone number is no code.
        let code = self.code.filter(is_code).filter(|code| code.bytes().filter(u8::is_ascii_digit).count() < 9);
        let cause = match code {
            Some(code) => format!("{provider}: {status}, code {code}"),
            None => format!("{provider}: {status}"),
        };
        let error = match self.reason {
            Reason::Throttled => Error::new(Kind::Throttled, "The provider takes no more texts at this moment"),
            Reason::ThrottledHere => Error::new(
                Kind::ConversationThrottled,
                "The provider takes no more texts for this customer at this moment",
            ),
            Reason::Unavailable => Error::new(Kind::ProviderUnavailable, "The provider is not available"),
            Reason::Unknown => Error::new(Kind::OutcomeUnknown, "The provider may or may not have taken the text"),
            Reason::Refused => Error::new(Kind::SendRefused, "The provider refuses the text"),
            Reason::WindowClosed => Error::new(Kind::WindowClosed, "WhatsApp's 24 hours are over"),
            Reason::OptedOut => Error::new(Kind::OptedOut, "The customer has opted out"),
            Reason::Misconfigured => Error::new(Kind::SendMisconfigured, "The account at the provider can't send"),
        };
        error.caused_by(cause)
    }
}

/// A number as some providers want it: the digits of E.164 without its plus sign. Other addresses stay as they are.
pub(super) fn without_plus(address: &str) -> &str {
    address.strip_prefix('+').unwrap_or(address)
}

/// A code at a place in a JSON body (RFC 6901), be it a text or a number.
pub(crate) fn code_at(body: &[u8], pointer: &str) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    scalar_at(&body, pointer)
}

/// The same, in JSON that was read.
pub(super) fn scalar_at(body: &Value, pointer: &str) -> Option<String> {
    scalar(body.pointer(pointer)?)
}

/// A code, be it a text or a number.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(code) => Some(code.clone()),
        Value::Number(code) => Some(code.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_whether_a_text_was_taken() {
        for (status, reason) in [
            (200, None),
            (201, None),
            (202, None),
            (301, Some(Reason::Misconfigured)),
            (400, Some(Reason::Refused)),
            (401, Some(Reason::Misconfigured)),
            (403, Some(Reason::Misconfigured)),
            (422, Some(Reason::Refused)),
            (429, Some(Reason::Throttled)),
            (500, Some(Reason::Unavailable)),
            (502, Some(Reason::Unknown)),
            (503, Some(Reason::Unavailable)),
            (504, Some(Reason::Unknown)),
        ] {
            assert_eq!(NotTaken::of_status(StatusCode::from_u16(status).unwrap()), reason, "{status}");
        }
    }

    #[test]
    fn an_error_names_codes_and_nothing_else() {
        let cause = |code: Option<&str>| {
            let failed = NotTaken { reason: Reason::Refused, code: code.map(str::to_owned) };
            std::error::Error::source(&failed.into_error("twilio", Some(400))).unwrap().to_string()
        };
        assert_eq!(cause(None), "twilio: HTTP 400");
        assert_eq!(cause(Some("21211")), "twilio: HTTP 400, code 21211");
        for text in ["+14155550100", "14155550100", "The number 1 is bad: x", "Schlüssel"] {
            assert_eq!(cause(Some(text)), "twilio: HTTP 400", "{text}");
        }
    }

    #[test]
    fn credentials_are_not_printed() {
        let request = HttpRequest::form(None, "/x", &[("Body", "a b&c")]);
        assert_eq!(request.body, "Body=a+b%26c");
        let request = request.basic("AC1", &Secret::new("token")).unwrap();
        assert_eq!(format!("{:?}", request.headers), r#"[("authorization", Sensitive)]"#);
        assert_eq!(request.headers[0].1.to_str().unwrap(), "Basic QUMxOnRva2Vu");
        let kind = |value: &str| request_kind(value);
        assert_eq!(kind("a\nb"), Some(Kind::SendMisconfigured));
    }

    fn request_kind(token: &str) -> Option<Kind> {
        HttpRequest::json("https://a.example", "/x", &Value::Null).bearer(token).err().map(|error| error.kind())
    }
}
