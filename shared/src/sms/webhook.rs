//! A webhook, before and after it is proved.
//!
//! [`Webhook`] is what arrived; nothing in it may be believed. [`Webhook::verify`] is the only maker of [`Verified`],
//! and only a [`Verified`] can be parsed: handing an unproved webhook on does not compile.
//!
//! ```compile_fail
//! fn forge(webhook: shared::sms::webhook::Webhook) -> Vec<shared::sms::message::Event> {
//!     webhook.parse().unwrap()
//! }
//! ```

use std::{cmp::Reverse, fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Method, header::CONTENT_TYPE};
use serde::de::DeserializeOwned;

use super::{
    aws_sns::Certificate,
    message::{Event, Message},
    opt_out,
    provider::Provider,
    url::BaseUrl,
};
use crate::{
    error::{Error, Kind, Result},
    settings::Account,
};

/// Who handed us the webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Anyone who knows the URL.
    Http,
    /// AWS itself, as a Lambda event of a queue or topic that the owner connected: IAM has proved the sender. Only the
    /// AWS SNS provider knows this; to all others it proves nothing.
    AwsEvent,
}

/// What arrived, unverified.
#[derive(Clone)]
pub struct Webhook {
    /// From the route.
    pub provider: Provider,
    /// How it came.
    pub arrival: Arrival,
    /// The method.
    pub method: Method,
    /// The public URL before the route.
    pub base: BaseUrl,
    /// The route as it was requested, undecoded: `/sms/twilio/us`.
    pub path: String,
    /// The query as it was requested, undecoded; `None` where there is none.
    pub query: Option<String>,
    /// All headers.
    pub headers: HeaderMap,
    /// The body's bytes.
    pub body: Bytes,
    /// Unix seconds.
    pub now: i64,
}

/// How the parameters came. Verification and parsing must agree on it, so it is decided here, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// In the query.
    Query,
    /// As JSON in the body.
    Json,
    /// As a form in the body; also whatever has no type that we know.
    Form,
}

/// What an account's secret proved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Proof {
    /// When it was signed (Unix seconds), where the signature covers a time.
    pub(super) signed_at: Option<i64>,
}

impl Proof {
    /// Clocks differ both ways, so a time ahead of ours counts like one behind.
    fn is_stale(self, now: i64, max_age_seconds: u64) -> bool {
        max_age_seconds > 0 && self.signed_at.is_some_and(|signed_at| now.abs_diff(signed_at) > max_age_seconds)
    }
}

/// Why a webhook is not proved. In the order of how close it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection {
    /// No signature or credentials.
    Missing,
    /// Something is there that is no signature of this provider, or does not cover the body.
    Malformed,
    /// It matches no secret. A rotation looks like this too: settings may be read again.
    Mismatch,
    /// It matches, and is older (or newer) than the account allows.
    Stale,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "no signature",
            Self::Malformed => "malformed signature",
            Self::Mismatch => "wrong signature",
            Self::Stale => "signature outside its time",
        })
    }
}

impl std::error::Error for Rejection {}

impl Rejection {
    /// The rejection behind an error of [`Webhook::verify`], if it is one.
    pub fn of(error: &Error) -> Option<Self> {
        std::error::Error::source(error)?.downcast_ref().copied()
    }

    /// Whether newer settings could change it.
    pub fn may_be_rotation(self) -> bool {
        self == Self::Mismatch
    }
}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        Self::new(Kind::Unverified, "The webhook's sender could not be verified").caused_by(rejection)
    }
}

