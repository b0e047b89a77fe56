//! Bandwidth.

use serde_json::{Value, json};
use shared::sms::{message::Channel, providers::ProviderId, segments::Limit};

use super::{Line, Picture, ProviderUnderTest, QUOTES_THE_NUMBER, Reply, Report, post_json};
use crate::{base64, fuzz::Template};

pub(super) struct Bandwidth;

fn refusal(status: u16, kind: &str) -> Reply {
    Reply::new(status, json!({ "type": kind, "description": QUOTES_THE_NUMBER, "fieldErrors": [] }))
}

impl ProviderUnderTest for Bandwidth {
    fn id(&self) -> ProviderId {
        ProviderId::Bandwidth
    }

    fn account(&self, secret: &str) -> Value {
        json!({ "username": "bw-user", "passwords": [secret], "account_id": "9900000", "application_id": "93de2206",
                "api_username": "api", "api_password": secret })
    }

    fn lines(&self) -> &'static [Line] {
        const { &[Line::sms("bandwidth")] }
    }

    fn limit(&self, _: Channel) -> Limit {
        Limit::Units(2_048)
    }

    fn request(&self, line: &Line, text: &str) -> Value {
        post_json(
            "/api/v2/users/9900000/messages",
            &format!("Basic {}", base64(b"api:s3cret")),
            json!({ "applicationId": "93de2206", "from": line.ours, "to": [line.customer], "text": text, "tag": "[key]" }),
        )
    }

    fn picture(&self, _: &str) -> Option<Picture> {
        let path = "/api/v2/users/9900000/media/a/0/b.png";
        let credentials = format!("Basic {}", base64(b"api:s3cret"));
        Picture::at(&format!("https://messaging.bandwidth.com{path}"), path, Some(&credentials))
    }

    fn file_request(&self, line: &Line, url: &str) -> Option<Value> {
        let mut request = self.request(line, "");
        request["body"].as_object_mut().unwrap().remove("text");
        request["body"]["media"] = json!([url]);
        Some(request)
    }

    fn text_at(&self) -> &'static str {
        "/text"
    }

    fn taken(&self) -> Reply {
        Reply::new(202, json!({ "id": "1589228074636lm4k2je7j7jklbn2", "segmentCount": 1, "direction": "out" }))
    }

    fn refused(&self) -> Reply {
        refusal(400, "request-validation")
    }

    fn throttled(&self) -> Reply {
        refusal(429, "max-message-queue-size-exceeded")
    }

    fn message_id(&self) -> &'static str {
        "1589228074636lm4k2je7j7jklbn2"
    }

    fn report(&self, id: &str, report: Report<'_>) -> String {
        let kind = match report {
            Report::Sent => "message-sent",
            Report::Delivered => "message-delivered",
            Report::Read => "message-read",
            Report::Failed(_) => "message-failed",
        };
        let mut event = json!({ "type": kind, "time": "2026-09-21T14:13:18.123Z", "to": "+14155550101", "description": "…",
                                "message": { "id": id, "owner": "+12025550100", "direction": "out", "segmentCount": 1 } });
        if let Report::Failed(code) = report {
            event["errorCode"] = json!(code.parse::<u32>().unwrap());
        }
        json!([event]).to_string()
    }

    fn failures(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("4700", "the number can't receive texts"),
            ("4720", "the number is not in service"),
            ("4772", "the customer blocked or unsubscribed"),
            ("4770", "filtered as spam by the carrier"),
            ("4773", "refused by the provider's account settings"),
            ("4750", "try again later"),
            ("5600", "try again later"),
            ("4711", "not delivered by the carrier"),
        ]
    }

    fn opt_out_code(&self) -> Option<&'static str> {
        Some("4775")
    }

    fn reports_reads(&self) -> bool {
        true
    }

    fn headers(&self) -> &'static [&'static str] {
        &["authorization"]
    }

    fn template(&self) -> Template {
        let value = json!([{
            "type": "message-received", "time": "2026-09-21T14:13:19.123Z", "to": "+12345678902",
            "message": {
                "id": "14762070468292kw2fuqty55yp2b2", "owner": "+12345678902", "applicationId": "93de2206",
                "time": "2026-09-21T14:13:18Z", "segmentCount": 1, "direction": "in", "channel": "RBM",
                "to": ["+12345678902", "+17735550003"], "from": "+12345678901", "text": "Hello agent",
                "media": ["https://media.example/1"],
                "suggestionResponse": { "text": "Yes", "postbackData": "eWVz", "pairedMessageId": "1" },
                "locationResponse": { "latitude": "48.1", "longitude": "11.5" } }
        }]);
        Template::new(value, &["suggestion-response", "requested-location-response", "message-failed", "MMS", "out"])
    }
}
