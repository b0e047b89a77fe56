//! Every reader of what strangers send, to be run on any bytes: by libFuzzer (`make fuzz`; its targets in `fuzz/` are
//! one call each) and by the story `fuzz_entry_points`, so that `make test` knows when they no longer hold or compile.
//!
//! The bytes are not the webhook but a way to make one (see `input`), which is then signed as its provider does: else
//! no mutation would ever get past the signature. A broken promise is a panic.

mod input;
mod sign;
mod templates;

use std::sync::{Arc, LazyLock};

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
        certificate::Certificate,
        contract::Answer,
        message::{Event, FromKind, Media, Message},
        providers::{ProviderId, aws_sns},
        segments::{self, Limit},
        webhook::{Arrival, Webhook},
    },
    url::BaseUrl,
    verified::Verified,
    widget::request,
};

use self::{
    input::{Document, Input, Shape, Signer, Template},
    sign::{KEY_ID, SECRET, STRANGERS, VONAGE_METHODS, sign, telnyx_public_key},
    templates::{
        AWS_SMS, CANARY, ENVELOPE, META, META_ENTRY, SETTINGS, SIGNALWIRE, STREAMED, TELNYX, TOPIC, TWILIO, VONAGE,
        VONAGE_MESSAGES, WIDGET,
    },
};

/// Unix seconds.
const NOW: i64 = 1_790_000_000;
/// A time at which the test certificate, which is younger than that, is valid.
const CLOCK: i64 = 1_800_000_000;
const CERTIFICATE: &[u8] = include_bytes!("../../shared/src/sms/providers/aws_sns/fixtures/test-only.cert.pem");

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
pub const TARGETS: [(&str, Target); 11] = [
    ("twilio", twilio),
    ("signalwire", signalwire),
    ("telnyx", telnyx),
    ("vonage", vonage),
    ("vonage_messages", vonage_messages),
    ("meta", meta),
    ("aws_sns", aws_sns),
    ("aws_social", aws_social),
    ("settings", settings),
    ("widget_request", widget_request),
    ("streamed", streamed),
];

/// A webhook of Twilio.
pub fn twilio(data: &[u8]) -> Outcome {
    receive(ProviderId::Twilio, data)
}

/// A webhook of SignalWire.
pub fn signalwire(data: &[u8]) -> Outcome {
    receive(ProviderId::Signalwire, data)
}

/// A webhook of Telnyx.
pub fn telnyx(data: &[u8]) -> Outcome {
    receive(ProviderId::Telnyx, data)
}

/// A webhook of Vonage's SMS API.
pub fn vonage(data: &[u8]) -> Outcome {
    receive(ProviderId::Vonage, data)
}

/// A webhook of Vonage's Messages API.
pub fn vonage_messages(data: &[u8]) -> Outcome {
    receive(ProviderId::VonageMessages, data)
}

/// A webhook of Meta.
pub fn meta(data: &[u8]) -> Outcome {
    receive(ProviderId::Meta, data)
}

/// An SMS that SNS carries.
pub fn aws_sns(data: &[u8]) -> Outcome {
    receive_event(data, |document| String::from_utf8_lossy(&document.bytes(&AWS_SMS)).into_owned())
}

/// WhatsApp that SNS carries: one JSON text within another.
pub fn aws_social(data: &[u8]) -> Outcome {
    receive_event(data, |document| {
        json!({ "whatsAppWebhookEntry": String::from_utf8_lossy(&document.bytes(&META_ENTRY)) }).to_string()
    })
}

// ---- Webhooks over HTTP ---------------------------------------------------------------------------------------------

