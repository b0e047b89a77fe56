//! Meta's WhatsApp Cloud API.

use http::Method;
use serde_json::{Value, json};
use shared::sms::{message::Channel, providers::ProviderId, segments::Limit, webhook::Webhook};

use super::{Line, PICTURE, Picture, ProviderUnderTest, QUOTES_THE_NUMBER, Reply, Report, post_json};
use crate::fuzz::{self, Input, Template};

const NUMBER_ID: &str = "106540352242922";

pub(super) struct Meta;

/// The message object, which AWS Social sends too.
pub(super) fn message(line: &Line, text: &str) -> Value {
    let mut message = json!({ "messaging_product": "whatsapp", "recipient_type": "individual", "type": "text",
                              "text": { "body": text, "preview_url": false } });
    match line.customer.strip_prefix('+') {
        Some(digits) => message["to"] = json!(digits),
        None => message["recipient"] = json!(line.customer),
    }
    message
}

/// The same with an uploaded picture in place of the text.
pub(super) fn with_picture(mut message: Value) -> Value {
    message.as_object_mut().unwrap().remove("text");
    message["type"] = json!("image");
    message["image"] = json!({ "id": "uploaded" });
    message
}

/// The value of a change that reports on a text, in AWS's envelope too.
pub(super) fn value(id: &str, report: Report<'_>) -> Value {
    let status = match report {
        Report::Sent => "sent",
        Report::Delivered => "delivered",
        Report::Read => "read",
        Report::Failed(_) => "failed",
    };
    let mut one = json!({ "id": id, "status": status, "timestamp": "1790000000", "recipient_id": "14155550101" });
    if let Report::Failed(code) = report {
        one["errors"] = json!([{ "code": code.parse::<u32>().unwrap(), "title": "…" }]);
    }
    json!({ "messaging_product": "whatsapp", "statuses": [one],
            "metadata": { "display_phone_number": "12025550100", "phone_number_id": NUMBER_ID } })
}

/// A code of each class, and what the agent reads of it.
pub(super) const FAILURES: &[(&str, &str)] = &[
    ("131026", "not on WhatsApp"),
    ("131050", "the customer blocked or unsubscribed"),
    ("131048", "filtered as spam by the carrier"),
    ("131047", "WhatsApp's 24 hours are over"),
    ("131031", "refused by the provider's account settings"),
    ("131056", "try again later"),
    ("131053", "not delivered by the carrier"),
];

fn refusal(code: u32) -> Reply {
    let error = json!({ "message": QUOTES_THE_NUMBER, "type": "OAuthException", "code": code, "fbtrace_id": "f" });
    Reply::new(400, json!({ "error": error }))
}

impl ProviderUnderTest for Meta {
    fn id(&self) -> ProviderId {
        ProviderId::Meta
    }

    fn account(&self, secret: &str) -> Value {
        json!({ "app_secrets": [secret], "access_token": secret, "phone_number_ids": [NUMBER_ID] })
    }

