//! Amazon SNS, which carries two services: AWS End User Messaging SMS, and AWS End User Messaging Social (WhatsApp).
//!
//! | limit | value | source |
//! |---|---|---|
//! | time to answer | HTTPS: 15 s | <https://docs.aws.amazon.com/sns/latest/dg/SendMessageToHttp.prepare.html> |
//! | re-delivery | HTTPS: 3 times, 20 s apart, at most an hour; queue and function: 23 days | <https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html> |
//! | message | 256 KB | <https://docs.aws.amazon.com/general/latest/gr/sns.html> |
//! | SMS that we send | 1530 GSM-7 characters, or 630 others; the API takes 1600 of either and may fail later | <https://docs.aws.amazon.com/sms-voice/latest/userguide/sms-limitations-character.html> |
//! | WhatsApp text that we send | 4096 characters | Meta's: see [`super::meta`] |
//! | media of an SMS | none come in | <https://docs.aws.amazon.com/sms-voice/latest/userguide/two-way-sms.html> |
//!
//! The envelope, as it is POSTed (with `Content-Type: text/plain`), as it lies in a queue, and as `Records[].Sns` of a
//! Lambda event (which writes `SigningCertUrl`):
//!
//! ```json
//! {"Type":"Notification","MessageId":"22b80b92-…","TopicArn":"arn:aws:sns:us-east-1:123456789012:two-way-sms",
//!  "Message":"<JSON text>","Timestamp":"2026-09-21T14:13:19.012Z","SignatureVersion":"2","Signature":"<base64>",
//!  "SigningCertURL":"https://sns.us-east-1.amazonaws.com/SimpleNotificationService-<32 hex digits>.pem"}
//! ```
//!
//! What the message of [SMS](https://docs.aws.amazon.com/sms-voice/latest/userguide/two-way-sms-payload.html) is:
//!
//! ```json
//! {"originationNumber":"+14255550182","destinationNumber":"+12125550101","messageKeyword":"JOIN",
//!  "messageBody":"EXAMPLE","inboundMessageId":"cae173d2-…","previousPublishedMessageId":"wJalrXUtnFEMI/…"}
//! ```
//!
//! And of [Social](https://docs.aws.amazon.com/social-messaging/latest/userguide/managing-event-destination-dlrs.html),
//! where a third JSON text is one entry of Meta's webhooks:
//!
//! ```json
//! {"context":{"MetaWabaIds":[…],"MetaPhoneNumberIds":[…]},"whatsAppWebhookEntry":"{\"id\":…,\"changes\":[…]}",
//!  "aws_account_id":"123456789012","message_timestamp":"2026-09-21T14:13:19.271279391Z","messageId":"6d69f07a-…"}
//! ```
//!
//! # What proves it
//!
//! Over HTTPS, the signature proves no more than that some topic of some AWS customer sent it. So the topic comes first:
//! it must be one of the account's, and the message of its time, before anything is fetched. Then the certificate's URL must
//! be the one place where AWS keeps those of the topic's region; that it is fetched from there, over TLS, is what makes it
//! AWS's, and its subject must be SNS's (AWS's own validators check no chain either). Raw delivery is unsigned and refused.
//!
//! As an event of a queue or topic that the owner connected ([`Arrival::AwsEvent`]), IAM has proved the sender. An
//! envelope's topic must still be one of the account's, since one queue may serve several. A message delivered raw names
//! no topic: it is accepted, as the queue's policy is the owner's, and belongs to the account that lists its number, else
//! to the first.
//!
//! The age of a signature counts for HTTPS only: a queue may hold a message for days.
//!
//! How texts are sent: `sender/aws.rs`.

mod rcs;
mod social;
mod statuses;

use std::collections::BTreeMap;

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters, UnparsedPublicKey,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value, value::RawValue};

