//! Every reader of what strangers send, to be run on any bytes: by libFuzzer (`make fuzz`; its targets in `fuzz/` are
//! one call each) and by the story `fuzz_entry_points`, so that `make test` knows when they no longer hold or compile.
//!
//! The bytes are not the webhook but a way to make one (see `input`), which is then signed as its provider does: else
//! no mutation would ever get past the signature. A broken promise is a panic.

mod input;
mod sign;
mod templates;

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use arbitrary::{Arbitrary as _, Unstructured};
use aws_lambda_events::sqs::SqsMessage;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header::CONTENT_TYPE};
use serde_json::{Value, json};
use shared::{
    chat::{ATTRIBUTES_BYTES, CONTENT_BYTES, DISPLAY_NAME_CHARS},
    config::{self, Env},
    error::{Error, Kind},
    inbound::Inbound,
    reply::streamed::{Content, Streamed},
    settings::{Account, Settings},
    sms::{
        contract::Answer,
        event::Event,
        message::{FromKind, Media, Message},
        providers::{ProviderId, aws_sns},
        segments::{self, Limit},
        webhook::{Arrival, Webhook},
    },
    url::BaseUrl,
    verified::Verified,
    widget::request,
};

pub use self::input::{Document, Input, Shape, Signer, Template};
pub(crate) use self::sign::{hmac_of, is_timely, pairs, set, sha1, sha256, sha256_of};
use self::{
    sign::{SECRET, STRANGERS},
    templates::{CANARY, SETTINGS, STREAMED, WIDGET},
};
use crate::providers::{self, PROVIDERS, of_name};

/// Unix seconds.
pub(crate) const NOW: i64 = 1_790_000_000;
/// The topic of the accounts at AWS.
pub(crate) const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:two-way-sms";

/// How far an input came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Not verified, or not accepted.
    Refused,
    /// Verified, and still no webhook of this provider.
    Malformed,
    /// Read.
    Read {
        /// How many customers' messages were in it.
        messages: usize,
    },
}

/// Takes any bytes.
pub type Target = fn(&[u8]) -> Outcome;

/// All of them, by the names of libFuzzer's targets.
pub const TARGETS: [(&str, Target); 4] =
    [("webhook", webhook), ("settings", settings), ("widget_request", widget_request), ("streamed", streamed)];

/// A webhook of the provider that the first byte picks.
pub fn webhook(data: &[u8]) -> Outcome {
    let Some((first, rest)) = data.split_first() else { return PROVIDERS[0].fuzz(data) };
    PROVIDERS[usize::from(*first) % PROVIDERS.len()].fuzz(rest)
}

// ---- Webhooks over HTTP ---------------------------------------------------------------------------------------------

/// Several accounts of one secret at each provider, so that they are told apart too.
static ACCOUNTS: LazyLock<Settings> = LazyLock::new(|| {
    let mut accounts = Vec::new();
    for provider in providers::names() {
        for (number, mut account) in of_name(provider).fuzz_accounts(SECRET).into_iter().enumerate() {
            account["provider"] = json!(provider);
            if account["name"].is_null() {
                account["name"] = json!(format!("{provider}-{number}"));
            }
            accounts.push(account);
        }
    }
    let settings = Settings::from_json(json!({ "accounts": accounts }).to_string().as_bytes()).unwrap();
    assert_eq!(settings.warnings(), [""; 0]);
    settings
});

/// What the accounts list.
pub(crate) fn numbers() -> Value {
    json!({ "+12028831111": { "contact_flow_id": "sales" }, "+17735550003": {}, "+447700900000": {},
            "+12125550101": {} })
}

/// The accounts that a provider's webhooks are checked against.
pub fn candidates(provider: ProviderId) -> Vec<Arc<Account>> {
    ACCOUNTS.candidates(provider, None).unwrap()
}

/// The templates of the providers that post webhooks, by their names.
static TEMPLATES: LazyLock<BTreeMap<&str, Template>> =
    LazyLock::new(|| PROVIDERS.iter().rev().map(|provider| (provider.name(), provider.template())).collect());

/// What a webhook may be signed with, and what changes how one is read.
static HEADERS: LazyLock<Vec<&str>> = LazyLock::new(|| {
    let own = PROVIDERS.iter().flat_map(|provider| provider.headers()).copied();
    let mut headers: Vec<_> = own.chain(["content-type"]).collect();
    headers.sort_unstable();
    headers.dedup();
    headers
});

