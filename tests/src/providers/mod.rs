//! The providers under test: a file for each says what the stories need to know of it. To add one, see
//! `docs/development.md`.
//!
//! The send APIs of all are served by [`Providers`].

mod aws_sns;
mod bandwidth;
mod bird;
mod cxml;
mod infobip;
mod messagebird;
mod meta;
mod plivo;
mod server;
mod signalwire;
mod sinch;
mod telnyx;
mod twilio;
mod vonage;
mod vonage_messages;
mod webhook;

use std::fmt;

use local::sign;
use serde_json::{Value, json};
use shared::{
    Kind,
    sms::{message::Channel, providers::ProviderId, segments::Limit, webhook::Webhook},
};

pub use self::{
    server::{Call, Providers, Reply, nobody},
    twilio::SMS as TWILIO,
};
use crate::{
    aws::OURS,
    fuzz::{self, Input, Outcome, Template},
};

macro_rules! table {
    ($($name:ident => $file:ident,)*) => {
        /// All providers. AWS is there twice: SMS and WhatsApp are two APIs of one account.
        pub const PROVIDERS: &[&dyn ProviderUnderTest] = &[$(&$file::$name,)* &aws_sns::AwsSocial];
    };
}

shared::for_each_provider!(table);

/// What the stories need to know of a provider, by its documentation.
pub trait ProviderUnderTest: Sync {
    /// Whose API it is.
    fn id(&self) -> ProviderId;

    /// Its account in the settings, without `provider` and `send_base_url`. `secret` verifies webhooks, and is part of
    /// every credential.
    fn account(&self, secret: &str) -> Value;

    /// Has the account send to a server.
    fn send_to(&self, account: &mut Value, base: &str) {
        account["send_base_url"] = json!(base);
    }

    /// A line for each network that is addressed in a way of its own. The first one is labelled as the API.
    fn lines(&self) -> &'static [Line];

    /// The longest text that one request may carry.
    fn limit(&self, channel: Channel) -> Limit;

    // ---- The send API ---------------------------------------------------------------------------------------------

    /// The request that brings a text to the line's customer, as [`Call::whole`] shows it.
    fn request(&self, line: &Line, text: &str) -> Value;

    /// Where in the request's body the text is (RFC 6901).
    fn text_at(&self) -> &'static str;

    /// Asserts what [`Call::whole`] leaves out: the signature of a request.
    fn assert_signed(&self, _call: &Call) {}

    /// The answer to a text that is taken.
    fn taken(&self) -> Reply;

    /// The answer where the destination is no number. It quotes the customer's number.
    fn refused(&self) -> Reply;

    /// The answer where the customer has opted out. `None`: the provider reports it later, or never.
    fn opted_out(&self) -> Option<Reply> {
        None
    }

    /// The answer to too many requests.
    fn throttled(&self) -> Reply {
        Reply::status(429)
    }

    /// What a status means, where that is not as usual.
    fn means(&self, _status: u16, usual: Kind) -> Kind {
        usual
    }

    /// The answer where the provider itself says that it did not take the text, and why.
    fn unavailable(&self) -> Reply {
        Reply::status(500)
    }

    /// The provider sends a text once, however often it gets the same key.
    fn supports_idempotency(&self) -> bool {
        false
    }

    /// A 2xx does not yet say that the text was taken: the body does.
    fn tells_failures_by_2xx(&self) -> bool {
        false
    }

    /// The AWS SDK calls it, which reads no `Retry-After`.
    fn is_called_by_sdk(&self) -> bool {
        false
    }

    // ---- Files ------------------------------------------------------------------------------------------------------

    /// A customer's picture, and how it is fetched. None: there is none, or nothing here can stand for where it is.
    fn picture(&self, _base: &str) -> Option<Picture> {
        None
    }

    /// The request that brings an agent's picture to the line's customer, as [`Call::whole`] shows it: by its URL, or by the id
    /// `uploaded`. None: the API carries no files.
    fn file_request(&self, _line: &Line, _url: &str) -> Option<Value> {
        None
    }

