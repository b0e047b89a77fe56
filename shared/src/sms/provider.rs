//! The providers: their names, what they expect as an answer, and who does the work for each.

use std::{borrow::Cow, fmt, str::FromStr};

use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::{
    aws_sns,
    message::{Channel, Event, Media, Message},
    meta,
    segments::Limit,
    send::{NotTaken, Request, Text},
    signalwire, telnyx, twilio, vonage, vonage_messages,
    webhook::{Proof, Rejection, Verified, Webhook},
};
use crate::{
    error::{Error, Kind, Result},
    settings::Fields,
};

/// Who sends webhooks; named in routes and settings as [`Provider::as_str`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "their names say all")]
pub enum Provider {
    Twilio,
    Signalwire,
    Telnyx,
    Vonage,
    VonageMessages,
    Plivo,
    Sinch,
    Bandwidth,
    Messagebird,
    Bird,
    Infobip,
    AwsSns,
    Meta,
}

impl Provider {
    /// All of them, also those that have no code yet.
    pub const ALL: [Self; 13] = [
        Self::Twilio,
        Self::Signalwire,
        Self::Telnyx,
        Self::Vonage,
        Self::VonageMessages,
        Self::Plivo,
        Self::Sinch,
        Self::Bandwidth,
        Self::Messagebird,
        Self::Bird,
        Self::Infobip,
        Self::AwsSns,
        Self::Meta,
    ];