use crate::{
    choices::Prompt,
    error::{Error, Kind, Result},
    fields::Fields,
    json,
    secret::Secret,
    sms::{
        certificate::Topic,
        contract::{Facts, Provider},
        event::{Event, Ignored},
        lines,
        media::{AwsMedia, File, FileUpload, MediaSource, SendFile, no_files},
        message::{Channel, Media, Message, utc},
        segments::Limit,
        send::{ApiCall, AwsSms, Native, NotTaken, Outbound, Taken},
        webhook::{Arrival, Proof, Proved, Rejection, Webhook},
        whatsapp, whatsapp_menu,
    },
    url::BaseUrl,
};

type Object = Map<String, Value>;

const RAW_DELIVERY: &str = "x-amz-sns-rawdelivery";
const NOTIFICATION: &str = "Notification";
const SUBSCRIPTION: &str = "SubscriptionConfirmation";
const UNSUBSCRIPTION: &str = "UnsubscribeConfirmation";

/// AWS wraps Meta's webhooks, which have up to 3 MB.
///
/// SNS tries a message over HTTPS for an hour at most.
pub(super) const FACTS: Facts =
    Facts { signs_a_time: true, max_age_seconds: 3_600, max_body: 4 * 1024 * 1024, ..Facts::new("aws-sns") };

/// What an account is told by: the topics that may speak for it.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Never none.
    pub topic_arns: Vec<String>,
    /// Sends SMS with it: its event destination is one of the topics, and reports what becomes of them.
    pub configuration_set: Option<String>,
}

impl Credentials {
    pub(super) fn read(fields: &Fields<'_>) -> Self {
        let topic_arns = fields.texts("topic_arns").unwrap_or_default();
        fields.require_one_of(&["topic_arns"]);
        if topic_arns.is_empty() || topic_arns.iter().any(|arn| Topic::read(arn).is_none()) {
            fields.problem("topic_arns", "must be a list of at least one topic's ARN");
        }
        Self { topic_arns, configuration_set: fields.text("configuration_set") }
    }

    /// Where the numbers are, if the topics agree: a number's messages go to a topic of its own region.
    fn region(&self) -> Option<&str> {
        let mut regions = self.topic_arns.iter().filter_map(|arn| Some(Topic::read(arn)?.region));
        let first = regions.next()?;
        regions.all(|region| region == first).then_some(first)
    }

    fn lists(&self, topic_arn: &str) -> bool {
        self.topic_arns.iter().any(|arn| arn == topic_arn)
    }
}

impl Provider for Credentials {
    /// See the module's page. RSA of at least 2048 bits with PKCS #1 v1.5, and SHA-1 (version 1) or SHA-256 (version 2).
    fn verify(&self, webhook: &Webhook) -> Result<Proof, Rejection> {
        if webhook.arrival == Arrival::AwsEvent {
            return match Content::read(webhook) {
                Ok(Content::Envelope(envelope)) if self.lists(&envelope.topic_arn) => Ok(Proof { signed_at: None }),
                Ok(Content::Envelope(_)) => Err(Rejection::Mismatch),
                Ok(Content::Raw(_)) => Ok(Proof { signed_at: None }),
                Err(_) => Err(Rejection::Malformed),
            };
        }
        let signed = Signed::read(self, webhook)?;
        let certificate = webhook.certificate.as_ref().ok_or(Rejection::Missing)?;
        if webhook.now > certificate.not_after {
            return Err(Rejection::Malformed);
        }
        // No newer settings could mend this, so it is no `Mismatch`.
        UnparsedPublicKey::new(signed.algorithm, &certificate.key)
            .verify(signed.text.as_bytes(), &signed.signature)
            .map(|()| Proof { signed_at: Some(signed.signed_at) })
            .map_err(|_| Rejection::Malformed)
    }

    fn certificate_url(&self, webhook: &Webhook) -> Option<(String, Proof)> {
        if webhook.arrival == Arrival::AwsEvent {
            return None;
        }
        let signed = Signed::read(self, webhook).ok()?;
        Some((signed.certificate_url, Proof { signed_at: Some(signed.signed_at) }))
    }