    /// Where a file is uploaded before that.
    fn upload_path(&self) -> Option<&'static str> {
        None
    }

    // ---- Statuses ---------------------------------------------------------------------------------------------------

    /// The id of the text in the answer of [`Self::taken`].
    fn message_id(&self) -> &'static str;

    /// The answer to a text that is taken and gets this id.
    fn taken_as(&self, id: &str) -> Reply {
        self.taken().with(self.message_id(), id)
    }

    /// The body of the provider's report on the text of this id, as [`local::sign`] posts it.
    fn report(&self, id: &str, report: Report<'_>) -> String;

    /// A code of each class of failure that the provider tells, and what the agent reads of it.
    fn failures(&self) -> &'static [(&'static str, &'static str)];

    /// The code which says that the customer has opted out.
    fn opt_out_code(&self) -> Option<&'static str> {
        None
    }

    /// It reports that a customer has read a text.
    fn reports_reads(&self) -> bool {
        false
    }

    /// What asks for reports to a URL: places in the request's body (RFC 6901), and what stands there. Empty where the
    /// account is set up for that.
    fn asks(&self, _url: &str) -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    // ---- Webhooks ---------------------------------------------------------------------------------------------------

    /// The headers that verify a webhook, or change how it is read.
    fn headers(&self) -> &'static [&'static str];

    /// A webhook's document with as much in it as the reader knows, for fuzzing.
    fn template(&self) -> Template;

    /// The account's field that the `config` of a vector means by this name. A secret alone stands for a rotation list,
    /// whose name is the plural.
    fn field_of<'a>(&self, config: &'a str) -> &'a str {
        config
    }

    /// Webhooks may be forms, or queries of a GET.
    fn takes_forms(&self) -> bool {
        false
    }

    /// Accounts for fuzzing, all with this secret: several, so that they are told apart too.
    fn fuzz_accounts(&self, secret: &str) -> Vec<Value> {
        let [mut first, mut second] = [self.account(secret), self.account(secret)];
        if self.id().facts().signs_a_time {
            first["max_age_seconds"] = json!(300);
            second["max_age_seconds"] = json!(300);
        }
        second["numbers"] = fuzz::numbers();
        vec![first, second]
    }

    /// Signs a webhook in one of the provider's ways. Whether an account of the secret must now believe it: if not, no
    /// such webhook comes from the provider. Without more, as the stand-in's phone signs.
    fn sign(&self, webhook: &mut Webhook, secret: &str, input: &Input<'_>) -> bool {
        let account = with_provider(self.id().as_str(), self.account(secret));
        let at = jiff::Timestamp::from_second(webhook.now - i64::from(input.age)).unwrap();
        let Ok(body) = String::from_utf8(webhook.body.to_vec()) else { return false };
        let Ok(signed) = sign(&account, body, "https://sms.example.com/bridge", at) else { return false };
        for (name, value) in signed.headers.iter().filter(|(name, _)| *name != "content-type") {
            fuzz::set(webhook, name, value);
        }
        webhook.path = signed.path;
        webhook.body = signed.body.into();
        !self.id().facts().signs_a_time || fuzz::is_timely(input)
    }

    /// Runs the fuzz target on some bytes.
    fn fuzz(&self, data: &[u8]) -> Outcome {
        fuzz::receive(self.id(), data)
    }

    // ---- What follows from the above --------------------------------------------------------------------------------

    /// Its name in routes and settings.
    fn name(&self) -> &'static str {
        self.id().as_str()
    }

    /// Its usual line.
    fn line(&self) -> Line {
        self.lines()[0]
    }

    /// What a failing story calls it.
    fn label(&self) -> &'static str {
        self.line().label
    }
}

impl fmt::Debug for dyn ProviderUnderTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// A customer's picture.
pub struct Picture {
    /// In the normal form of messages.
    pub media: Value,
    /// The requests that fetch it: path, with its query, and `Authorization`.
    pub gets: Vec<(String, Option<String>)>,
    /// What they are answered with.
    pub answers: Vec<Reply>,
}

impl Picture {
    /// At a URL, for credentials.
    pub fn at(url: &str, path: &str, authorization: Option<&str>) -> Option<Self> {
        Some(Self {
            media: json!({ "url": url, "content_type": "image/png" }),
            gets: vec![(path.to_owned(), authorization.map(str::to_owned))],
            answers: vec![Reply::new(200, PICTURE)],
        })
    }
}

/// What stands for the bytes of a picture.
pub const PICTURE: &str = "\u{1}PNG of a mug";

/// What a provider reports of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report<'a> {
    /// It is on its way.
    Sent,
    /// The phone has it.
    Delivered,
    /// The customer has read it. Only where [`ProviderUnderTest::reports_reads`].
    Read,
    /// It failed, with this code.
    Failed(&'a str),
}

/// Whose texts a story is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// What a failing story calls it.
    pub label: &'static str,
    /// The provider, which is also the account's name.
    pub provider: &'static str,
    /// The network.
    pub channel: Channel,
    /// Our address.
    pub ours: &'static str,
    /// The provider's own id of our address.
    pub ours_id: Option<&'static str>,
    /// The customer's address.
    pub customer: &'static str,
}