    fn lines(&self) -> &'static [Line] {
        const NUMBER: Line = Line { ours_id: Some(NUMBER_ID), ..Line::whatsapp("meta", "meta") };
        const { &[NUMBER, Line { label: "meta, no number", customer: "US.13491208655302741918", ..NUMBER }] }
    }

    fn limit(&self, _: Channel) -> Limit {
        Limit::Characters(4_096)
    }

    fn request(&self, line: &Line, text: &str) -> Value {
        post_json(&format!("/v25.0/{NUMBER_ID}/messages"), "Bearer s3cret", message(line, text))
    }

    fn picture(&self, _: &str) -> Option<Picture> {
        let bearer = Some("Bearer s3cret".to_owned());
        let lookaside = "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1&ext=2&hash=3";
        let found = json!({ "url": lookaside, "mime_type": "image/png", "file_size": PICTURE.len(), "id": "1234" });
        Some(Picture {
            media: json!({ "id": "1234", "content_type": "image/png" }),
            gets: vec![
                (format!("/v25.0/1234?phone_number_id={NUMBER_ID}"), bearer.clone()),
                ("/whatsapp_business/attachments/?mid=1&ext=2&hash=3".to_owned(), bearer),
            ],
            answers: vec![Reply::new(200, found), Reply::new(200, PICTURE)],
        })
    }

    fn file_request(&self, line: &Line, _: &str) -> Option<Value> {
        let path = format!("/v25.0/{NUMBER_ID}/messages");
        Some(post_json(&path, "Bearer s3cret", with_picture(message(line, ""))))
    }

    fn upload_path(&self) -> Option<&'static str> {
        Some("/v25.0/106540352242922/media")
    }

    fn text_at(&self) -> &'static str {
        "/text/body"
    }

    fn taken(&self) -> Reply {
        Reply::new(
            200,
            json!({ "messaging_product": "whatsapp", "contacts": [{ "input": "14133881111" }],
                    "messages": [{ "id": "wamid.HBgLMTQxMzM4ODExMTEVAgARGBI" }] }),
        )
    }

    fn refused(&self) -> Reply {
        refusal(131_026)
    }

    fn opted_out(&self) -> Option<Reply> {
        Some(refusal(131_050))
    }

    fn message_id(&self) -> &'static str {
        "wamid.HBgLMTQxMzM4ODExMTEVAgARGBI"
    }

    fn report(&self, id: &str, report: Report<'_>) -> String {
        let change = json!({ "field": "messages", "value": value(id, report) });
        json!({ "object": "whatsapp_business_account", "entry": [{ "id": "1", "changes": [change] }] }).to_string()
    }

    fn failures(&self) -> &'static [(&'static str, &'static str)] {
        FAILURES
    }

    fn reports_reads(&self) -> bool {
        true
    }

    fn headers(&self) -> &'static [&'static str] {
        &["x-hub-signature-256"]
    }

    fn template(&self) -> Template {
        Template::new(json!({ "object": "whatsapp_business_account", "entry": [entry()] }), &WORDS)
    }

    fn fuzz_accounts(&self, secret: &str) -> Vec<Value> {
        vec![
            json!({ "name": "m1", "app_secrets": [secret], "verify_token": secret }),
            json!({ "name": "m2", "app_secrets": [secret], "phone_number_ids": [NUMBER_ID] }),
        ]
    }

    /// A GET is the handshake: its challenge comes back to whoever asks, so a plain word it must be.
    fn sign(&self, webhook: &mut Webhook, secret: &str, input: &Input<'_>) -> bool {
        if webhook.method != Method::GET {
            let signature = hex::encode(fuzz::sha256(secret, &webhook.body));
            fuzz::set(webhook, "x-hub-signature-256", &format!("sha256={signature}"));
            return true;
        }
        let challenge = input.query.unwrap_or("1158201444");
        let others = input.pairs.iter().filter(|(name, _)| !name.starts_with("hub."));
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(others)
            .extend_pairs([("hub.mode", "subscribe"), ("hub.challenge", challenge), ("hub.verify_token", secret)])
            .finish();
        webhook.query = Some(query);
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        (1..=128).contains(&challenge.len()) && challenge.bytes().all(is_plain)
    }
}

/// Words that are read differently.
pub(super) const WORDS: [&str; 12] = [
    "reaction",
    "system",
    "group_id",
    "list_reply",
    "button_reply",
    "nfm_reply",
    "statuses",
    "errors",
    "username",
    "from_user_id",
    "audio",
    "sticker",
];

/// An entry of a webhook.
pub(super) fn entry() -> Value {
    let medium = json!({ "id": "1234", "mime_type": "image/png", "filename": "a.png", "caption": "Look" });
    let reply = json!({ "id": "1", "title": "Yes", "body": "Sent", "response_json": "{}", "name": "flow" });
    json!({ "id": "102290129340398", "changes": [{ "field": "messages", "value": {
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": "12028831111", "phone_number_id": "106540352242922" },
        "contacts": [{ "profile": { "name": "Sheena Nelson" }, "wa_id": "16505551234",
                       "user_id": "US.13491208655302741918" }],
        "messages": [{
            "from": "16505551234", "id": "wamid.1", "timestamp": "1789999999", "type": "text",
            "text": { "body": "Hello agent" }, "context": { "id": "wamid.0" },
            "image": medium, "video": medium, "document": medium,
            "location": { "latitude": 37.48, "longitude": "-122.1", "name": "Home", "address": "1 Main Street" },
            "button": { "payload": "yes", "text": "Yes" },
            "interactive": { "type": "button_reply", "button_reply": reply, "list_reply": reply, "nfm_reply": reply },
            "contacts": [{ "name": { "formatted_name": "Ada Lovelace", "first_name": "Ada", "last_name": "Lovelace" },
                           "org": { "company": "Engines" }, "phones": [{ "phone": "+44 20 7946 0000" }],
                           "emails": [{ "email": "ada@example.com" }] }]
        }]
    } }] })
}
