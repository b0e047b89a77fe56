//! What the providers' tests share: the vectors, a webhook to build on, and an account to try it with.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{
    error::{Error, Kind, Result},
    settings::{Account, Settings},
    sms::{
        certificate::Certificate,
        contract::Answer,
        event::{Event, Ignored},
        message::{Channel, Message},
        providers::ProviderId,
        send::{ApiCall, Outbound, Reason},
        webhook::{Arrival, Webhook},
    },
    url::BaseUrl,
};

/// The time of the tests that have none of their own.
pub(crate) const NOW: i64 = 1_790_000_000;

/// A time at which the certificates of the tests are valid: they were made after [`NOW`].
pub(crate) const CLOCK: i64 = 1_800_000_000;

/// What is sent in the tests, to the customer of their webhooks.
pub(crate) const TEXT: Outbound<'static> = Outbound {
    channel: Channel::Sms,
    from: "+12028831111",
    from_id: None,
    to: "+14133881111",
    text: "Hello & bye",
    choices: None,
    contact_id: "9f6d3b1e",
    key: "3b5f3b5f3b5f3b5f3b5f3b5f3b5f3b5f3b5f3b5f3b5f3b5f3b5f3b5f3b5f3b5f",
    status_url: None,
};

/// A request, whole: URL, content type, other headers, body.
type Sent = (String, String, Vec<(String, String)>, String);

/// The request that sends a text.
#[expect(clippy::needless_pass_by_value, reason = "tests write `send_request(json!(…), …)`")]
pub(crate) fn send_request(account: Value, text: &Outbound<'_>) -> Result<Sent> {
    let account = &accounts(json!([account]))[0];
    let ApiCall::Http(request) = account.credentials.request(text)? else { panic!("a request over HTTP") };
    let headers = request.headers.iter().map(|(name, value)| {
        assert!(value.is_sensitive(), "{name} would be logged");
        (name.to_string(), value.to_str().unwrap().to_owned())
    });
    let url = request.url(account.send_base_url.as_ref())?;
    Ok((url, request.content_type.to_owned(), headers.collect(), request.body.clone()))
}

/// Checks that an account can't send as it is set up, and that it is told why without its secrets.
pub(crate) fn assert_cannot_send(account: Value, text: &Outbound<'_>, why: &str) {
    let error = send_request(account, text).expect_err(why);
    assert_eq!(error.kind(), Kind::SendMisconfigured);
    assert_eq!(format!("{error:?}"), format!("SEND_MISCONFIGURED (caused by: {why})"));
}

/// Checks what answers mean: status, body, and the reason why the text was not taken, if it was not.
#[expect(clippy::needless_pass_by_value, reason = "tests write `assert_answers(json!(…), …)`")]
pub(crate) fn assert_answers(account: Value, answers: &[(u16, &str, Option<Reason>)]) {
    let account = &accounts(json!([account]))[0];
    for (status, body, reason) in answers {
        let outcome = account.credentials.read_answer(StatusCode::from_u16(*status).unwrap(), body.as_bytes());
        assert_eq!(outcome.err().map(|not_taken| not_taken.reason), *reason, "{status} {body}");
    }
}

/// What the owner is told of an account that works all the same.
#[expect(clippy::needless_pass_by_value, reason = "tests write `warnings(json!(…))`")]
pub(crate) fn warnings(account: Value) -> Vec<String> {
    let document = json!({ "accounts": [account] }).to_string();
    Settings::from_json(document.as_bytes()).unwrap_or_else(|error| panic!("{error:?}")).warnings().to_vec()
}

/// Accounts as the settings document would have them.
#[expect(clippy::needless_pass_by_value, reason = "tests write `accounts(json!(…))`")]
pub(crate) fn accounts(accounts: Value) -> Vec<Arc<Account>> {
    let document = json!({ "accounts": accounts }).to_string();
    Settings::from_json(document.as_bytes()).unwrap_or_else(|error| panic!("{error:?}")).accounts
}