/// Several accounts of one secret each, so that they are told apart too.
static ACCOUNTS: LazyLock<Settings> = LazyLock::new(|| {
    let secrets = [SECRET];
    let numbers = json!({ "+12028831111": { "contact_flow_id": "sales" }, "+17735550003": {}, "+447700900000": {},
                          "+12125550101": {} });
    let mut accounts = vec![
        json!({ "name": "t1", "provider": "twilio", "auth_tokens": secrets, "shared_keys": { KEY_ID: SECRET } }),
        json!({ "name": "t2", "provider": "twilio", "auth_tokens": secrets, "shared_keys": { KEY_ID: SECRET },
                "account_sid": "AC00000000000000000000000000000001", "numbers": numbers }),
        json!({ "name": "s1", "provider": "signalwire", "signing_keys": secrets, "numbers": numbers }),
        json!({ "name": "s2", "provider": "signalwire", "signing_keys": secrets, "project_id": "720796a0" }),
        json!({ "name": "x1", "provider": "telnyx", "public_keys": [telnyx_public_key()] }),
        json!({ "name": "x2", "provider": "telnyx", "public_keys": [telnyx_public_key()], "numbers": numbers }),
        json!({ "name": "v1", "provider": "vonage-messages", "signature_secrets": secrets }),
        json!({ "name": "v2", "provider": "vonage-messages", "signature_secrets": secrets, "api_key": "abcd1234",
                "application_id": "aaaaaaaa-bbbb-cccc-dddd-0123456789ab", "numbers": numbers }),
        json!({ "name": "m1", "provider": "meta", "app_secrets": secrets, "verify_token": SECRET }),
        json!({ "name": "m2", "provider": "meta", "app_secrets": secrets, "phone_number_ids": ["106540352242922"] }),
        json!({ "name": "a1", "provider": "aws-sns", "topic_arns": [TOPIC] }),
        json!({ "name": "a2", "provider": "aws-sns", "topic_arns": [TOPIC], "numbers": numbers }),
    ];
    for method in VONAGE_METHODS {
        accounts.push(json!({ "name": method, "provider": "vonage", "signature_secrets": secrets,
                              "signature_method": method, "api_key": "abcd1234", "numbers": numbers }));
    }
    let settings = Settings::from_json(json!({ "accounts": accounts }).to_string().as_bytes()).unwrap();
    assert_eq!(settings.warnings(), [""; 0]);
    settings
});

fn candidates(provider: ProviderId) -> Vec<Arc<Account>> {
    ACCOUNTS.candidates(provider, None).unwrap()
}

fn template(provider: ProviderId) -> &'static Template {
    match provider {
        ProviderId::Twilio => &TWILIO,
        ProviderId::Signalwire => &SIGNALWIRE,
        ProviderId::Telnyx => &TELNYX,
        ProviderId::Vonage => &VONAGE,
        ProviderId::VonageMessages => &VONAGE_MESSAGES,
        ProviderId::Meta => &META,
        provider => unreachable!("{provider} is not fuzzed"),
    }
}

/// What a webhook may be signed with, and what changes how one is read.
const HEADERS: [&str; 12] = [
    "content-type",
    "x-twilio-signature",
    "x-twilio-webhooks-signature-settings",
    "x-signalwire-signature",
    "x-signalwire-sha256-signature",
    "telnyx-signature-ed25519",
    "telnyx-timestamp",
    "authorization",
    "x-vonage-webhook-auth-token",
    "x-hub-signature-256",
    "x-amz-sns-rawdelivery",
    "x-amz-sns-message-type",
];

/// Makes a webhook of the bytes, verifies it and reads it.
pub fn receive(provider: ProviderId, data: &[u8]) -> Outcome {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else { return Outcome::Refused };
    let mut webhook = unsigned(provider, &input);
    let candidates = candidates(provider);
    let is_to_verify = match input.signer {
        Signer::Provider => sign(provider, &mut webhook, SECRET, &input),
        Signer::Stranger => {
            sign(provider, &mut webhook, STRANGERS, &input);
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
            assert!(!is_to_verify, "a webhook that its provider signed is refused: {error:?}");
            assert_eq!(error.kind(), Kind::Unverified);
            check_error(&error);
            Outcome::Refused
        }
    }
}

