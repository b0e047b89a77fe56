//! AWS End User Messaging: SMS, and Social for WhatsApp. They share the account; webhooks come from topics of SNS.

use std::sync::LazyLock;

use arbitrary::{Arbitrary as _, Unstructured};
use serde_json::{Value, json};
use shared::{
    error::Kind,
    sms::{
        certificate::Certificate,
        message::Channel,
        providers::{ProviderId, aws_sns},
        segments::Limit,
        webhook::{Arrival, Webhook},
    },
};

use super::{Call, Line, ProviderUnderTest, Reply, Report, meta, post};
use crate::fuzz::{self, Document, Input, Outcome, Signer, TOPIC, Template};

const NAME: &str = "aws-sns";

/// SMS.
pub(super) struct AwsSns;

/// WhatsApp.
pub(super) struct AwsSocial;

fn account() -> Value {
    json!({ "topic_arns": [TOPIC] })
}

fn fuzz_accounts() -> Vec<Value> {
    vec![
        json!({ "name": "a1", "topic_arns": [TOPIC] }),
        json!({ "name": "a2", "topic_arns": [TOPIC], "numbers": fuzz::numbers() }),
    ]
}

const HEADERS: &[&str] = &["x-amz-sns-rawdelivery", "x-amz-sns-message-type"];

fn assert_signed(call: &Call, service: &str) {
    let authorization = &call.headers["authorization"];
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=test/"), "{authorization}");
    assert!(authorization.contains(&format!("/us-east-1/{service}/aws4_request")), "{authorization}");
}

fn taken() -> Reply {
    Reply::new(200, json!({ "MessageId": "m-1", "messageId": "m-1" }))
}

/// A notification of the account's topic.
fn notification(message: &Value) -> String {
    json!({ "Type": "Notification", "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "TopicArn": TOPIC,
            "Message": message.to_string(), "Timestamp": format!("{:.3}", jiff::Timestamp::now()) })
    .to_string()
}

fn refused() -> Reply {
    let members = json!({ "Reason": "FIELD_VALIDATION_FAILED", "Message": "+14133881111 is not valid" });
    Reply::exception(400, "ValidationException", &members)
}

impl ProviderUnderTest for AwsSns {
    fn id(&self) -> ProviderId {
        ProviderId::AwsSns
    }

    fn account(&self, _: &str) -> Value {
        account()
    }

