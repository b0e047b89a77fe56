//! Bird.

use serde_json::{Value, json};
use shared::sms::{message::Channel, providers::ProviderId, segments::Limit, webhook::Webhook};

use super::{Line, Picture, ProviderUnderTest, QUOTES_THE_NUMBER, Reply, Report, post_json};
use crate::{
    base64,
    fuzz::{self, Input, Template},
};

const CHANNEL: &str = "614208aa-b153-4d5d-9989-2fddfc0ce4c3";

pub(super) struct Bird;

impl ProviderUnderTest for Bird {
    fn id(&self) -> ProviderId {
        ProviderId::Bird
    }

    fn account(&self, secret: &str) -> Value {
        json!({ "signing_keys": [secret], "access_key": secret, "workspace_id": "a1405560", "channel_id": CHANNEL })
    }

    fn lines(&self) -> &'static [Line] {
        const WHATSAPP: Line = Line { ours_id: Some("c2"), ..Line::whatsapp("bird, whatsapp", "bird") };
        const { &[Line::sms("bird"), WHATSAPP] }
    }

    fn limit(&self, channel: Channel) -> Limit {
        match channel {
            Channel::Sms | Channel::Mms => Limit::Segments(9),
            Channel::Whatsapp => Limit::Characters(4_096),
            Channel::Rcs | Channel::Own(_) => Limit::Characters(3_072),
        }
    }

    fn request(&self, line: &Line, text: &str) -> Value {
        let contact = json!({ "identifierKey": "phonenumber", "identifierValue": line.customer });
        let body = json!({ "receiver": { "contacts": [contact] }, "reference": "[key]",
                           "body": { "type": "text", "text": { "text": text } } });
        let channel = line.ours_id.unwrap_or(CHANNEL);
        post_json(&format!("/workspaces/a1405560/channels/{channel}/messages"), "AccessKey s3cret", body)
    }

    fn picture(&self, _: &str) -> Option<Picture> {
        let path = "/workspaces/a1405560/media/1";
        Picture::at(&format!("https://media.api.bird.com{path}"), path, Some("AccessKey s3cret"))
    }

    fn file_request(&self, line: &Line, url: &str) -> Option<Value> {
        let mut request = self.request(line, "");
        request["body"]["body"] = json!({ "type": "image", "image": { "images": [{ "mediaUrl": url }] } });
        Some(request)
    }

    fn text_at(&self) -> &'static str {
        "/body/text/text"
    }

    fn taken(&self) -> Reply {
        Reply::new(202, json!({ "id": "9f5c8a3e-2ce9-4f8e-8c6a-1d2e3f4a5b6c", "status": "accepted" }))
    }

    fn refused(&self) -> Reply {
        Reply::new(422, json!({ "code": "InvalidPayload", "message": QUOTES_THE_NUMBER }))
    }

    fn message_id(&self) -> &'static str {
        "9f5c8a3e-2ce9-4f8e-8c6a-1d2e3f4a5b6c"
    }

    fn report(&self, id: &str, report: Report<'_>) -> String {
        let status = match report {
            Report::Sent => "sent",
            Report::Delivered => "delivered",
            Report::Read => "read",
            Report::Failed(_) => "delivery_failed",
        };
        let mut payload = json!({ "id": id, "direction": "outgoing", "status": status, "reason": "" });
        if let Report::Failed(code) = report {
            payload["failure"] = json!({ "code": code.parse::<u32>().unwrap(), "description": "…" });
        }
        json!({ "service": "channels", "event": "sms.outbound", "payload": payload }).to_string()
    }

    fn failures(&self) -> &'static [(&'static str, &'static str)] {
        &[("15001", "not delivered by the carrier")]
    }

    fn reports_reads(&self) -> bool {
        true
    }

    fn headers(&self) -> &'static [&'static str] {
        &["messagebird-signature", "messagebird-request-timestamp"]
    }

    fn template(&self) -> Template {
        let media = json!([{ "mediaUrl": "https://media.example/1", "contentType": "image/png", "filename": "a.png",
                             "size": 7 }]);
        let contact = json!({ "id": "k1", "identifierKey": "phonenumber", "identifierValue": "+31687654321",
                              "annotations": { "name": "Jo" }, "platformAddress": "+31687654321" });
        let value = json!({ "service": "channels", "event": "whatsapp.inbound", "payload": {
            "id": "9f5c8a3e-2ce9-4f8e-8c6a-1d2e3f4a5b6c", "channelId": CHANNEL, "sender": { "contact": contact },
            "receiver": { "connectors": [{ "id": "x", "identifierValue": "+447700900000" }],
                          "connector": { "identifierValue": "+447700900000" } },
            "body": { "type": "text",
                      "text": { "text": "Hello agent", "actions": [{ "type": "postback",
                                "postback": { "text": "Yes", "payload": "yes" } }] },
                      "image": { "text": "Look", "images": media }, "file": { "files": media },
                      "location": { "coordinates": { "latitude": 52.37, "longitude": 4.9 },
                                    "location": { "label": "Bird", "address": "1 Main Street" } } },
            "direction": "incoming", "status": "delivered", "createdAt": "2026-09-21T14:13:18.123Z",
            "replyTo": { "id": "m0", "type": "message" } } });
        let words = ["sms.inbound", "rcs.inbound", "sms.outbound", "telegram.inbound", "image", "file", "outgoing"];
        Template::new(value, &words)
    }

    fn sign(&self, webhook: &mut Webhook, secret: &str, input: &Input<'_>) -> bool {
        let timestamp = (webhook.now - i64::from(input.age)).to_string();
        let hash = hex::decode(fuzz::sha256_of(&webhook.body)).unwrap();
        let url = webhook.url();
        let signed = [timestamp.as_bytes(), b"\n", url.as_bytes(), b"\n", &hash].concat();
        fuzz::set(webhook, "messagebird-signature", &base64(&fuzz::sha256(secret, signed)));
        fuzz::set(webhook, "messagebird-request-timestamp", &timestamp);
        fuzz::is_timely(input)
    }
}