fn unsigned(provider: ProviderId, input: &Input<'_>) -> Webhook {
    let takes_forms = matches!(provider, ProviderId::Twilio | ProviderId::Signalwire | ProviderId::Vonage);
    let is_query = input.shape == Shape::Query;
    let parameters = if takes_forms && input.shape != Shape::Json {
        input
            .document
            .raw()
            .map_or_else(|| form(&input.document.edited(template(provider)), &input.pairs), <[u8]>::to_vec)
    } else {
        input.document.bytes(template(provider))
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

fn headers<'i>(input: &'i Input<'_>) -> impl Iterator<Item = (HeaderName, HeaderValue)> + 'i {
    input.headers.iter().filter_map(|(name, value)| {
        let name = HeaderName::from_static(HEADERS[usize::from(*name) % HEADERS.len()]);
        Some((name, HeaderValue::from_bytes(value).ok()?))
    })
}

// ---- Events of AWS --------------------------------------------------------------------------------------------------

static SNS_CERTIFICATE: LazyLock<Certificate> = LazyLock::new(|| Certificate::read(CERTIFICATE, CLOCK).unwrap());

/// Of a queue or topic that the owner connected, which needs no signature; nobody's comes over HTTP and does.
fn receive_event(data: &[u8], message: fn(&Document<'_>) -> String) -> Outcome {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else { return Outcome::Refused };
    let candidates = candidates(ProviderId::AwsSns);
    let message = message(&input.document);
    let envelope = |topic: &str| {
        json!({ "Type": "Notification", "MessageId": "22b80b92", "TopicArn": topic, "Message": message,
                "Timestamp": "2026-09-21T14:13:19.012Z" })
    };
    let (body, is_to_verify) = match (input.signer, input.way % 3) {
        (Signer::Provider, 0) => (envelope(TOPIC).to_string().into_bytes(), Some(true)),
        // What it is taken for depends on the names in it.
        (Signer::Provider, 1) => (message.into_bytes(), None),
        (Signer::Provider | Signer::Nobody, _) => (input.document.bytes(&ENVELOPE), None),
        (Signer::Stranger, _) => (envelope(&TOPIC.replace("1234", "4321")).to_string().into_bytes(), Some(false)),
    };
    let mut webhook = aws_sns::from_event(body, NOW);
    if input.signer == Signer::Nobody {
        webhook = Webhook { arrival: Arrival::Http, headers: headers(&input).collect(), ..webhook };
        let url = webhook.certificate_url(&candidates);
        assert!(url.is_none_or(|url| url.starts_with("https://sns.us-east-1.amazonaws.com/")));
        assert!(webhook.verify(&candidates).is_err());
    } else {
        assert_eq!(webhook.certificate_url(&candidates), None);
    }
    check_debug_of(&webhook);
    webhook.certificate = Some(SNS_CERTIFICATE.clone());
    match webhook.verify(&candidates) {
        Ok(verified) => {
            assert_ne!(is_to_verify, Some(false), "another's topic is verified");
            assert_ne!(input.signer, Signer::Nobody, "a webhook without SNS's signature is verified");
            read(ProviderId::AwsSns, &verified)
        }
        Err(error) => {
            assert_ne!(is_to_verify, Some(true), "an event of our topic is refused: {error:?}");
            assert_eq!(error.kind(), Kind::Unverified);
            check_error(&error);
            Outcome::Refused
        }
    }
}

// ---- What holds for all ---------------------------------------------------------------------------------------------

fn read(provider: ProviderId, verified: &Verified<'_>) -> Outcome {
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
        Event::Ignored { .. } => {}
    }
}

/// What is queued comes back the same, and has what Connect needs and nothing that Connect refuses.
fn check_message(account: &Account, message: &Message) {
    for text in [&message.message_id, &message.from, &message.to] {
        assert!(!text.trim().is_empty());
    }
    let is_one = |media: &Media| media.url.is_some() != media.id.is_some();
    assert!(message.media.iter().all(is_one), "a medium has a URL or an id");
    assert!(message.received_at.as_ref().is_none_or(|time| time.ends_with('Z')));
    assert!(message.from_kind != Some(FromKind::Phone));
    assert_no_nul(&serde_json::to_value(message).unwrap());

    let inbound = Inbound::new(account, message.clone());
    let item = inbound.to_item().unwrap();
    let back = Inbound::from_item(&item).unwrap();
    assert!(back.message == *message, "{item} came back as {}", back.to_item().unwrap());
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

fn check_debug_of(webhook: &Webhook) {
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
fn check_error(error: &Error) {
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
