//! The provider contract: what the bridge asks of each provider, and what it must know of it.
//!
//! A provider is one folder below [`super::providers`]: its `Credentials` implement [`Provider`], and its [`Facts`] say
//! what is special about it. Everything else in the bridge works by these two.

use std::{borrow::Cow, fmt};

use http::StatusCode;

use crate::{
    choices::Prompt,
    error::Result,
    sms::{
        event::Event,
        media::{self, File, MediaRequest, MediaSource, SendFile},
        message::{Channel, Media, Message},
        segments::Limit,
        send::{ApiCall, Native, NotTaken, Outbound, Taken, misconfigured},
        signal::Signal,
        webhook::{Proof, Proved, Rejection, Webhook},
    },
};

/// An account at a provider: verifies and reads its webhooks, and sends by its API.
pub trait Provider: fmt::Debug + Send + Sync {
    /// Verifies that one of the account's secrets signed the webhook.
    fn verify(&self, webhook: &Webhook) -> Result<Proof, Rejection>;

    /// Reads a verified webhook: messages, opt-outs, statuses of our texts, handshakes. What is authentic but says nothing to an agent is
    /// [`Event::Ignored`].
    fn parse(&self, proved: &Proved<'_>) -> Result<Vec<Event>>;

    /// The longest text that one request may carry.
    fn limit(&self, channel: Channel) -> Limit;

    /// The channel's own form of choices. `None`: it has none, or these don't fit into it, so they are numbered in the text.
    fn choices(&self, _channel: Channel, _prompt: &Prompt) -> Option<Native> {
        None
    }

    /// The call that sends a text.
    fn request(&self, outbound: &Outbound<'_>) -> Result<ApiCall>;

    /// The call that tells what happens beside words, where [`Facts::takes_signals`].
    fn signal(&self, _signal: &Signal<'_>) -> Result<ApiCall> {
        Err(misconfigured("the provider takes texts only"))
    }

    /// What the answer to [`ApiCall::Http`] means.
    fn read_answer(&self, status: StatusCode, body: &[u8]) -> Result<Taken, NotTaken>;

    /// Where a customer's medium is fetched, and what opens it there. None: nowhere. `number_id` is the provider's own id of
    /// our address. Without more, its link is open to anyone.
    fn medium(&self, media: &Media, _number_id: Option<&str>) -> Result<Option<MediaSource>> {
        Ok(media.url.as_deref().map(|url| MediaSource::Http(MediaRequest::open(url))))
    }

    /// How an agent's file is sent: without words, so [`Outbound::text`] is empty. Where the channel carries no such file:
    /// `SendRefused`, whose message the agent reads.
    fn send_file(&self, _outbound: &Outbound<'_>, _file: &File<'_>) -> Result<SendFile> {
        media::no_files()
    }

    /// Whether the payload names this account (`Some(true)`), another (`Some(false)`), or none. It breaks ties only: an
    /// account is chosen by its secret.
    fn is_named(&self, _proved: &Proved<'_>, _message: &Message) -> Option<bool> {
        None
    }

    /// The URL of the certificate that [`Self::verify`] needs, once the webhook has passed all checks that cost nothing,
    /// and what the certificate would prove.
    fn certificate_url(&self, _webhook: &Webhook) -> Option<(String, Proof)> {
        None
    }
}

/// What is known of a provider beside its code. [`Facts::new`] has the values that hold for most.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The name in routes and in the settings.
    pub name: &'static str,
    /// The content type and body of the answer to what was accepted, to a duplicate, and to what is ignored.
    pub accepted: (&'static str, &'static str),
    /// Where a failed verification is answered 401 instead of 403: the value of `WWW-Authenticate`.
    pub challenge: Option<&'static str>,
    /// The provider sends a webhook once only, so what is not stored before the answer is lost.
    pub sends_once: bool,
    /// Signatures cover a time, so `max_age_seconds` has an effect.
    pub signs_a_time: bool,
    /// How old a signature may be where the account doesn't say, in seconds. 0 is any age: most providers' SDKs check none,
    /// and one that retries for hours may not sign again.
    pub max_age_seconds: u64,
    /// The largest body that is read, in bytes. A message has a few kilobytes with most providers.
    pub max_body: usize,
    /// Anyone can open the links of media, so an agent is shown them. Elsewhere they need the account's credentials, or expire.
    pub media_links_open: bool,
    /// The send API sends a text once, however often it gets the same [`Outbound::key`]. Elsewhere a text whose outcome is
    /// unknown is not sent again.
    pub supports_idempotency: bool,
    /// A send that is refused because the customer has opted out tells a wish, which is recorded as one.
    pub opt_outs_are_wishes: bool,
    /// Statuses may name a text by [`Outbound::key`], too.
    pub statuses_name_our_key: bool,
    /// `send_base_url` stands for the provider's host. Not where the account names the whole URL.
    pub takes_send_base_url: bool,
    /// It is told when an agent types, and when a chat ends.
    pub takes_signals: bool,
    /// An answer that the customer has opted out is recorded, and stands until the customer opts in: who answers so keeps no
    /// list that would know.
    pub opts_out_by_answer: bool,
}

impl Facts {
    /// What holds for most providers.
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            accepted: ("application/json", r#"{"success":true}"#),
            challenge: None,
            sends_once: false,
            signs_a_time: false,
            max_age_seconds: 0,
            max_body: 1024 * 1024,
            media_links_open: false,
            supports_idempotency: false,
            opt_outs_are_wishes: true,
            statuses_name_our_key: false,
            takes_send_base_url: true,
            takes_signals: false,
            opts_out_by_answer: false,
        }
    }
}

/// The HTTP answer to a provider.
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
    /// The answer to a verified webhook with these events: the challenge, if there is one, else [`Facts::accepted`].
    pub fn to(facts: &Facts, events: &[Event]) -> Self {
        let challenge = events.iter().find_map(|event| match event {
            Event::Challenge(text) => Some(text.clone()),
            Event::Message(_) | Event::Status(_) | Event::Ignored { .. } | Event::SubscriptionConfirmation { .. } => {
                None
            }
        });
        let (content_type, body) = match challenge {
            Some(text) => ("text/plain", Cow::Owned(text)),
            None => (facts.accepted.0, Cow::Borrowed(facts.accepted.1)),
        };
        Self { status: StatusCode::OK, content_type, body }
    }
}