/// Makes a webhook of the bytes, verifies it and reads it.
pub fn receive(provider: ProviderId, data: &[u8]) -> Outcome {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else { return Outcome::Refused };
    let mut webhook = unsigned(provider, &input);
    let candidates = candidates(provider);
    let is_to_verify = match input.signer {
        Signer::Provider => of_name(provider.as_str()).sign(&mut webhook, SECRET, &input),
        Signer::Stranger => {
            of_name(provider.as_str()).sign(&mut webhook, STRANGERS, &input);
            false
        }
        Signer::Nobody => {
            webhook.headers.extend(headers(&input));
            false
        }
    };
    assert_eq!(webhook.certificate_url(&candidates), None);
    check_debug_of(&webhook);
    match webhook.verify(&candidates) {
        Ok(verified) => {
            assert!(is_to_verify, "a webhook that its provider did not sign is verified");
            read(provider, &verified)
        }
        Err(error) => {
            let is_odd = has_odd_names(&webhook);
            assert!(!is_to_verify || is_odd, "a webhook that its provider signed is refused: {error:?}");
            assert_eq!(error.kind(), Kind::Unverified);
            check_error(&error);
            Outcome::Refused
        }
    }
}

/// A webhook of this body, signed by its provider.
pub fn signed(provider: ProviderId, body: &[u8], shape: Shape) -> Webhook {
    let document = Document::of(body);
    let signer = Signer::Provider;
    let input = Input { signer, shape, way: 0, age: 0, query: None, headers: Vec::new(), pairs: Vec::new(), document };
    let mut webhook = unsigned(provider, &input);
    of_name(provider.as_str()).sign(&mut webhook, SECRET, &input);
    webhook
}

/// The texts that are read of a provider's own webhook, where the customer's is written so: in JSON, or in a form.
pub fn read_texts(provider: &dyn crate::providers::ProviderUnderTest, json: &str, form: &str) -> Vec<String> {
    let input = Input::arbitrary_take_rest(Unstructured::new(&[])).unwrap();
    let mut webhook = unsigned(provider.id(), &input);
    let body = String::from_utf8(webhook.body.to_vec()).unwrap();
    let (is, becomes) = if provider.takes_forms() { ("Hello+agent", form) } else { ("Hello agent", json) };
    assert!(body.contains(is), "{body}");
    webhook.body = body.replace(is, becomes).into();
    assert!(provider.sign(&mut webhook, SECRET, &input));
    let candidates = candidates(provider.id());
    let events = webhook.verify(&candidates).unwrap().parse().unwrap();
    events.iter().filter_map(|(_, event)| Some(event.message()?.text.clone())).collect()
}

