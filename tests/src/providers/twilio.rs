//! Twilio.

use serde_json::{Value, json};
use shared::sms::{message::Channel, providers::ProviderId, segments::Limit, webhook::Webhook};

use super::{Line, Picture, ProviderUnderTest, Reply, Report, cxml};
use crate::{
    base64,
    fuzz::{self, Input, Template},
};

/// Its SMS.
pub const SMS: Line = Line::sms("twilio");

/// The id of the shared key, which signs with SHA-256.
const KEY_ID: &str = "main";

pub(super) struct Twilio;

impl ProviderUnderTest for Twilio {
    fn id(&self) -> ProviderId {
        ProviderId::Twilio
    }

    fn account(&self, secret: &str) -> Value {
        json!({ "auth_tokens": [format!("{secret}-1"), format!("{secret}-0")],
                "account_sid": "AC00000000000000000000000000000001" })
    }

    fn lines(&self) -> &'static [Line] {
        const {
            &[
                SMS,
                Line::whatsapp("twilio whatsapp", "twilio"),
                Line { label: "twilio rcs", channel: Channel::Rcs, ours: "acme_agent", ..SMS },
            ]
        }
    }

    fn limit(&self, _: Channel) -> Limit {
        Limit::Units(1_600)
    }

    fn request(&self, line: &Line, text: &str) -> Value {
        let path = "/2010-04-01/Accounts/AC00000000000000000000000000000001";
        let credentials = base64(b"AC00000000000000000000000000000001:s3cret-1");
        cxml::request(path, &format!("Basic {credentials}"), line, text)
    }

    fn picture(&self, _: &str) -> Option<Picture> {
        let path = "/2010-04-01/Accounts/AC00000000000000000000000000000001/Messages/MM1/Media/ME1";
        let credentials = base64(b"AC00000000000000000000000000000001:s3cret-1");
        Picture::at(&format!("https://api.twilio.com{path}"), path, Some(&format!("Basic {credentials}")))
    }

    fn file_request(&self, line: &Line, url: &str) -> Option<Value> {
        Some(cxml::with_file(self.request(line, ""), url))
    }

    fn text_at(&self) -> &'static str {
        "/Body"
    }

    fn taken(&self) -> Reply {
        let sid = "SM11111111111111111111111111111111";
        Reply::new(201, json!({ "sid": sid, "status": "queued", "error_code": null }))
    }

    fn refused(&self) -> Reply {
        cxml::refusal(400, 21_211)
    }

    fn opted_out(&self) -> Option<Reply> {
        Some(cxml::refusal(400, 21_610))
    }

    fn message_id(&self) -> &'static str {
        "SM11111111111111111111111111111111"
    }

    fn report(&self, id: &str, report: Report<'_>) -> String {
        super::cxml::report(id, report)
    }

    fn failures(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("30006", "the number can't receive texts"),
            ("30005", "the number is not in service"),
            ("30004", "the customer blocked or unsubscribed"),
            ("30007", "filtered as spam by the carrier"),
            ("30034", "refused by the provider's account settings"),
            ("30008", "try again later"),
            ("30019", "not delivered by the carrier"),
            ("63003", "not on WhatsApp"),
            ("63016", "WhatsApp's 24 hours are over"),
        ]
    }

    fn opt_out_code(&self) -> Option<&'static str> {
        Some("21610")
    }

    fn reports_reads(&self) -> bool {
        true
    }

    fn asks(&self, url: &str) -> Vec<(&'static str, Value)> {
        vec![("/StatusCallback", json!(url))]
    }

    fn headers(&self) -> &'static [&'static str] {
        &["x-twilio-signature", "x-twilio-webhooks-signature-settings"]
    }

    fn template(&self) -> Template {
        let value = json!({
            "MessageSid": "SMa1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1", "AccountSid": "AC00000000000000000000000000000001",
            "From": "whatsapp:+14133881111", "To": "+12028831111", "Body": "Hello agent", "NumSegments": "2",
            "MediaUrl0": "https://media.example/1", "MediaContentType0": "image/png",
            "MediaUrl1": "https://m.example/2.smil",
            "MessagingServiceSid": "MG1", "OriginalRepliedMessageSid": "SM1", "ButtonPayload": "yes", "ButtonText": "Yes",
            "ProfileName": "Zoë", "Latitude": "37.78", "Longitude": "-122.39", "Label": "Home", "Address": "1 Main Street",
            "ExternalUserId": "whatsapp:US.13491208655302741918", "WaId": "14133881111", "SmsStatus": "received"
        });
        let words = [
            "CallSid",
            "MessageStatus",
            "MessageType",
            "reaction",
            "OptOutType",
            "STOP",
            "HELP",
            "rcs:agent",
            "bodySHA256",
        ];
        Template::new(value, &words)
    }

    fn takes_forms(&self) -> bool {
        true
    }

    fn fuzz_accounts(&self, secret: &str) -> Vec<Value> {
        let account = |name: &str| {
            json!({ "name": name, "auth_tokens": [secret], "shared_keys": { KEY_ID: secret },
                    "account_sid": "AC00000000000000000000000000000001", "numbers": fuzz::numbers() })
        };
        let mut first = account("t1");
        for name in ["account_sid", "numbers"] {
            first.as_object_mut().unwrap().remove(name);
        }
        vec![first, account("t2")]
    }

    fn sign(&self, webhook: &mut Webhook, secret: &str, input: &Input<'_>) -> bool {
        let signed = cxml::signed(webhook, input, true);
        let signature = if input.way & 2 == 0 {
            fuzz::sha1(secret, signed)
        } else {
            let settings = format!("key={KEY_ID},algorithm=HMAC_SHA256");
            fuzz::set(webhook, "x-twilio-webhooks-signature-settings", &settings);
            fuzz::sha256(secret, signed)
        };
        fuzz::set(webhook, "x-twilio-signature", &base64(&signature));
        true
    }
}