    fn lines(&self) -> &'static [Line] {
        const { &[Line::sms(NAME)] }
    }

    fn limit(&self, _: Channel) -> Limit {
        Limit::Segments(9)
    }

    fn request(&self, line: &Line, text: &str) -> Value {
        post(
            "/",
            json!({ "authorization": "[SigV4]", "content-type": "application/x-amz-json-1.0",
                    "x-amz-target": "PinpointSMSVoiceV2.SendTextMessage" }),
            json!({ "DestinationPhoneNumber": line.customer, "OriginationIdentity": line.ours, "MessageBody": text,
                    "MessageType": "TRANSACTIONAL" }),
        )
    }

    fn text_at(&self) -> &'static str {
        "/MessageBody"
    }

    fn assert_signed(&self, call: &Call) {
        assert_signed(call, "sms-voice");
    }

    fn taken(&self) -> Reply {
        taken()
    }

    fn refused(&self) -> Reply {
        refused()
    }

    fn opted_out(&self) -> Option<Reply> {
        let members =
            json!({ "Reason": "DESTINATION_PHONE_NUMBER_OPTED_OUT", "Message": "+14133881111 has opted out" });
        Some(Reply::exception(400, "ConflictException", &members))
    }

    fn unavailable(&self) -> Reply {
        Reply::exception(500, "InternalServerException", &json!({}))
    }

    fn is_called_by_sdk(&self) -> bool {
        true
    }

    fn message_id(&self) -> &'static str {
        "m-1"
    }

    fn report(&self, id: &str, report: Report<'_>) -> String {
        let kind = match report {
            Report::Sent => "SENT",
            Report::Delivered => "DELIVERED",
            Report::Read => unreachable!("it does not report that"),
            Report::Failed(code) => code,
        };
        notification(&json!({
            "eventType": format!("TEXT_{kind}"), "eventVersion": "1.0", "eventTimestamp": 1_790_000_000_000_u64,
            "isFinal": report != Report::Sent, "originationPhoneNumber": "+12025550100",
            "destinationPhoneNumber": "+14155550101", "messageId": id, "messageStatus": kind,
        }))
    }

    fn failures(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("UNREACHABLE", "the number can't receive texts"),
            ("INVALID", "the number is not in service"),
            ("SPAM", "filtered as spam by the carrier"),
            ("BLOCKED", "refused by the provider's account settings"),
            ("TTL_EXPIRED", "try again later"),
            ("UNKNOWN", "not delivered by the carrier"),
        ]
    }

    fn headers(&self) -> &'static [&'static str] {
        HEADERS
    }

    fn template(&self) -> Template {
        let value = json!({
            "originationNumber": "+14255550182", "destinationNumber": "+12125550101", "messageKeyword": "JOIN",
            "messageBody": "Hello agent", "inboundMessageId": "cae173d2-66b9-564c-8309-21f858e9fb84",
            "previousPublishedMessageId": "wJalrXUtnFEMI"
        });
        Template::new(value, &["whatsAppWebhookEntry", "{\"changes\":[]}"])
    }

    fn fuzz_accounts(&self, _: &str) -> Vec<Value> {
        fuzz_accounts()
    }

    fn fuzz(&self, data: &[u8]) -> Outcome {
        static TEMPLATE: LazyLock<Template> = LazyLock::new(|| AwsSns.template());
        receive_event(data, |document| String::from_utf8_lossy(&document.bytes(&TEMPLATE)).into_owned())
    }
}

impl ProviderUnderTest for AwsSocial {
    fn id(&self) -> ProviderId {
        ProviderId::AwsSns
    }

    fn account(&self, _: &str) -> Value {
        account()
    }

    fn lines(&self) -> &'static [Line] {
        const ARN: &str = "arn:aws:social-messaging:us-east-1:123456789012:phone-number-id/0001";
        const { &[Line { ours_id: Some(ARN), ..Line::whatsapp("aws-sns whatsapp", NAME) }] }
    }

    fn limit(&self, _: Channel) -> Limit {
        Limit::Characters(4_096)
    }

    fn request(&self, line: &Line, text: &str) -> Value {
        post(
            "/v1/whatsapp/send",
            json!({ "authorization": "[SigV4]", "content-type": "application/json" }),
            json!({ "originationPhoneNumberId": line.ours_id, "message": meta::message(line, text),
                    "metaApiVersion": "v20.0" }),
        )
    }

    fn file_request(&self, line: &Line, _: &str) -> Option<Value> {
        let mut request = self.request(line, "");
        request["body"]["message"] = meta::with_picture(meta::message(line, ""));
        Some(request)
    }

    fn upload_path(&self) -> Option<&'static str> {
        Some("/v1/whatsapp/media")
    }

    fn text_at(&self) -> &'static str {
        "/text/body"
    }

    fn assert_signed(&self, call: &Call) {
        assert_signed(call, "social-messaging");
    }

    fn taken(&self) -> Reply {
        taken()
    }

    fn refused(&self) -> Reply {
        refused()
    }

    fn unavailable(&self) -> Reply {
        Reply::exception(500, "InternalServiceException", &json!({}))
    }

    fn is_called_by_sdk(&self) -> bool {
        true
    }

    fn message_id(&self) -> &'static str {
        "m-1"
    }

    fn report(&self, id: &str, report: Report<'_>) -> String {
        let entry = json!({ "id": "1", "changes": [{ "field": "messages", "value": meta::value(id, report) }] });
        notification(&json!({
            "context": { "MetaWabaIds": [], "MetaPhoneNumberIds": [] }, "whatsAppWebhookEntry": entry.to_string(),
            "aws_account_id": "123456789012", "message_timestamp": "2026-09-21T14:13:19.271279391Z", "messageId": "m-9",
        }))
    }

    fn failures(&self) -> &'static [(&'static str, &'static str)] {
        meta::FAILURES
    }

    fn reports_reads(&self) -> bool {
        true
    }

    fn headers(&self) -> &'static [&'static str] {
        HEADERS
    }

    /// What AWS hands on of Meta's.
    fn template(&self) -> Template {
        Template::new(meta::entry(), &meta::WORDS)
    }

    fn fuzz_accounts(&self, _: &str) -> Vec<Value> {
        fuzz_accounts()
    }

    /// One JSON text within another.
    fn fuzz(&self, data: &[u8]) -> Outcome {
        static TEMPLATE: LazyLock<Template> = LazyLock::new(|| AwsSocial.template());
        receive_event(data, |document| {
            json!({ "whatsAppWebhookEntry": String::from_utf8_lossy(&document.bytes(&TEMPLATE)) }).to_string()
        })
    }
}