/// Whether it has parameters that no provider sends: names with other signs than letters, digits, `-`, `_` and `.`.
fn has_odd_names(webhook: &Webhook) -> bool {
    let is_odd = |name: &str| {
        !name.starts_with(|first: char| first.is_ascii_alphabetic())
            || name.len() > 64
            || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let in_json: Value = serde_json::from_slice(&webhook.body).unwrap_or_default();
    let query = webhook.query.as_deref().unwrap_or_default().as_bytes();
    in_json.as_object().is_some_and(|object| object.keys().any(|name| is_odd(name)))
        || [query, &webhook.body].into_iter().any(|form| form_urlencoded::parse(form).any(|(name, _)| is_odd(&name)))
}

fn unsigned(provider: ProviderId, input: &Input<'_>) -> Webhook {
    let takes_forms = of_name(provider.as_str()).takes_forms();
    let template = &TEMPLATES[provider.as_str()];
    let is_query = input.shape == Shape::Query;
    let parameters = if takes_forms && input.shape != Shape::Json {
        input.document.raw().map_or_else(|| form(&input.document.edited(template), &input.pairs), <[u8]>::to_vec)
    } else {
        input.document.bytes(template)
    };
    let (query, body) = if takes_forms && is_query {
        (Some(String::from_utf8_lossy(&parameters).into_owned()), Vec::new())
    } else {
        (input.query.map(str::to_owned), parameters)
    };
    let mut headers = HeaderMap::new();
    match input.shape {
        Shape::Form => {
            drop(headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded")))
        }
        Shape::Json => drop(headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"))),
        Shape::Query => {}
    }
    Webhook {
        arrival: Arrival::Http,
        method: if is_query { Method::GET } else { Method::POST },
        base: BaseUrl::parse("https://sms.example.com/bridge").unwrap(),
        path: format!("/sms/{provider}"),
        query,
        headers,
        body: body.into(),
        certificate: None,
        now: NOW,
    }
}

/// The members that have a text, as parameters.
fn form(document: &Value, more: &[(&str, &str)]) -> Vec<u8> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in document.as_object().into_iter().flatten() {
        match value {
            Value::String(text) => drop(form.append_pair(name, text)),
            Value::Number(_) | Value::Bool(_) => drop(form.append_pair(name, &value.to_string())),
            Value::Null | Value::Array(_) | Value::Object(_) => {}
        }
    }
    form.extend_pairs(more).finish().into_bytes()
}

pub(crate) fn headers<'i>(input: &'i Input<'_>) -> impl Iterator<Item = (HeaderName, HeaderValue)> + 'i {
    input.headers.iter().filter_map(|(name, value)| {
        let name = HeaderName::from_static(HEADERS[usize::from(*name) % HEADERS.len()]);
        Some((name, HeaderValue::from_bytes(value).ok()?))
    })
}

// ---- What holds for all ---------------------------------------------------------------------------------------------

pub(crate) fn read(provider: ProviderId, verified: &Verified<'_>) -> Outcome {
    match verified.parse() {
        Ok(events) => {
            let mut messages = 0;
            for (account, event) in &events {
                check_event(event);
                if let Event::Message(message) = event {
                    check_message(account, message);
                    messages += 1;
                }
            }
            let events: Vec<_> = events.into_iter().map(|(_, event)| event).collect();
            assert!(Answer::to(provider.facts(), &events).status.is_success());
            Outcome::Read { messages }
        }
        Err(error) => {
            assert_eq!(error.kind(), Kind::Validation);
            check_error(&error);
            Outcome::Malformed
        }
    }
}

fn check_event(event: &Event) {
    match event {
        Event::Message(message) => check_debug(event, &Event::from(another(message))),
        Event::Challenge(text) => check_debug(event, &Event::Challenge("x".repeat(text.len()))),
        Event::SubscriptionConfirmation { topic_arn, .. } => assert_eq!(topic_arn, TOPIC),
        Event::Status(status) => {
            assert!(!status.message_id.trim().is_empty());
            assert!(!format!("{event:?}").contains(&status.message_id) || status.message_id.len() < 8);
        }
        Event::Ignored { .. } => {}
    }
}

/// What is queued comes back the same, and has what Connect needs and nothing that Connect refuses.
fn check_message(account: &Account, message: &Message) {
    for text in [&message.message_id, &message.from, &message.to] {
        assert!(!text.trim().is_empty());
    }
    let is_both = |media: &Media| media.url.is_some() && media.id.is_some();
    assert!(!message.media.iter().any(is_both), "a medium has a URL or an id");
    assert!(message.received_at.as_ref().is_none_or(|time| time.ends_with('Z')));
    assert!(message.from_kind != Some(FromKind::Phone));
    assert_no_nul(&serde_json::to_value(message).unwrap());

    let inbound = Inbound::new(account, message.clone());
    let item = inbound.to_item().unwrap();
    let back = Inbound::from_item(&item).unwrap();
    assert!(back.message == inbound.message, "{item} came back as {}", back.to_item().unwrap());
    assert_eq!(back.to_item().unwrap(), item);
    for id in [inbound.group_id(), inbound.deduplication_id()] {
        assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}

fn assert_no_nul(value: &Value) {
    match value {
        Value::String(text) => assert!(!text.contains('\0'), "a NUL character"),
        Value::Array(items) => items.iter().for_each(assert_no_nul),
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            assert!(!name.contains('\0'), "a NUL character");
            assert_no_nul(member);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The same message of another customer with other words: with its ids, kinds and lengths, which logs may show.
fn another(message: &Message) -> Message {
    Message {
        from: "x".into(),
        to: "x".into(),
        text: "x".repeat(message.text.len()),
        media: vec![Media::default(); message.media.len()],
        keyword: None,
        in_reply_to: None,
        button_payload: None,
        location: None,
        concat: None,
        profile_name: None,
        to_all: None,
        alt_ids: None,
        ..message.clone()
    }
}

/// What a log shows of one must be what it shows of the other. To look for the hidden texts themselves would not do:
/// "Message" is a text that a customer may write.
fn check_debug<T: std::fmt::Debug>(one: &T, other: &T) {
    assert_eq!(format!("{one:?} {one:#?}"), format!("{other:?} {other:#?}"));
}

pub(crate) fn check_debug_of(webhook: &Webhook) {
    let other = Webhook {
        path: String::new(),
        query: None,
        headers: HeaderMap::new(),
        body: vec![0; webhook.body.len()].into(),
        ..webhook.clone()
    };
    check_debug(webhook, &other);
}

/// It is made of fixed words, so there is no number of a customer in it.
pub(crate) fn check_error(error: &Error) {
    let shown = format!("{error} {error:?}");
    let is_number = |digits: &[u8]| digits.iter().all(u8::is_ascii_digit);
    assert!(!shown.as_bytes().windows(4).any(is_number), "{shown}");
}

// ---- Other documents ------------------------------------------------------------------------------------------------

/// The settings document.
pub fn settings(data: &[u8]) -> Outcome {
    let Ok(document) = Document::arbitrary_take_rest(Unstructured::new(data)) else { return Outcome::Refused };
    match Settings::from_json(&document.bytes(&SETTINGS)) {
        Ok(settings) => {
            let shown = format!("{settings:?} {:?} {:?}", settings.accounts, settings.warnings());
            assert!(!shown.contains(CANARY), "{shown}");
            for account in &settings.accounts {
                assert!(Arc::ptr_eq(settings.account(&account.name).unwrap(), account), "two accounts of one name");
                let candidates = settings.candidates(account.provider(), Some(&account.name)).unwrap();
                let webhook = Webhook { arrival: Arrival::Http, ..aws_sns::from_event("", NOW) };
                assert!(webhook.verify(&candidates).is_err(), "nothing at all is verified");
            }
            Outcome::Read { messages: 0 }
        }
        Err(error) => {
            assert_eq!(error.kind(), Kind::SettingsUnavailable);
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains(CANARY), "{shown}");
            Outcome::Refused
        }
    }
}

static WIDGET_CONFIG: LazyLock<config::StartChat> = LazyLock::new(|| {
    let mut environment = crate::environment();
    environment.push(("STREAMING_TOPIC_ARN", crate::TOPIC.to_owned()));
    environment.push(("EXTRA_CONTACT_FLOW_IDS", "extra".to_owned()));
    environment.push(("UNSIGNED_IDENTITY", "true".to_owned()));
    let lookup = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
    config::StartChat::read(&Env::new(&lookup)).unwrap()
});

/// A widget's request.
pub fn widget_request(data: &[u8]) -> Outcome {
    let Ok(document) = Document::arbitrary_take_rest(Unstructured::new(data)) else { return Outcome::Refused };
    match request::read(&document.bytes(&WIDGET), None, &WIDGET_CONFIG) {
        Ok(request) => {
            let chat = &request.chat;
            assert!([crate::FLOW, "extra"].contains(&chat.contact_flow_id.as_str()));
            assert!(chat.streaming_endpoint_arn.as_deref().is_none_or(|arn| arn == crate::TOPIC));
            assert!(DISPLAY_NAME_CHARS.contains(&chat.display_name.chars().count()));
            assert!(
                chat.attributes.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>() <= ATTRIBUTES_BYTES
            );
            assert!(chat.initial_message.as_ref().is_none_or(|message| CONTENT_BYTES.contains(&message.content.len())));
            assert!(chat.persistent.is_none() || chat.related_contact_id.is_none());
            assert_no_nul(&serde_json::to_value(chat).unwrap());
            Outcome::Read { messages: 0 }
        }
        Err(error) => {
            let kinds = [Kind::Validation, Kind::InstanceNotAllowed, Kind::FlowNotAllowed, Kind::StreamingNotAllowed];
            assert!(kinds.contains(&error.kind()) && error.field().is_some(), "{error:?}");
            Outcome::Refused
        }
    }
}

/// An item of a chat, as Connect streams it; what is for the customer is split as every provider wants it.
pub fn streamed(data: &[u8]) -> Outcome {
    let Ok(document) = Document::arbitrary_take_rest(Unstructured::new(data)) else { return Outcome::Refused };
    let mut message = SqsMessage::default();
    message.body = Some(String::from_utf8_lossy(&document.bytes(&STREAMED)).into_owned());
    let visibility = json!({ "MessageVisibility": { "stringValue": "ALL", "dataType": "String" } });
    message.message_attributes = serde_json::from_value(visibility).unwrap();
    let read = Streamed::read(&message).map(|streamed| (streamed.content(), streamed));
    match read {
        Ok((Content::Text(text), streamed)) => {
            assert!(!streamed.id.is_empty() && !streamed.initial_contact_id.is_empty());
            for limit in [Limit::Units(1_600), Limit::Segments(10), Limit::Characters(4_096), Limit::Units(20)] {
                let parts = segments::split(&text, limit);
                let words = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
                assert_eq!(words(&parts.concat()), words(&text), "{limit:?}");
                assert!(parts.iter().all(|part| !part.trim().is_empty()), "{limit:?}");
            }
            Outcome::Read { messages: 1 }
        }
        Ok(_) => Outcome::Read { messages: 0 },
        Err(error) => {
            assert_eq!(error.kind(), Kind::Validation);
            assert!(!error.message().contains(CANARY), "{error:?}");
            Outcome::Refused
        }
    }
}