    fn parse(&self, proved: &Proved<'_>) -> Result<Vec<Event>> {
        let envelope = match Content::read(proved.webhook())? {
            Content::Raw(text) => return read_message(&text, None),
            Content::Envelope(envelope) => envelope,
        };
        match envelope.kind.as_str() {
            NOTIFICATION => read_message(&envelope.message, Some(&envelope)),
            SUBSCRIPTION => {
                let token = envelope.token.filter(|token| !token.trim().is_empty());
                let token = Secret::new(token.ok_or_else(|| Error::invalid("Token", "is missing"))?);
                Ok(vec![Event::SubscriptionConfirmation { topic_arn: envelope.topic_arn, token }])
            }
            UNSUBSCRIPTION => Ok(vec![Event::ignored(Ignored::Subscription)]),
            _ => Ok(vec![Event::ignored(Ignored::Subscription)]),
        }
    }

    /// See the page's table: 9 segments are 1377 characters of GSM-7, or 603 units.
    fn limit(&self, channel: Channel) -> Limit {
        if channel == Channel::Whatsapp { whatsapp::LIMIT } else { Limit::Segments(9) }
    }

    fn choices(&self, channel: Channel, prompt: &Prompt) -> Option<Native> {
        (channel == Channel::Whatsapp).then(|| whatsapp_menu::interactive(prompt)).flatten().map(Native::Instead)
    }

    fn request(&self, outbound: &Outbound<'_>) -> Result<ApiCall> {
        if outbound.channel != Channel::Whatsapp {
            return Ok(ApiCall::AwsSms(AwsSms {
                region: self.region().map(str::to_owned),
                from: outbound.from_id.unwrap_or(outbound.from).to_owned(),
                to: outbound.to.to_owned(),
                text: outbound.text.to_owned(),
                configuration_set: self.configuration_set.clone(),
            }));
        }
        self.whatsapp(outbound, &whatsapp::message(outbound))
    }

    /// By WhatsApp. What came by RCS is in the owner's own bucket, and only told of.
    fn medium(&self, media: &Media, number_id: Option<&str>) -> Result<Option<MediaSource>> {
        let (Some(id), Some(number)) = (&media.id, number_id.filter(|id| id.contains(":phone-number-id/"))) else {
            return Ok(None);
        };
        let region = self.region_of(number);
        Ok(Some(MediaSource::AwsSocial(AwsMedia { region, phone_number_id: number.to_owned(), media_id: id.clone() })))
    }

    /// By WhatsApp. `SendMediaMessage` takes files of the owner's own buckets only.
    fn send_file(&self, outbound: &Outbound<'_>, file: &File<'_>) -> Result<SendFile> {
        if outbound.channel != Channel::Whatsapp {
            return no_files();
        }
        let Some(id) = file.id else {
            let number = social::number_id(outbound)?;
            let (region, phone_number_id) = (self.region_of(number), number.to_owned());
            return Ok(SendFile::Upload(FileUpload::AwsSocial { region, phone_number_id }));
        };
        self.whatsapp(outbound, &whatsapp::file_message(outbound, file, id)).map(SendFile::Call)
    }

    /// The SDK reads the answers of both APIs: [`crate::sender`].
    fn read_answer(&self, status: StatusCode, _: &[u8]) -> Result<Taken, NotTaken> {
        NotTaken::read(status, None, |_| None).map(|()| Taken::default())
    }
}

/// A webhook of what came without HTTP: one `Records[].Sns` of a Lambda event, as JSON, or the body of one queue record,
/// which is the same envelope or, with raw delivery, the message alone. Its candidates are all accounts of
/// this provider.
pub fn from_event(body: impl Into<Bytes>, now: i64) -> Webhook {
    Webhook {
        arrival: Arrival::AwsEvent,
        method: Method::POST,
        base: BaseUrl::none(),
        path: format!("/sms/{}", FACTS.name),
        query: None,
        headers: HeaderMap::new(),
        body: body.into(),
        certificate: None,
        now,
    }
}