/// Any JSON for the content of a message, with names that some provider knows and others, and without blank texts.
pub(crate) fn any_content() -> impl Strategy<Value = Value> {
    let names = "text|body|title|id|name|url|type|caption|payload|latitude|longitude|lat|long|link|product_items|quantity|\
                 response_json|nfm_reply|button_reply|phones|user_file|suggestion_response|location|[a-z]{1,6}";
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z]{1,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((names, inner), 0..5).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// Checks that something of what was accepted reaches the agent, or is left out for a reason that the documentation lists.
pub(crate) fn assert_tells_the_agent(events: &[Event]) {
    assert!(!events.is_empty());
    for event in events {
        match event {
            Event::Message(message) => {
                let is_told = !message.is_blank() || message.act.is_some() || message.opt_out.is_some();
                assert!(is_told, "nothing of {message:?} is left");
            }
            Event::Ignored { reason } => assert!(Ignored::ALL.contains(reason)),
            Event::Status(status) => assert!(!status.message_id.is_empty()),
            Event::SubscriptionConfirmation { .. } | Event::Challenge(_) => panic!("{event:?}"),
        }
    }
}

/// A webhook of `method` at a public URL; `path` begins at `/sms/`.
pub(crate) fn webhook(method: Method, url: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Webhook {
    let (base, route) = url.split_at(url.find("/sms/").expect("a URL with /sms/"));
    let (path, query) = match route.split_once('?') {
        Some((path, query)) => (path, Some(query.to_owned())),
        None => (route, None),
    };
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    Webhook {
        arrival: Arrival::Http,
        method,
        base: BaseUrl::parse(base).unwrap(),
        path: path.to_owned(),
        query,
        headers: map,
        body: body.into(),
        certificate: None,
        now: NOW,
    }
}

/// Verifies and parses.
pub(crate) fn receive(webhook: &Webhook, candidates: &[Arc<Account>]) -> Result<Vec<Event>> {
    Ok(webhook.verify(candidates)?.parse()?.into_iter().map(|(_, event)| event).collect())
}

/// What a webhook reports: id, state, code and meaning of each status. What is ignored is left out.
pub(crate) fn reported(events: &[Event]) -> Vec<String> {
    let status = |event: &Event| match event {
        Event::Status(status) => {
            let code = status.code.as_deref().unwrap_or("-");
            let meaning = status.meaning.map_or("-", |meaning| meaning.code());
            let opt_out = if status.is_opt_out { " opt-out" } else { "" };
            Some(format!("{} {} {code} {meaning}{opt_out}", status.message_id, status.state.as_str()))
        }
        _ => None,
    };
    events.iter().filter_map(status).collect()
}

/// The name of the account that a webhook belongs to.
pub(crate) fn account_name(webhook: &Webhook, candidates: &[Arc<Account>]) -> String {
    let verified = webhook.verify(candidates).unwrap_or_else(|error| panic!("{error:?}"));
    let events = verified.parse().unwrap_or_else(|error| panic!("{error:?}"));
    events[0].0.name.clone()
}

/// Verifies and parses what holds one message.
pub(crate) fn receive_one(webhook: &Webhook, candidates: &[Arc<Account>]) -> Message {
    let events = receive(webhook, candidates).unwrap_or_else(|error| panic!("{error:?}"));
    let [Event::Message(message)] = events.as_slice() else { panic!("no single message: {events:?}") };
    message.as_ref().clone()
}

/// Checks an error's kind, and that nothing of the webhook is in it.
pub(crate) fn assert_refused<T>(label: &str, result: Result<T, Error>, kind: Kind) {
    let Err(error) = result else { panic!("{label}: accepted") };
    assert_eq!(error.kind(), kind, "{label}: {error:?}");
    let shown = format!("{error} {error:?}");
    assert!(
        !shown.contains(|character: char| character.is_ascii_digit()) || kind != Kind::Unverified,
        "{label}: {shown}"
    );
}

/// Runs a file of `shared/vectors`: every accept and reject, and the normal form as a whole.
///
/// `config` becomes an account: its fields are those of the settings, except that a list's single member has the
/// singular as its name.
pub(crate) fn run_vectors(file: &str) {
    let file: Value = serde_json::from_str(file).unwrap();
    let provider: ProviderId = file["provider"].as_str().unwrap().parse().unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    assert_eq!(vectors.len() as u64, file["count"].as_u64().unwrap());
    for vector in vectors {
        run_vector(provider, vector, "expected", None);
        if vector["policy_expected"].is_string() {
            run_vector(provider, vector, "policy_expected", Some(300));
        }
    }
}

fn run_vector(provider: ProviderId, vector: &Value, expectation: &str, max_age_seconds: Option<u64>) {
    let id = vector["id"].as_str().unwrap();
    let body = STANDARD.decode(vector["body_b64"].as_str().unwrap()).unwrap();
    let headers: Vec<_> = vector["headers"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    let method = vector["method"].as_str().unwrap().parse().unwrap();
    let mut webhook = webhook(method, vector["url"].as_str().unwrap(), &headers, body);
    webhook.now = vector["now"].as_i64().unwrap_or(NOW);

    let mut account = account_of(provider, &vector["config"]);
    if let Some(max_age_seconds) = max_age_seconds {
        account.insert("max_age_seconds".to_owned(), max_age_seconds.into());
    }
    let candidates = accounts(json!([account]));
    webhook.certificate = webhook
        .certificate_url(&candidates)
        .and_then(|url| vector["config"]["cert_pem_by_url"][url].as_str())
        .map(|pem| Certificate::read(pem.as_bytes(), CLOCK).unwrap());

    let verified = webhook.verify(&candidates);
    match vector[expectation].as_str().unwrap() {
        "accept" => {
            let verified = verified.unwrap_or_else(|error| panic!("{id}: {error:?}"));
            if !vector["normalised"].is_null() {
                let events = verified.parse().unwrap_or_else(|error| panic!("{id}: {error:?}"));
                let events: Vec<_> = events.into_iter().map(|(_, event)| event).collect();
                assert_normalised(id, provider, &events, &vector["normalised"]);
            }
        }
        "reject" => assert_refused(id, verified, Kind::Unverified),
        other => panic!("{id}: {other}"),
    }
}

fn account_of(provider: ProviderId, config: &Value) -> Map<String, Value> {
    let mut account = Map::new();
    account.insert("provider".to_owned(), provider.as_str().into());
    for (name, value) in config.as_object().unwrap() {
        let (name, value) = match name.as_str() {
            "auth_token" | "signing_key" | "signing_secret" | "public_key" | "signature_secret" | "app_secret"
            | "password" => (format!("{name}s"), json!([value])),
            "secret" => ("webhook_secrets".to_owned(), json!([value])),
            "scheme" => ("signature_version".to_owned(), value.clone()),
            "cert_pem_by_url" => continue,
            _ => (name.clone(), value.clone()),
        };
        account.insert(name, value);
    }
    // A handshake's vector has no secret, since it needs none.
    if provider == ProviderId::Meta {
        account.entry("app_secrets").or_insert_with(|| json!(["unused"]));
    }
    account
}

fn assert_normalised(id: &str, provider: ProviderId, events: &[Event], expected: &Value) {
    match expected["kind"].as_str() {
        Some("verification") => {
            let answer = Answer::to(provider.facts(), events);
            assert_eq!(answer.body, expected["response_body"].as_str().unwrap(), "{id}");
            assert_eq!(u64::from(answer.status.as_u16()), expected["response_status"].as_u64().unwrap(), "{id}");
        }
        Some("subscription_confirmation") => {
            let [Event::SubscriptionConfirmation { topic_arn, token }] = events else { panic!("{id}: {events:?}") };
            assert_eq!(topic_arn, expected["topic_arn"].as_str().unwrap(), "{id}");
            assert_eq!(token.expose(), expected["token"].as_str().unwrap(), "{id}");
        }
        Some(_) => assert!(events.iter().all(|event| event.message().is_none()), "{id}: {events:?}"),
        None => {
            let messages: Vec<_> = events
                .iter()
                .filter_map(Event::message)
                .map(|message| serde_json::to_value(message).unwrap())
                .collect();
            let expected = if expected.is_array() { expected.clone() } else { json!([expected]) };
            assert_eq!(Value::Array(messages), expected, "{id}");
        }
    }
}