impl Webhook {
    /// Proves who sent it. `candidates` are [`crate::settings::Settings::candidates`]; `certificate` is what
    /// [`Self::certificate_url`] named, if it named one.
    ///
    /// Accounts whose secret matches are tried against each other only where several do: see
    /// [`Verified::account_of`].
    pub fn verify(&self, candidates: &[Arc<Account>], certificate: Option<&Certificate>) -> Result<Verified<'_>> {
        if self.method != Method::POST && self.method != Method::GET {
            return Err(Error::new(Kind::MethodNotAllowed, "Webhooks are POST or GET"));
        }
        if self.body.len() > self.provider.max_body() {
            return Err(Error::new(Kind::Validation, "The body is too large"));
        }
        let mut closest = Rejection::Missing;
        let mut accounts = Vec::new();
        let mut signed_at = None;
        for account in candidates.iter().filter(|account| account.provider() == self.provider) {
            match self.prove(account, certificate) {
                Ok(proof) => {
                    signed_at = signed_at.or(proof.signed_at);
                    accounts.push(Arc::clone(account));
                }
                Err(rejection) => closest = closest.max(rejection),
            }
        }
        if accounts.is_empty() {
            return Err(closest.into());
        }
        let mut verified = Verified { webhook: self, accounts, signed_at };
        verified.settle();
        Ok(verified)
    }

    fn prove(&self, account: &Account, certificate: Option<&Certificate>) -> Result<Proof, Rejection> {
        let proof = account.credentials.verify(self, certificate)?;
        if proof.is_stale(self.now, account.max_age_seconds) { Err(Rejection::Stale) } else { Ok(proof) }
    }

    /// Where the certificate is that [`Self::verify`] will need: only for AWS SNS, and only once the topic is one of a
    /// candidate's and the URL is one of AWS's for that topic. `None` otherwise; then verification fails by itself.
    pub fn certificate_url(&self, candidates: &[Arc<Account>]) -> Option<String> {
        if self.body.len() > self.provider.max_body() {
            return None;
        }
        candidates
            .iter()
            .filter(|account| account.provider() == self.provider)
            .find_map(|account| account.credentials.certificate_url(self))
    }

    /// The public URL with route and query, in the forms that a provider may have signed: without a port, and with one.
    /// Both SDKs of Twilio try these two, and so does SignalWire's.
    pub(super) fn urls_by_port(&self) -> [String; 2] {
        [self.base.without_port(), self.base.with_port()].map(|base| self.url_at(base))
    }

    fn url_at(&self, mut url: String) -> String {
        url.push_str(&self.path);
        // Some gateways say "" for none, and twilio-python drops a lone question mark.
        if let Some(query) = self.query.as_deref().filter(|query| !query.is_empty()) {
            url.push('?');
            url.push_str(query);
        }
        url
    }

    /// The public URL as configured, with route and query.
    pub fn url(&self) -> String {
        self.url_at(self.base.as_written())
    }

    /// The one value of a header. Several are refused: which one would count?
    pub(super) fn header(&self, name: &'static str) -> Result<&str, Rejection> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().ok_or(Rejection::Missing)?;
        if values.next().is_some() {
            return Err(Rejection::Malformed);
        }
        let text = value.to_str().map_err(|_| Rejection::Malformed)?.trim();
        if text.is_empty() { Err(Rejection::Missing) } else { Ok(text) }
    }

    pub(super) fn shape(&self) -> Shape {
        if self.method == Method::GET {
            return Shape::Query;
        }
        let content_type = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if essence == "application/json" || essence.ends_with("+json") { Shape::Json } else { Shape::Form }
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("provider", &self.provider)
            .field("arrival", &self.arrival)
            .field("method", &self.method)
            .field("body_length", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A webhook that a secret of one of our accounts has proved.
pub struct Verified<'a> {
    webhook: &'a Webhook,
    /// Those whose secret matches, never none, best first.
    accounts: Vec<Arc<Account>>,
    signed_at: Option<i64>,
}

impl Verified<'_> {
    /// What it says. A message's account is [`Self::account_of`].
    pub fn parse(&self) -> Result<Vec<Event>> {
        let mut events = finish(self.account().credentials.parse(self)?)?;
        for event in &mut events {
            if let Event::Message(message) = event {
                opt_out::recognise(message, &self.account_of(message).opt_out_words);
            }
        }
        Ok(events)
    }

    /// The account of the webhook: of its first message, where secrets alone don't tell.
    #[expect(clippy::indexing_slicing, reason = "made by `Webhook::verify`, which refuses to make it with no account")]
    pub fn account(&self) -> &Arc<Account> {
        &self.accounts[0]
    }

    /// The account of one message. Accounts may share a secret (two numbers of one project, two numbers of one Meta
    /// app); then the one that the payload names wins, then the one that lists our number, then the first.
    pub fn account_of(&self, message: &Message) -> &Arc<Account> {
        self.accounts.iter().min_by_key(|account| Reverse(self.fit(account, message))).unwrap_or_else(|| self.account())
    }

    fn fit(&self, account: &Account, message: &Message) -> (u8, u8) {
        let rank = |named: Option<bool>| match named {
            Some(true) => 2,
            None => 1,
            Some(false) => 0,
        };
        let lists_number = (!account.numbers.is_empty()).then(|| account.number(&message.to).is_some());
        (rank(account.credentials.is_named(self, message)), rank(lists_number))
    }

    /// Puts the best account first. What can't be read stays with the first, and fails when it is parsed.
    fn settle(&mut self) {
        if self.accounts.len() < 2 {
            return;
        }
        let Ok(events) = self.account().credentials.parse(self) else { return };
        let Some(message) = events.iter().find_map(Event::message) else { return };
        let best = Arc::clone(self.account_of(message));
        self.accounts.sort_by_key(|account| !Arc::ptr_eq(account, &best));
    }

    /// How many seconds ago it was signed (negative: in the future), where the provider signs a time. For the log where
    /// the account allows any age.
    pub fn age_seconds(&self) -> Option<i64> {
        self.signed_at.map(|signed_at| self.webhook.now.saturating_sub(signed_at))
    }

    /// The provider.
    pub fn provider(&self) -> Provider {
        self.webhook.provider
    }

    /// What arrived, which now may be believed as far as the provider's signature covers it.
    pub(super) fn webhook(&self) -> &Webhook {
        self.webhook
    }

    /// The body as JSON of a known form. The error repeats nothing of it.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(&self.webhook.body)
            .map_err(|_| Error::new(Kind::Validation, "The body is not the JSON that this provider sends"))
    }
}

