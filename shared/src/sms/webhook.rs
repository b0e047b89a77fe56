//! A webhook, before and after its sender is verified.
//!
//! [`Webhook`] is what arrived; nothing in it may be believed. [`Webhook::prove`] is the only maker of [`Proved`], and
//! providers parse only a [`Proved`]: parsing an unverified webhook does not compile.
//!
//! ```compile_fail
//! fn forge(provider: &dyn shared::sms::contract::Provider, webhook: &shared::sms::webhook::Webhook) {
//!     provider.parse(webhook);
//! }
//! ```

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use http::{HeaderMap, Method, header::CONTENT_TYPE};
use serde::de::DeserializeOwned;

pub use super::rejection::Rejection;
use crate::{
    error::{Error, Kind, Result},
    json,
    sms::{certificate::Certificate, message::plus, number::Number},
    url::BaseUrl,
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
    /// What [`Self::certificate_url`] named, once it is fetched.
    pub certificate: Option<Certificate>,
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

/// What an account's secret signed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Proof {
    /// When it was signed (Unix seconds), where the signature covers a time.
    pub signed_at: Option<i64>,
}

impl Proof {
    /// Clocks differ both ways, so a time ahead of ours counts like one behind.
    pub(crate) fn is_stale(self, now: i64, max_age_seconds: u64) -> bool {
        max_age_seconds > 0 && self.signed_at.is_some_and(|signed_at| now.abs_diff(signed_at) > max_age_seconds)
    }
}

impl Webhook {
    /// Checks the webhook, and the age of its signature where the account limits that (`max_age_seconds`, 0 for any age).
    pub fn prove(
        &self,
        verify: impl FnOnce(&Self) -> Result<Proof, Rejection>,
        max_age_seconds: u64,
    ) -> Result<Proved<'_>, Rejection> {
        let proof = verify(self)?;
        if proof.is_stale(self.now, max_age_seconds) {
            return Err(Rejection::Stale);
        }
        Ok(Proved { webhook: self, signed_at: proof.signed_at, numbers: Vec::new() })
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

    /// The public URL as configured, with the route and without the query.
    pub(super) fn url_without_query(&self) -> String {
        format!("{}{}", self.base.as_written(), self.path)
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
            .field("arrival", &self.arrival)
            .field("method", &self.method)
            .field("body_length", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A webhook whose sender is verified: what it says may be believed as far as the provider's signature covers it.
pub struct Proved<'a> {
    webhook: &'a Webhook,
    signed_at: Option<i64>,
    /// What the settings say of our addresses, of each account whose secret matches.
    numbers: Vec<&'a BTreeMap<String, Number>>,
}

impl<'a> Proved<'a> {
    /// Knows the addresses of an account whose secret matches.
    #[must_use]
    pub fn with_numbers(mut self, numbers: &'a BTreeMap<String, Number>) -> Self {
        self.numbers.push(numbers);
        self
    }

    /// The same webhook, verified by two accounts.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.signed_at = self.signed_at.or(other.signed_at);
        self.numbers.extend(other.numbers);
        self
    }

    /// Whether the settings list this address as one of ours.
    pub(super) fn lists(&self, address: &str) -> bool {
        let plus = plus(address);
        self.numbers.iter().any(|numbers| numbers.contains_key(address) || numbers.contains_key(&plus))
    }

    /// How many seconds ago it was signed (negative: in the future), where the provider signs a time.
    pub fn age_seconds(&self) -> Option<i64> {
        self.signed_at.map(|signed_at| self.webhook.now.saturating_sub(signed_at))
    }

    /// What arrived.
    pub(super) fn webhook(&self) -> &Webhook {
        self.webhook
    }

    /// The body as JSON of a known form, mended. The error repeats nothing of it.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        json::parse(&self.webhook.body)
            .map_err(|_| Error::new(Kind::Validation, "The body is not the JSON that this provider sends"))
    }
}

#[cfg(test)]
mod tests {
    use super::Proof;

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
}