/// What SNS sends. Verification and parsing read the same, and a name that is there twice is refused.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope {
    #[serde(rename = "Type")]
    kind: String,
    message_id: String,
    topic_arn: String,
    message: String,
    timestamp: String,
    subject: Option<String>,
    token: Option<String>,
    #[serde(rename = "SubscribeURL")]
    subscribe_url: Option<String>,
    signature_version: Option<String>,
    signature: Option<String>,
    #[serde(rename = "SigningCertURL", alias = "SigningCertUrl")]
    signing_cert_url: Option<String>,
}

/// What came.
enum Content {
    Envelope(Box<Envelope>),
    /// A message without its envelope.
    Raw(String),
}

impl Content {
    fn read(webhook: &Webhook) -> Result<Self> {
        let malformed = || Error::new(Kind::Validation, "The body is not what SNS sends");
        let text = str::from_utf8(&webhook.body).map_err(|_| malformed())?;
        if webhook.arrival == Arrival::AwsEvent && !is_envelope(text) {
            return Ok(Self::Raw(text.to_owned()));
        }
        json::parse(text.as_bytes()).map(Self::Envelope).map_err(|_| malformed())
    }
}

/// Neither service's message has one of these names.
fn is_envelope(text: &str) -> bool {
    json::parse::<BTreeMap<String, IgnoredAny>>(text.as_bytes())
        .is_ok_and(|object| ["Type", "TopicArn"].iter().any(|name| object.contains_key(*name)))
}

/// What has to be true of a POST before its certificate is worth fetching.
struct Signed {
    text: String,
    signature: Vec<u8>,
    algorithm: &'static RsaParameters,
    signed_at: i64,
    certificate_url: String,
}

impl Signed {
    fn read(credentials: &Credentials, webhook: &Webhook) -> Result<Self, Rejection> {
        // Without an envelope there is no signature; one that came in this way is not SNS's.
        if webhook.method != Method::POST || webhook.headers.contains_key(RAW_DELIVERY) {
            return Err(Rejection::Missing);
        }
        let Ok(Content::Envelope(envelope)) = Content::read(webhook) else { return Err(Rejection::Malformed) };
        if !credentials.lists(&envelope.topic_arn) {
            return Err(Rejection::Mismatch);
        }
        let topic = Topic::read(&envelope.topic_arn).ok_or(Rejection::Malformed)?;
        let text = envelope.string_to_sign()?;
        let algorithm = match envelope.signature_version.as_deref() {
            Some("1") => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            Some("2") => &RSA_PKCS1_2048_8192_SHA256,
            _ => return Err(Rejection::Malformed),
        };
        let signature = envelope.signature.as_deref().ok_or(Rejection::Missing)?;
        let signature = STANDARD.decode(signature).map_err(|_| Rejection::Malformed)?;
        let signed_at = envelope.time().ok_or(Rejection::Malformed)?.as_second();
        let certificate_url =
            envelope.signing_cert_url.filter(|url| topic.keeps_certificate_at(url)).ok_or(Rejection::Malformed)?;
        Ok(Self { text, signature, algorithm, signed_at, certificate_url })
    }
}

