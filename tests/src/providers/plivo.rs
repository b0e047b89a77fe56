//! Plivo.

use serde_json::{Value, json};
use shared::sms::{message::Channel, providers::ProviderId, segments::Limit, webhook::Webhook};

use super::{Line, Picture, ProviderUnderTest, QUOTES_THE_NUMBER, Reply, Report, post_json};
use crate::{
    base64,
    fuzz::{self, Input, Shape, Template},
};

const NONCE: &str = "05429567804466091622";

pub(super) struct Plivo;

impl ProviderUnderTest for Plivo {
    fn id(&self) -> ProviderId {
        ProviderId::Plivo
    }

    fn account(&self, secret: &str) -> Value {
        json!({ "auth_tokens": [secret], "auth_id": "MAXXXXXXXXXXXXXXXXXX" })
    }

    fn lines(&self) -> &'static [Line] {
        const { &[Line::sms("plivo"), Line::whatsapp("plivo whatsapp", "plivo")] }
    }

    fn limit(&self, channel: Channel) -> Limit {
        if channel == Channel::Whatsapp { Limit::Characters(4_096) } else { Limit::Segments(10) }
    }

    fn request(&self, line: &Line, text: &str) -> Value {
        let kind = if line.channel == Channel::Whatsapp { "whatsapp" } else { "sms" };
        post_json(
            "/v1/Account/MAXXXXXXXXXXXXXXXXXX/Message/",
            &format!("Basic {}", base64(b"MAXXXXXXXXXXXXXXXXXX:s3cret")),
            json!({ "src": &line.ours[1..], "dst": &line.customer[1..], "text": text, "type": kind }),
        )
    }

    fn picture(&self, _: &str) -> Option<Picture> {
        let credentials = format!("Basic {}", base64(b"MAXXXXXXXXXXXXXXXXXX:s3cret"));
        let path = "/v1/Account/MAXXXXXXXXXXXXXXXXXX/Message/1/Media/2/";
        Picture::at(&format!("https://media.plivo.com{path}"), path, Some(&credentials))
    }

    fn file_request(&self, line: &Line, url: &str) -> Option<Value> {
        let mut request = self.request(line, "");
        request["body"].as_object_mut().unwrap().remove("text");
        request["body"]["media_urls"] = json!([url]);
        if line.channel != Channel::Whatsapp {
            request["body"]["type"] = json!("mms");
        }
        Some(request)
    }

    fn text_at(&self) -> &'static str {
        "/text"
    }

    fn taken(&self) -> Reply {
        let body = json!({ "message": "message(s) queued", "message_uuid": ["db3ce55a-7f1d-11e1-8ea7-1231380bc196"] });
        Reply::new(202, body)
    }

    fn refused(&self) -> Reply {
        Reply::new(400, json!({ "error": QUOTES_THE_NUMBER, "api_id": "1" }))
    }

    fn message_id(&self) -> &'static str {
        "db3ce55a-7f1d-11e1-8ea7-1231380bc196"
    }

    fn report(&self, id: &str, report: Report<'_>) -> String {
        let status = match report {
            Report::Sent => "sent",
            Report::Delivered => "delivered",
            Report::Read => "read",
            Report::Failed(_) => "undelivered",
        };
        let code = if let Report::Failed(code) = report { code } else { "" };
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("MessageUUID", id),
                ("ParentMessageUUID", id),
                ("PartInfo", "1 of 1"),
                ("From", "12025550100"),
                ("To", "14155550101"),
                ("Status", status),
                ("ErrorCode", code),
                ("Units", "1"),
            ])
            .finish()
    }

    fn failures(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("100", "the number can't receive texts"),
            ("50", "the number is not in service"),
            ("30", "filtered as spam by the carrier"),
            ("40", "refused by the provider's account settings"),
            ("80", "try again later"),
            ("110", "not delivered by the carrier"),
        ]
    }

    fn opt_out_code(&self) -> Option<&'static str> {
        Some("200")
    }

    fn reports_reads(&self) -> bool {
        true
    }

    fn asks(&self, url: &str) -> Vec<(&'static str, Value)> {
        vec![("/url", json!(url)), ("/method", json!("POST"))]
    }

    fn headers(&self) -> &'static [&'static str] {
        &[
            "x-plivo-signature-v2",
            "x-plivo-signature-ma-v2",
            "x-plivo-signature-v2-nonce",
            "x-plivo-signature-v3",
            "x-plivo-signature-ma-v3",
            "x-plivo-signature-v3-nonce",
        ]
    }

    fn template(&self) -> Template {
        let value = json!({
            "From": "14795961111", "To": "14759440448", "Text": "Hello agent", "Type": "mms", "Units": 1,
            "MessageUUID": "7a242edc-2f57-11e7-98c9-06ab0bf64327", "MediaCount": 1, "Media0": "https://media.example/1",
            "Latitude": "48.1", "Longitude": "11.5", "ContentType": "location", "ButtonText": "Yes",
            "ButtonPayload": "yes", "ProfileName": "Jo"
        });
        Template::new(value, &["sms", "whatsapp", "Status", "delivered", "ParentMessageUUID", "Media1", "Body"])
    }

    fn field_of<'a>(&self, config: &'a str) -> &'a str {
        if config == "scheme" { "signature_version" } else { config }
    }

    fn takes_forms(&self) -> bool {
        true
    }

    /// V2, V3, or both, of which one is by a stranger.
    fn sign(&self, webhook: &mut Webhook, secret: &str, input: &Input<'_>) -> bool {
        let base = format!("https://sms.example.com/bridge{}", webhook.path);
        let pairs = |encoded: &[u8]| {
            let mut pairs = fuzz::pairs(encoded);
            pairs.sort_unstable();
            pairs
        };
        let query = pairs(webhook.query.as_deref().unwrap_or_default().as_bytes());
        let body = if input.shape == Shape::Query { Vec::new() } else { pairs(&webhook.body) };
        let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let fields: String = body.iter().flat_map(|(name, value)| [name.as_str(), value]).collect();
        let mark = if query.is_empty() && body.is_empty() { "" } else { "?" };
        let stop = if query.is_empty() || body.is_empty() { "" } else { "." };
        let v3 = format!("{base}{mark}{}{stop}{fields}.{NONCE}", query.join("&"));
        let of = |text: &str| base64(&fuzz::sha256(secret, text));
        let others = base64(&fuzz::sha256("another", "text"));
        if !input.way.is_multiple_of(3) {
            fuzz::set(webhook, "x-plivo-signature-v2", &of(&format!("{base}{NONCE}")));
            fuzz::set(webhook, "x-plivo-signature-v2-nonce", NONCE);
        }
        if input.way % 3 != 1 {
            fuzz::set(webhook, "x-plivo-signature-v3", &format!("{others},{}", of(&v3)));
            fuzz::set(webhook, "x-plivo-signature-v3-nonce", NONCE);
        }
        true
    }
}
