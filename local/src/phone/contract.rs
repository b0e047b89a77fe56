//! What a provider is to the phone: how it posts a customer's text to the bridge, and how its send API takes an answer.

use std::fmt;

use axum::http::{HeaderMap, Method, header::AUTHORIZATION};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    account::Account,
    text::{Channel, Choice, e164},
};

/// The content type of a form.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";
/// The content type of JSON.
pub(super) const JSON: &str = "application/json";

/// Names and values.
pub(super) type Headers = Vec<(&'static str, String)>;

/// A provider, as the phone stands in for it. Each is in a file of its own, and has a line in the table of `phone`.
pub(super) trait Provider: Sync {
    /// Its name in the settings, and in the path of a webhook.
    fn name(&self) -> &'static str;

    /// What people call it.
    fn title(&self) -> &'static str;

    /// How its texts travel, the usual way first.
    fn channels(&self) -> &'static [Channel];

    /// The `Content-Type` of its webhooks.
    fn content_type(&self) -> &'static str {
        JSON
    }

    /// The bodies of the webhooks for a customer's text, not yet signed: one, or one for each part where the provider
    /// leaves joining them to the receiver.
    fn bodies(&self, text: &CustomerText<'_>) -> Result<Vec<String>, String>;

    /// Signs any body that this provider may post.
    fn sign(&self, post: Post<'_>) -> Result<Signature, String>;

    /// Whether a call brings no text, but what happens in a chat: it is taken, and shown nowhere.
    fn is_signal(&self, _call: &Call<'_>) -> bool {
        false
    }

    /// What a call of the send API asks for, or the status that it is refused with. Credentials are checked here.
    fn read(&self, call: &Call<'_>) -> Result<SendRequest, u16>;

    /// The answer to a call that only reads, as `make doctor` makes them: whether these are the account's credentials, and
    /// where the provider posts its webhooks.
    fn look(&self, _: &Call<'_>, _webhook: &str) -> Result<Value, u16> {
        Err(405)
    }

    /// A message id in this provider's form.
    fn message_id(&self) -> String;

    /// The answer to a call whose text was taken.
    fn taken(&self, request: &SendRequest, id: &str) -> Answer;

    /// The answer to a call that was not carried out. The status is 400, 401, 404, 405, 429 or one of the 500s.
    fn refused(&self, call: &Call<'_>, status: u16) -> Answer;
}

/// What a customer wrote, on its way to the bridge.
pub(super) struct CustomerText<'a> {
    pub(super) account: &'a Account,
    pub(super) channel: Channel,
    /// The customer's number in E.164.
    pub(super) from: String,
    /// The account's.
    pub(super) to: String,
    pub(super) text: &'a str,
    /// What the customer tapped, if it is no text. Providers without buttons take it for its text.
    pub(super) choice: Option<&'a Choice>,
    /// Where the webhook goes to.
    pub(super) url: &'a str,
    pub(super) now: Timestamp,
}

/// A webhook before it is signed.
pub(super) struct Post<'a> {
    pub(super) account: &'a Account,
    pub(super) url: &'a str,
    pub(super) body: String,
    pub(super) now: Timestamp,
}

impl Post<'_> {
    /// Signed by a header, which leaves the body as it is.
    pub(super) fn with_header(self, name: &'static str, value: String) -> Signature {
        Signature { headers: vec![(name, value)], body: self.body }
    }
}

/// The signature of a webhook: in headers, or in the body.
pub(super) struct Signature {
    pub(super) headers: Headers,
    pub(super) body: String,
}

/// A POST that the provider makes.
#[derive(Clone, PartialEq, Eq)]
pub struct Signed {
    /// Of the route: `/sms/<provider>/<account>`.
    pub path: String,
    /// Names and values.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

/// Without what the customer wrote.
impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A call of the send API.
pub(super) struct Call<'a> {
    pub(super) account: &'a Account,
    pub(super) method: &'a Method,
    /// Below the account's `send_base_url`.
    pub(super) path: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

impl Call<'_> {
    /// The API is at this path only.
    pub(super) fn at(&self, path: &str) -> Result<(), u16> {
        if self.path == path { Ok(()) } else { Err(404) }
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    pub(super) fn authorization(&self) -> &str {
        self.header(AUTHORIZATION.as_str())
    }

    pub(super) fn is_basic(&self, user: &str, password: &str) -> bool {
        self.authorization() == format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
    }

    /// A bearer token that the settings have in this field.
    pub(super) fn is_bearer(&self, field: &str) -> bool {
        self.account.text(field).is_some_and(|token| self.authorization() == format!("Bearer {token}"))
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(self.body).unwrap_or_default()
    }

    pub(super) fn form(&self) -> Value {
        form_urlencoded::parse(self.body)
            .map(|(name, value)| (name.into_owned(), json!(value)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

/// What a call of the send API asks for.
pub(super) struct SendRequest {
    pub(super) from: String,
    /// The sender as the phone shows it: a number, or an id.
    pub(super) business: String,
    pub(super) to: String,
    pub(super) text: String,
    pub(super) choices: Vec<Choice>,
    pub(super) channel: Channel,
}

impl SendRequest {
    /// From a body's fields of these names: from, to and text.
    pub(super) fn of(body: &Value, [from, to, text]: [&str; 3], channel: Channel) -> Result<Self, u16> {
        let field = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned).ok_or(400_u16);
        let from = field(from)?;
        Ok(Self { business: e164(&from), from, to: field(to)?, text: field(text)?, choices: Vec::new(), channel })
    }

    /// A request that says from whom, to whom and what.
    pub(super) fn complete(self) -> Result<Self, u16> {
        let complete = !self.text.trim().is_empty() && !self.to.is_empty() && !self.from.is_empty();
        if complete { Ok(self) } else { Err(400) }
    }
}

/// An answer of the send API.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Headers,
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn json(status: u16, body: Value) -> Self {
        Self { status, headers: vec![("content-type", JSON.to_owned())], body }
    }
}

/// 401 where a call is not authorised.
pub(super) fn authorised(is_known: bool) -> Result<(), u16> {
    if is_known { Ok(()) } else { Err(401) }
}

/// What a status means, in the providers' usual words.
pub(super) fn meaning(status: u16) -> &'static str {
    match status {
        400 => "Bad request",
        401 => "Authenticate",
        404 => "Not found",
        405 => "Method not allowed",
        429 => "Too many requests",
        _ => "Internal error",
    }
}