impl Envelope {
    /// <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message-verify-message-signature.html>: names and
    /// values in the order of the names, a line each.
    ///
    /// Only the message may have line breaks. In any other value they could move the borders between the values, so that
    /// one signature would hold for two readings.
    fn string_to_sign(&self) -> Result<String, Rejection> {
        let (subject, subscribe_url, token) = match self.kind.as_str() {
            NOTIFICATION => (self.subject.as_ref(), None, None),
            SUBSCRIPTION | UNSUBSCRIPTION => {
                let required = |value| Option::ok_or(value, Rejection::Malformed).map(Some);
                (None, required(self.subscribe_url.as_ref())?, required(self.token.as_ref())?)
            }
            _ => return Err(Rejection::Malformed),
        };
        let mut text = String::new();
        for (name, value) in [
            ("Message", Some(&self.message)),
            ("MessageId", Some(&self.message_id)),
            ("Subject", subject),
            ("SubscribeURL", subscribe_url),
            ("Timestamp", Some(&self.timestamp)),
            ("Token", token),
            ("TopicArn", Some(&self.topic_arn)),
            ("Type", Some(&self.kind)),
        ] {
            let Some(value) = value else { continue };
            if name != "Message" && value.contains('\n') {
                return Err(Rejection::Malformed);
            }
            for part in [name, "\n", value, "\n"] {
                text.push_str(part);
            }
        }
        Ok(text)
    }

    fn time(&self) -> Option<Timestamp> {
        self.timestamp.parse().ok()
    }
}

fn read_message(text: &str, envelope: Option<&Envelope>) -> Result<Vec<Event>> {
    // The console's test messages, for one.
    if !text.trim_start().starts_with('{') {
        return Ok(vec![Event::ignored(Ignored::Foreign)]);
    }
    let object: Object =
        json::parse(text.as_bytes()).map_err(|_| Error::invalid("Message", "is not the JSON that AWS sends"))?;
    if let Some(entry) = object.get("whatsAppWebhookEntry") {
        let entry: Box<RawValue> = entry
            .as_str()
            .and_then(|entry| json::parse(entry.as_bytes()).ok())
            .ok_or_else(|| Error::invalid("whatsAppWebhookEntry", "must be the text of a JSON object"))?;
        let mut events = whatsapp::read_entries(&[&*entry], "aws-social")?;
        for event in &mut events {
            if let Event::Message(message) = event {
                message.reply_from = message.account.as_deref().and_then(|id| phone_number_arn(&object, id));
            }
        }
        return Ok(events);
    }
    if let Some(kind) = statuses::kind(&object) {
        return Ok(vec![statuses::read(&object, kind)]);
    }
    if rcs::is_agent(&object) {
        return rcs::read(&object, envelope).map(|event| vec![event]);
    }
    if !["inboundMessageId", "originationNumber"].iter().any(|name| object.contains_key(*name)) {
        return Ok(vec![Event::ignored(Ignored::OtherEvent)]);
    }
    read_sms(&object, Channel::Sms, envelope).map(|message| vec![message.into()])
}

/// The name that AWS has for a number of Meta's, which is what its API sends from.
fn phone_number_arn(object: &Object, meta_id: &str) -> Option<String> {
    let numbers = object.get("context")?.get("MetaPhoneNumberIds")?.as_array()?;
    let number = numbers.iter().find(|number| number.get("metaPhoneNumberId").and_then(Value::as_str) == Some(meta_id));
    Some(number?.get("arn")?.as_str()?.to_owned())
}

/// <https://docs.aws.amazon.com/sms-voice/latest/userguide/two-way-sms-payload.html>. It tells no time, so it is SNS's.
fn read_sms(object: &Object, channel: Channel, envelope: Option<&Envelope>) -> Result<Message> {
    let required = |name: &'static str| filled(object, name).ok_or_else(|| Error::invalid(name, "must be a text"));
    let mut message = Message::new(
        "aws-sms",
        channel,
        required("inboundMessageId")?,
        required("originationNumber")?,
        required("destinationNumber")?,
    );
    match object.get("messageBody") {
        Some(Value::String(text)) => message.text.clone_from(text),
        other => message.describe(&lines::unsupported(other)),
    }
    message.keyword = filled(object, "messageKeyword").map(str::to_owned);
    message.in_reply_to = filled(object, "previousPublishedMessageId").map(str::to_owned);
    message.received_at = envelope.and_then(Envelope::time).map(utc);
    message.sns_message_id = envelope.map(|envelope| envelope.message_id.clone());
    Ok(message)
}

fn filled<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(name)?.as_str().map(str::trim).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests;
