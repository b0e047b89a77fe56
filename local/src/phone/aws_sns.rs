//! AWS End User Messaging: SMS, and Social for WhatsApp. What comes in is in an envelope of SNS.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    contract::{Answer, Call, CustomerText, Post, Provider, SendRequest, Signature, authorised, meaning},
    keys::der,
    text::Channel,
    whatsapp,
};

/// SNS's key on this machine. `crate::sns` serves its certificate.
const KEY: &str = include_str!("../../../shared/src/sms/providers/aws_sns/fixtures/test-only.key.pem");
pub(crate) const CERTIFICATE: &str =
    include_str!("../../../shared/src/sms/providers/aws_sns/fixtures/test-only.cert.pem");
pub(crate) const CERTIFICATE_PATH: &str = "/SimpleNotificationService-fedcba9876543210fedcba9876543210.pem";

/// Where Social sends a message.
const SOCIAL: &str = "/v1/whatsapp/send";

pub(super) struct AwsSns;

impl Provider for AwsSns {
    fn name(&self) -> &'static str {
        "aws-sns"
    }

    fn title(&self) -> &'static str {
        "AWS End User Messaging"
    }

    fn channels(&self) -> &'static [Channel] {
        &[Channel::Sms, Channel::Whatsapp]
    }

    fn content_type(&self) -> &'static str {
        "text/plain; charset=UTF-8"
    }

    fn bodies(&self, text: &CustomerText<'_>) -> Result<Vec<String>, String> {
        let topic = text.account.current("topic_arns")?;
        let message = if text.channel == Channel::Whatsapp {
            json!({
                "context": {
                    "MetaWabaIds": [{ "wabaId": whatsapp::BUSINESS_ID, "arn": social_arn("waba") }],
                    "MetaPhoneNumberIds":
                        [{ "metaPhoneNumberId": whatsapp::NUMBER_ID, "arn": social_arn("phone-number-id") }],
                },
                "whatsAppWebhookEntry": whatsapp::entry(text).to_string(), "aws_account_id": "123456789012",
                "message_timestamp": format!("{:.9}", text.now), "messageId": self.message_id(),
            })
        } else {
            json!({
                "originationNumber": text.from, "destinationNumber": text.to, "messageKeyword": "KEYWORD_123456789012",
                "messageBody": text.text, "inboundMessageId": self.message_id(),
            })
        };
        let body = json!({
            "Type": "Notification", "MessageId": Uuid::new_v4().to_string(), "TopicArn": topic,
            "Message": message.to_string(), "Timestamp": format!("{:.3}", text.now),
        });
        Ok(vec![body.to_string()])
    }

    /// <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>
    fn sign(&self, post: Post<'_>) -> Result<Signature, String> {
        const SIGNED: [&str; 5] = ["Message", "MessageId", "Timestamp", "TopicArn", "Type"];
        let mut body: Value = serde_json::from_str(&post.body).map_err(|error| error.to_string())?;
        let of = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let signed: String = SIGNED.iter().map(|name| format!("{name}\n{}\n", of(name))).collect();
        let (topic, id, kind) = (of("TopicArn"), of("MessageId"), of("Type"));
        let region = topic.split(':').nth(3).unwrap_or_default();
        let certificate = format!("https://sns.{region}.amazonaws.com{CERTIFICATE_PATH}");
        if let Some(body) = body.as_object_mut() {
            body.insert("SignatureVersion".to_owned(), json!("2"));
            body.insert("Signature".to_owned(), json!(BASE64_STANDARD.encode(rsa(KEY, &signed)?)));
            body.insert("SigningCertURL".to_owned(), json!(certificate));
        }
        let headers =
            vec![("x-amz-sns-message-type", kind), ("x-amz-sns-message-id", id), ("x-amz-sns-topic-arn", topic)];
        Ok(Signature { headers, body: body.to_string() })
    }

    /// `SendTextMessage` (JSON 1.0), or `SendWhatsAppMessage` (REST JSON), whose message is Meta's in base64.
    fn read(&self, call: &Call<'_>) -> Result<SendRequest, u16> {
        let is_social = call.path == SOCIAL;
        if !is_social {
            call.at("/")?;
            if call.header("x-amz-target") != "PinpointSMSVoiceV2.SendTextMessage" {
                return Err(404);
            }
        }
        authorised(call.authorization().starts_with("AWS4-HMAC-SHA256 Credential="))?;
        let body = call.json();
        if !is_social {
            let names = ["OriginationIdentity", "DestinationPhoneNumber", "MessageBody"];
            return SendRequest::of(&body, names, Channel::Sms);
        }
        let id = body.get("originationPhoneNumberId").and_then(Value::as_str).unwrap_or_default();
        let message = body.get("message").and_then(Value::as_str).and_then(|text| BASE64_STANDARD.decode(text).ok());
        let message: Value = message.and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or(400_u16)?;
        whatsapp::read(&message, id)
    }

    fn message_id(&self) -> String {
        Uuid::new_v4().to_string()
    }

    fn taken(&self, request: &SendRequest, id: &str) -> Answer {
        if request.channel == Channel::Whatsapp {
            return Answer::json(200, json!({ "messageId": id }));
        }
        sms_answer(200, json!({ "MessageId": id }))
    }

    fn refused(&self, call: &Call<'_>, status: u16) -> Answer {
        let is_social = call.path == SOCIAL;
        let kind = match (status, is_social) {
            (400, _) => "ValidationException",
            (401, _) => "AccessDeniedException",
            (404, _) => "ResourceNotFoundException",
            (429, true) => "ThrottledRequestException",
            (429, false) => "ThrottlingException",
            (_, true) => "InternalServiceException",
            (_, false) => "InternalServerException",
        };
        let words = meaning(status);
        let body = json!({ "__type": kind, "message": words, "Message": words });
        let status = if status == 401 { 403 } else { status };
        let mut answer = if is_social { Answer::json(status, body) } else { sms_answer(status, body) };
        answer.headers.push(("x-amzn-errortype", kind.to_owned()));
        answer
    }
}

fn sms_answer(status: u16, body: Value) -> Answer {
    Answer { status, headers: vec![("content-type", "application/x-amz-json-1.0".to_owned())], body }
}

fn social_arn(kind: &str) -> String {
    format!("arn:aws:social-messaging:us-east-1:123456789012:{kind}/976c72a700aa43ff821b4c1b42a4bb31")
}

fn rsa(pem: &str, signed: &str) -> Result<Vec<u8>, String> {
    let key = RsaKeyPair::from_pkcs8(&der(pem)?).map_err(|error| error.to_string())?;
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|error| error.to_string())?;
    Ok(signature)
}