// ---- Fuzzing: events of AWS -----------------------------------------------------------------------------------------

/// A time at which the test certificate, which is younger than that, is valid.
const CLOCK: i64 = 1_800_000_000;
const CERTIFICATE: &[u8] = include_bytes!("../../../shared/src/sms/providers/aws_sns/fixtures/test-only.cert.pem");

static SNS_CERTIFICATE: LazyLock<Certificate> = LazyLock::new(|| Certificate::read(CERTIFICATE, CLOCK).unwrap());

static ENVELOPE: LazyLock<Template> = LazyLock::new(|| {
    let value = json!({
        "Type": "Notification", "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "TopicArn": TOPIC, "Message": "{}",
        "Timestamp": "2026-09-21T14:13:19.012Z", "SignatureVersion": "2", "Signature": "AAAA", "Subject": "a subject",
        "Token": "2336412f37", "SubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription",
        "SigningCertURL":
            "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
    });
    Template::new(value, &["SubscriptionConfirmation", "UnsubscribeConfirmation", "SigningCertUrl"])
});

/// Of a queue or topic that the owner connected, which needs no signature; nobody's comes over HTTP and does.
fn receive_event(data: &[u8], message: fn(&Document<'_>) -> String) -> Outcome {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else { return Outcome::Refused };
    let candidates = fuzz::candidates(ProviderId::AwsSns);
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
    let mut webhook = aws_sns::from_event(body, fuzz::NOW);
    if input.signer == Signer::Nobody {
        webhook = Webhook { arrival: Arrival::Http, headers: fuzz::headers(&input).collect(), ..webhook };
        let url = webhook.certificate_url(&candidates);
        assert!(url.is_none_or(|url| url.starts_with("https://sns.us-east-1.amazonaws.com/")));
        assert!(webhook.verify(&candidates).is_err());
    } else {
        assert_eq!(webhook.certificate_url(&candidates), None);
    }
    fuzz::check_debug_of(&webhook);
    webhook.certificate = Some(SNS_CERTIFICATE.clone());
    match webhook.verify(&candidates) {
        Ok(verified) => {
            assert_ne!(is_to_verify, Some(false), "another's topic is verified");
            assert_ne!(input.signer, Signer::Nobody, "a webhook without SNS's signature is verified");
            fuzz::read(ProviderId::AwsSns, &verified)
        }
        Err(error) => {
            assert_ne!(is_to_verify, Some(true), "an event of our topic is refused: {error:?}");
            assert_eq!(error.kind(), Kind::Unverified);
            fuzz::check_error(&error);
            Outcome::Refused
        }
    }
}