impl Line {
    /// A line for SMS.
    const fn sms(provider: &'static str) -> Self {
        Self { label: provider, provider, channel: Channel::Sms, ours: OURS, ours_id: None, customer: "+14155550101" }
    }

    /// A line for WhatsApp.
    const fn whatsapp(label: &'static str, provider: &'static str) -> Self {
        Self { label, channel: Channel::Whatsapp, ..Self::sms(provider) }
    }

    /// The API that its texts go through.
    pub fn api(&self) -> &'static dyn ProviderUnderTest {
        let has_line = |api: &&&dyn ProviderUnderTest| api.lines().iter().any(|line| line.label == self.label);
        *PROVIDERS.iter().find(has_line).unwrap_or_else(|| panic!("no provider has the line {}", self.label))
    }
}

/// The lines of all providers.
pub fn lines() -> Vec<Line> {
    PROVIDERS.iter().flat_map(|provider| provider.lines()).copied().collect()
}

/// The line of this label.
pub fn line(label: &str) -> Line {
    lines().into_iter().find(|line| line.label == label).unwrap_or_else(|| panic!("no line {label}"))
}

/// The provider of this name: of AWS's two APIs SMS.
pub fn of_name(name: &str) -> &'static dyn ProviderUnderTest {
    *PROVIDERS.iter().find(|provider| provider.name() == name).unwrap_or_else(|| panic!("no such provider: {name}"))
}

/// The names of all providers, each once.
pub fn names() -> Vec<&'static str> {
    ProviderId::ALL.iter().map(|provider| provider.as_str()).collect()
}

/// What every secret of [`Providers::accounts`] has in it.
pub const SECRET: &str = "s3cret";

/// An account in the settings, named as its provider.
pub fn account(provider: &str, send_base_url: &str) -> Value {
    let mut account = account_with(provider, SECRET);
    of_name(provider).send_to(&mut account, send_base_url);
    account
}

/// An account whose every credential has this secret in it, where its form allows that.
pub fn account_with(provider: &str, secret: &str) -> Value {
    with_provider(provider, of_name(provider).account(secret))
}

fn with_provider(provider: &str, mut account: Value) -> Value {
    account["provider"] = json!(provider);
    account
}

/// A POST, as [`Call::whole`] shows it.
fn post(path: &str, headers: Value, body: Value) -> Value {
    json!({ "request": format!("POST {path}"), "query": "", "headers": headers, "body": body })
}

/// A POST of JSON with a bearer token.
fn post_json(path: &str, authorization: &str, body: Value) -> Value {
    post(path, json!({ "authorization": authorization, "content-type": "application/json" }), body)
}

/// What a refusal says: it quotes the customer's number, which no log may show.
const QUOTES_THE_NUMBER: &str = "+14133881111 can't be texted";

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use super::*;

    #[test]
    fn the_table_agrees_with_the_facts() {
        let labels: BTreeSet<_> = lines().iter().map(|line| line.label).collect();
        assert_eq!(labels.len(), lines().len(), "each line has a label of its own");
        for provider in PROVIDERS {
            let facts = provider.id().facts();
            assert_eq!(provider.supports_idempotency(), facts.supports_idempotency, "{}", provider.label());
            assert!(provider.lines().iter().all(|line| line.provider == provider.name()), "{}", provider.label());
        }
    }

    /// `tests/smoke.py` finds the providers by their folders, and openapi.yaml lists them.
    #[test]
    fn folders_and_documents_name_the_providers() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let names: BTreeSet<String> = ProviderId::ALL.iter().map(|provider| provider.to_string()).collect();
        let folders = std::fs::read_dir(root.join("shared/src/sms/providers")).unwrap().map(|entry| entry.unwrap());
        let folders = folders.filter(|entry| entry.file_type().unwrap().is_dir());
        let folders: BTreeSet<_> =
            folders.map(|entry| entry.file_name().into_string().unwrap().replace('_', "-")).collect();
        assert_eq!(folders, names);
        let openapi = std::fs::read_to_string(root.join("openapi.yaml")).unwrap();
        let (_, listed) = openapi.split_once("enum: [twilio, ").unwrap();
        let (listed, _) = listed.split_once(']').unwrap();
        let listed: BTreeSet<_> = listed.split(", ").chain(["twilio"]).map(str::to_owned).collect();
        assert!(listed.is_superset(&names), "openapi.yaml lists {listed:?}");
    }
}