    /// The name in routes and settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Twilio => "twilio",
            Self::Signalwire => "signalwire",
            Self::Telnyx => "telnyx",
            Self::Vonage => "vonage",
            Self::VonageMessages => "vonage-messages",
            Self::Plivo => "plivo",
            Self::Sinch => "sinch",
            Self::Bandwidth => "bandwidth",
            Self::Messagebird => "messagebird",
            Self::Bird => "bird",
            Self::Infobip => "infobip",
            Self::AwsSns => "aws-sns",
            Self::Meta => "meta",
        }
    }

    /// The answer to what was accepted, to a duplicate, and to what is ignored.
    pub fn accepted(self) -> Answer {
        match self {
            // Any other content type is Twilio's error 12300: https://www.twilio.com/docs/api/errors/12300
            Self::Twilio | Self::Signalwire => {
                Answer::ok("text/xml", r#"<?xml version="1.0" encoding="UTF-8"?><Response/>"#)
            }
            Self::Messagebird => Answer::ok("text/plain", "OK"),
            Self::Telnyx
            | Self::Vonage
            | Self::VonageMessages
            | Self::Plivo
            | Self::Sinch
            | Self::Bandwidth
            | Self::Bird
            | Self::Infobip
            | Self::AwsSns
            | Self::Meta => Answer::ok("application/json", r#"{"success":true}"#),
        }
    }

    /// Where a failed verification is 401 and not 403: the value of its `WWW-Authenticate`.
    pub fn challenge(self) -> Option<&'static str> {
        matches!(self, Self::Bandwidth | Self::Infobip).then_some(r#"Basic realm="webhook", charset="UTF-8""#)
    }

    /// Whether the provider sends once only, so that what is not stored before the answer is lost: Twilio calls a
    /// fallback URL at most, SignalWire likewise.
    pub fn sends_once(self) -> bool {
        matches!(self, Self::Twilio | Self::Signalwire)
    }

    /// Whether anyone can open the link of a medium. The others need the account's credentials, or are ids.
    ///
    /// Twilio's links are open unless the owner switched "HTTP Basic Authentication for media access" on; its
    /// webhooks don't say.
    pub fn opens_to_anyone(self, media: &Media) -> bool {
        let has_open_links = match self {
            Self::Twilio | Self::Signalwire | Self::Telnyx | Self::Vonage | Self::Plivo | Self::Sinch => true,
            Self::VonageMessages
            | Self::Bandwidth
            | Self::Messagebird
            | Self::Bird
            | Self::Infobip
            | Self::AwsSns
            | Self::Meta => false,
        };
        has_open_links && media.url.is_some()
    }

    /// How old a signature may be, in seconds, where the account doesn't say. 0 is any age: most providers' SDKs check
    /// none, and one that retries for hours may not sign again. 300 is for those whose SDK enforces it, or whose
    /// signature is a JWT with a time.
    pub fn default_max_age(self) -> u64 {
        if matches!(self, Self::Telnyx | Self::VonageMessages | Self::Messagebird) { 300 } else { 0 }
    }

    /// Whether the provider signs a time at all.
    pub fn signs_a_time(self) -> bool {
        match self {
            Self::Telnyx
            | Self::Vonage
            | Self::VonageMessages
            | Self::Sinch
            | Self::Messagebird
            | Self::Bird
            | Self::AwsSns => true,
            Self::Twilio | Self::Signalwire | Self::Plivo | Self::Bandwidth | Self::Infobip | Self::Meta => false,
        }
    }

    /// The largest body that is read. Meta sends up to 3 MB and AWS wraps Meta's; a message of the others has a few
    /// kilobytes.
    pub fn max_body(self) -> usize {
        match self {
            Self::Meta | Self::AwsSns => 4 * 1024 * 1024,
            Self::Twilio
            | Self::Signalwire
            | Self::Telnyx
            | Self::Vonage
            | Self::VonageMessages
            | Self::Plivo
            | Self::Sinch
            | Self::Bandwidth
            | Self::Messagebird
            | Self::Bird
            | Self::Infobip => 1024 * 1024,
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Provider {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|provider| provider.as_str() == name)
            .ok_or_else(|| Error::new(Kind::NotFound, "No such provider"))
    }
}

/// What a provider is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body's type.
    pub content_type: &'static str,
    /// The body.
    pub body: Cow<'static, str>,
}

impl Answer {
    fn ok(content_type: &'static str, body: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::OK, content_type, body: body.into() }
    }

    /// The answer to a verified webhook with these events: the challenge, if there is one, else
    /// [`Provider::accepted`].
    pub fn to(provider: Provider, events: &[Event]) -> Self {
        let challenge = events.iter().find_map(|event| match event {
            Event::Challenge(text) => Some(text.clone()),
            Event::Message(_) | Event::Ignored { .. } | Event::SubscriptionConfirmation { .. } => None,
        });
        challenge.map_or_else(|| provider.accepted(), |text| Self::ok("text/plain", text))
    }
}

/// What an account proves webhooks and sends with. Only providers that have code are here, so every `match` below is
/// complete.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "their names say all")]
pub enum Credentials {
    Twilio(twilio::Credentials),
    Signalwire(signalwire::Credentials),
    Telnyx(telnyx::Credentials),
    Vonage(vonage::Credentials),
    VonageMessages(vonage_messages::Credentials),
    AwsSns(aws_sns::Credentials),
    Meta(meta::Credentials),
}

impl Credentials {
    /// Reads an account's fields. `None`: this provider has no code yet.
    pub(crate) fn read(provider: Provider, fields: &Fields<'_>) -> Option<Self> {
        match provider {
            Provider::Twilio => Some(Self::Twilio(twilio::Credentials::read(fields))),
            Provider::Signalwire => Some(Self::Signalwire(signalwire::Credentials::read(fields))),
            Provider::Telnyx => Some(Self::Telnyx(telnyx::Credentials::read(fields))),
            Provider::Vonage => Some(Self::Vonage(vonage::Credentials::read(fields))),
            Provider::VonageMessages => Some(Self::VonageMessages(vonage_messages::Credentials::read(fields))),
            Provider::AwsSns => Some(Self::AwsSns(aws_sns::Credentials::read(fields))),
            Provider::Meta => Some(Self::Meta(meta::Credentials::read(fields))),
            Provider::Plivo
            | Provider::Sinch
            | Provider::Bandwidth
            | Provider::Messagebird
            | Provider::Bird
            | Provider::Infobip => None,
        }
    }

    /// Whose they are.
    pub fn provider(&self) -> Provider {
        match self {
            Self::Twilio(_) => Provider::Twilio,
            Self::Signalwire(_) => Provider::Signalwire,
            Self::Telnyx(_) => Provider::Telnyx,
            Self::Vonage(_) => Provider::Vonage,
            Self::VonageMessages(_) => Provider::VonageMessages,
            Self::AwsSns(_) => Provider::AwsSns,
            Self::Meta(_) => Provider::Meta,
        }
    }

    /// Whether one of the secrets proves the webhook. The certificate is AWS SNS's.
    pub(super) fn verify(
        &self,
        webhook: &Webhook,
        certificate: Option<&aws_sns::Certificate>,
    ) -> Result<Proof, Rejection> {
        match self {
            Self::Twilio(credentials) => twilio::verify(credentials, webhook),
            Self::Signalwire(credentials) => signalwire::verify(credentials, webhook),
            Self::Telnyx(credentials) => telnyx::verify(credentials, webhook),
            Self::Vonage(credentials) => vonage::verify(credentials, webhook),
            Self::VonageMessages(credentials) => vonage_messages::verify(credentials, webhook),
            Self::AwsSns(credentials) => aws_sns::verify(credentials, webhook, certificate),
            Self::Meta(credentials) => meta::verify(credentials, webhook),
        }
    }

    /// Reads a webhook that these have proved.
    pub(super) fn parse(&self, verified: &Verified<'_>) -> Result<Vec<Event>> {
        match self {
            Self::Twilio(_) => twilio::parse(verified),
            Self::Signalwire(_) => signalwire::parse(verified),
            Self::Telnyx(_) => telnyx::parse(verified),
            Self::Vonage(_) => vonage::parse(verified),
            Self::VonageMessages(_) => vonage_messages::parse(verified),
            Self::AwsSns(_) => aws_sns::parse(verified),
            Self::Meta(_) => meta::parse(verified),
        }
    }

    /// Whether the payload names this account (`Some(true)`), another (`Some(false)`), or none. It breaks ties only:
    /// an account is chosen by its secret.
    pub(super) fn is_named(&self, verified: &Verified<'_>, message: &Message) -> Option<bool> {
        match self {
            Self::Twilio(credentials) => credentials.is_named(message),
            Self::Signalwire(credentials) => credentials.is_named(message),
            // Its webhooks name nothing that the settings know.
            Self::Telnyx(_) => None,
            Self::Vonage(credentials) => credentials.is_named(verified),
            Self::VonageMessages(credentials) => credentials.is_named(verified),
            Self::AwsSns(_) => None,
            Self::Meta(credentials) => credentials.is_named(message),
        }
    }

    /// The longest text that one request may carry.
    pub fn limit(&self, channel: Channel) -> Limit {
        match self {
            Self::Twilio(_) => twilio::LIMIT,
            Self::Signalwire(_) => signalwire::LIMIT,
            Self::Telnyx(_) => telnyx::LIMIT,
            Self::Vonage(_) => vonage::LIMIT,
            Self::VonageMessages(_) => vonage_messages::limit(channel),
            Self::AwsSns(_) => aws_sns::limit(channel),
            Self::Meta(_) => meta::LIMIT,
        }
    }

    /// Whether the provider sends a text once, however often it is handed over with the same [`Text::key`]. Where it does
    /// not, a text that may have been sent is not sent again.
    pub fn knows_repeats(&self) -> bool {
        match self {
            Self::Telnyx(_) => true,
            Self::Twilio(_)
            | Self::Signalwire(_)
            | Self::Vonage(_)
            | Self::VonageMessages(_)
            | Self::AwsSns(_)
            | Self::Meta(_) => false,
        }
    }

    /// The request that sends a text. `None`: not by HTTP, but by [`crate::aws::texting`].
    pub(crate) fn request(&self, text: &Text<'_>) -> Result<Option<Request>> {
        match self {
            Self::Twilio(credentials) => twilio::request(credentials, text).map(Some),
            Self::Signalwire(credentials) => signalwire::request(credentials, text).map(Some),
            Self::Telnyx(credentials) => telnyx::request(credentials, text).map(Some),
            Self::Vonage(credentials) => vonage::request(credentials, text).map(Some),
            Self::VonageMessages(credentials) => vonage_messages::request(credentials, text).map(Some),
            Self::AwsSns(_) => Ok(None),
            Self::Meta(credentials) => meta::request(credentials, text).map(Some),
        }
    }

    /// What the answer to such a request means.
    pub(crate) fn read_answer(&self, status: StatusCode, body: &[u8]) -> Result<(), NotTaken> {
        match self {
            Self::Twilio(_) => twilio::read_answer(status, body),
            Self::Signalwire(_) => signalwire::read_answer(status, body),
            Self::Telnyx(_) => telnyx::read_answer(status, body),
            Self::Vonage(_) => vonage::read_answer(status, body),
            Self::VonageMessages(_) => vonage_messages::read_answer(status, body),
            // Its answers are the SDK's to read.
            Self::AwsSns(_) => NotTaken::read(status, None, |_| None),
            Self::Meta(_) => meta::read_answer(status, body),
        }
    }

    /// The certificate that the webhook says it is signed with, once its URL and the webhook's topic have passed their
    /// checks. Only AWS SNS has one.
    pub(super) fn certificate_url(&self, webhook: &Webhook) -> Option<String> {
        match self {
            Self::AwsSns(credentials) => aws_sns::certificate_url(credentials, webhook),
            Self::Twilio(_) | Self::Signalwire(_) | Self::Meta(_) => None,
            Self::Telnyx(_) | Self::Vonage(_) | Self::VonageMessages(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Answer, Provider};
    use crate::{
        error::Kind,
        sms::{
            message::{Channel, Event, Media},
            segments::Limit,
            testing::accounts,
        },
    };

    #[test]
    fn names_are_those_of_the_routes() {
        let routes = "twilio signalwire telnyx vonage vonage-messages plivo sinch bandwidth messagebird bird infobip \
                      aws-sns meta";
        let names: Vec<_> = Provider::ALL.map(Provider::as_str).to_vec();
        assert_eq!(names.join(" "), routes);
        for provider in Provider::ALL {
            assert_eq!(provider.as_str().parse::<Provider>().unwrap(), provider);
            assert_eq!(serde_json::to_value(provider).unwrap(), provider.as_str());
        }
        for name in ["", "Twilio", "twilio ", "generic"] {
            assert_eq!(name.parse::<Provider>().unwrap_err().kind(), Kind::NotFound);
        }
    }

    #[test]
    fn answers_are_what_each_provider_expects() {
        let twilio = Answer::to(Provider::Twilio, &[]);
        assert_eq!((twilio.status.as_u16(), twilio.content_type), (200, "text/xml"));
        assert_eq!(twilio.body, r#"<?xml version="1.0" encoding="UTF-8"?><Response/>"#);
        assert_eq!(Answer::to(Provider::Messagebird, &[]).body, "OK");
        assert_eq!(Answer::to(Provider::Telnyx, &[]).body, r#"{"success":true}"#);
        let meta = Answer::to(Provider::Meta, &[Event::Challenge("1158201444".into())]);
        assert_eq!((meta.content_type, meta.body.as_ref()), ("text/plain", "1158201444"));
    }

    #[test]
    fn limits_are_each_providers() {
        let limit = |account: Value, channel| accounts(json!([account]))[0].credentials.limit(channel);
        let sns = || json!({"provider": "aws-sns", "topic_arns": ["arn:aws:sns:us-east-1:123456789012:sms"]});
        assert_eq!(limit(sns(), Channel::Sms), Limit::Segments(9));
        assert_eq!(limit(sns(), Channel::Whatsapp), Limit::Characters(4096));
        let meta = json!({"provider": "meta", "app_secrets": ["s"]});
        assert_eq!(limit(meta, Channel::Whatsapp), Limit::Characters(4096));
        let telnyx = json!({"provider": "telnyx", "public_keys": ["A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="]});
        assert_eq!(limit(telnyx, Channel::Sms), Limit::Units(670));
        let twilio = json!({"provider": "twilio", "auth_tokens": ["t"]});
        assert_eq!(limit(twilio, Channel::Whatsapp), Limit::Units(1600));
    }

    #[test]
    fn ids_and_credentialed_links_are_not_open() {
        let link = Media { url: Some("https://m.example/1".into()), ..Media::default() };
        let id = Media { id: Some("1".into()), ..Media::default() };
        assert!(Provider::Twilio.opens_to_anyone(&link));
        assert!(!Provider::Bandwidth.opens_to_anyone(&link));
        assert!(!Provider::Meta.opens_to_anyone(&id));
        assert!(!Provider::Twilio.opens_to_anyone(&id));
    }
}
