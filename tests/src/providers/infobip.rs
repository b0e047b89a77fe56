//! Infobip.

use serde_json::{Value, json};
use shared::sms::{message::Channel, providers::ProviderId, segments::Limit, webhook::Webhook};

use super::{Line, Picture, ProviderUnderTest, QUOTES_THE_NUMBER, Reply, Report, post_json};
use crate::{
    base64,
    fuzz::{self, Input, Template},
};

pub(super) struct Infobip;

fn answer(group: &str, name: &str) -> Value {
    let status = json!({ "groupId": 1, "groupName": group, "id": 26, "name": name, "description": QUOTES_THE_NUMBER });
    json!({ "messages": [{ "messageId": "[key]", "status": status, "destination": "14133881111" }] })
}

impl ProviderUnderTest for Infobip {
    fn id(&self) -> ProviderId {
        ProviderId::Infobip
    }

    fn account(&self, secret: &str) -> Value {
        json!({ "username": "ib-user", "passwords": [secret], "base_url": "xyz.api.infobip.com", "api_key": secret })
    }

    fn lines(&self) -> &'static [Line] {
        const { &[Line::sms("infobip")] }
    }

    fn limit(&self, _: Channel) -> Limit {
        Limit::Segments(10)
    }

    fn request(&self, line: &Line, text: &str) -> Value {
        let message = json!({ "sender": &line.ours[1..], "content": { "text": text },
                              "destinations": [{ "to": &line.customer[1..], "messageId": "[key]" }] });
        post_json("/sms/3/messages", "App s3cret", json!({ "messages": [message] }))
    }

    fn picture(&self, _: &str) -> Option<Picture> {
        Picture::at("https://xyz.api.infobip.com/mms/1/media/2", "/mms/1/media/2", Some("App s3cret"))
    }

    fn file_request(&self, line: &Line, url: &str) -> Option<Value> {
        let mut request = self.request(line, "");
        request["request"] = json!("POST /mms/2/messages");
        let segment = json!({ "type": "LINK", "contentType": "image/png", "contentUrl": url });
        request["body"]["messages"][0]["content"] = json!({ "messageSegments": [segment] });
        Some(request)
    }

    fn text_at(&self) -> &'static str {
        "/messages/0/content/text"
    }

    fn taken(&self) -> Reply {
        Reply::new(200, answer("PENDING", "PENDING_ACCEPTED"))
    }

    fn refused(&self) -> Reply {
        Reply::new(200, answer("REJECTED", "REJECTED_DESTINATION"))
    }

    fn tells_failures_by_2xx(&self) -> bool {
        true
    }

    fn message_id(&self) -> &'static str {
        "[key]"
    }

    fn report(&self, id: &str, report: Report<'_>) -> String {
        let (group, name) = match report {
            Report::Sent => ("DELIVERED", "DELIVERED_TO_OPERATOR"),
            Report::Delivered => ("DELIVERED", "DELIVERED_TO_HANDSET"),
            Report::Read => {
                return json!({ "results": [{ "messageId": id, "seenAt": "2026-09-21T14:13:18.000+0000" }] })
                    .to_string();
            }
            Report::Failed(_) => ("UNDELIVERABLE", "UNDELIVERABLE_NOT_DELIVERED"),
        };
        let code = if let Report::Failed(code) = report { code } else { "NO_ERROR" };
        let error = json!({ "groupId": 1, "id": 1, "name": code, "permanent": code != "EC_ABSENT_SUBSCRIBER" });
        let result = json!({ "messageId": id, "to": "14155550101", "doneAt": "2026-09-21T14:13:18.000+0000",
                             "status": { "groupId": 2, "groupName": group, "id": 9, "name": name }, "error": error });
        json!({ "results": [result] }).to_string()
    }

    fn failures(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("EC_TELESERVICE_NOT_PROVISIONED", "the number can't receive texts"),
            ("EC_UNKNOWN_SUBSCRIBER", "the number is not in service"),
            ("EC_MESSAGE_FILTERED", "filtered as spam by the carrier"),
            ("REJECTED_SENDER", "refused by the provider's account settings"),
            ("EC_ABSENT_SUBSCRIBER", "try again later"),
            ("EC_SYSTEM_FAILURE", "not delivered by the carrier"),
        ]
    }

    fn reports_reads(&self) -> bool {
        true
    }

    fn asks(&self, url: &str) -> Vec<(&'static str, Value)> {
        vec![("/messages/0/webhooks/delivery/url", json!(url))]
    }

    fn headers(&self) -> &'static [&'static str] {
        &["authorization"]
    }

    fn template(&self) -> Template {
        let sms = json!({ "messageId": "817790313235066447", "from": "385916242493", "to": "447700900000",
                          "text": "Hello agent", "cleanText": "Hello agent", "keyword": "HELLO", "smsCount": 1,
                          "receivedAt": "2026-09-21T14:13:18.000+0000", "callbackData": "cb" });
        // Reports on ours come by the same way; the parts are those of an MMS.
        let report = json!({ "messageId": 9_007_199_254_740_993_u64, "from": 385_916_242_493_u64, "to": "447700900000",
                             "status": { "groupName": "DELIVERED" },
                             "message": [{ "contentType": "text/plain", "value": "Look" },
                                         { "contentType": "image/png", "url": "https://media.example/1" }] });
        let value = json!({ "results": [sms, report], "messageCount": 2, "pendingMessageCount": 0 });
        Template::new(value, &["status", "integrationType", "WHATSAPP", "application/smil"])
    }

    fn sign(&self, webhook: &mut Webhook, secret: &str, _: &Input<'_>) -> bool {
        fuzz::set(webhook, "authorization", &format!("Basic {}", base64(format!("ib-user:{secret}").as_bytes())));
        true
    }
}