/// Brings messages to what holds for all. One that can't be must not hold up the others of a batch.
fn finish(mut events: Vec<Event>) -> Result<Vec<Event>> {
    let is_batch = events.len() > 1;
    for event in &mut events {
        let Event::Message(message) = event else { continue };
        match message.finish() {
            Ok(()) => {}
            Err(_) if is_batch => *event = Event::ignored("malformed message"),
            Err(error) => return Err(error),
        }
    }
    Ok(events)
}

impl fmt::Debug for Verified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("webhook", &self.webhook).field("account", &self.account().name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::{Proof, finish};
    use crate::sms::message::{Channel, Event, Message};

    #[test]
    fn age_is_checked_both_ways_where_an_account_wants_it() {
        for (signed_at, max_age, stale) in [
            (Some(700), 300, false),
            (Some(699), 300, true),
            (Some(1300), 300, false),
            (Some(1301), 300, true),
            (Some(0), 0, false),
            (Some(i64::MIN), 300, true),
            (Some(i64::MAX), u64::MAX, false),
            (None, 300, false),
        ] {
            assert_eq!(Proof { signed_at }.is_stale(1000, max_age), stale, "{signed_at:?} {max_age}");
        }
    }

    #[test]
    fn a_malformed_message_holds_up_no_other() {
        let message =
            |id: &str| Event::from(Message::new("meta", Channel::Whatsapp, id, "+14155550100", "+12025550100"));
        let events = finish(vec![message("1"), message(""), message("3")]).unwrap();
        assert_eq!(events, [message("1"), Event::ignored("malformed message"), message("3")]);
        assert!(finish(vec![message("")]).is_err());
        assert!(finish(Vec::new()).unwrap().is_empty());
    }
}
