//! Whole documents, each with as much in it as its reader knows. What excludes other things (`type`) is one of many
//! words that an edit may put there.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::input::Template;

/// Stands in every secret and number of the settings. No name of a field or an account can hold it.
pub(super) const CANARY: &str = "+CANARY+";

/// The topic of the accounts at AWS.
pub(super) const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:two-way-sms";

pub(super) static TWILIO: LazyLock<Template> = LazyLock::new(|| {
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
});

pub(super) static SIGNALWIRE: LazyLock<Template> = LazyLock::new(|| {
    let value = json!({
        "MessageSid": "b8d5c1f2-0d1e-4c5b-9c0a-111111111111", "AccountSid": "720796a0-8ee9-4350-83bd-2d07a3121f1e",
        "From": "+14133881111", "To": "+12028831111", "Body": "Hello agent", "NumSegments": "1",
        "MediaUrl0": "https://media.example/1", "MessageStatus": "received",
        "event": "messaging.receive", "message_id": "b8d5c1f2-0d1e-4c5b-9c0a-222222222222", "project_id": "720796a0",
        "from": "+14133881112", "to": "+12028831111", "body": "Hello", "segments": 2, "media": ["https://m.example/1"],
        "params": { "id": "b8d5c1f2", "from_number": "+14133881113", "to_number": "+12028831111", "media": [],
                    "body": "Ho" }
    });
    Template::new(value, &["event_type", "CallSid", "SmsStatus", "bodySHA256"])
});

pub(super) static TELNYX: LazyLock<Template> = LazyLock::new(|| {
    let value = json!({
        "data": { "event_type": "message.received", "id": "b301ed3f", "payload": {
            "id": "84cca175-9755-4859-b67f-4730d7f58aa3", "direction": "inbound", "type": "SMS",
            "from": { "phone_number": "+13125550001" },
            "to": [{ "phone_number": "+17735550002", "status": "webhook_delivered" },
                   { "phone_number": "+17735550003" }],
            "cc": [{ "phone_number": "+17735550004" }], "text": "Hello agent",
            "media": [{ "url": "https://media.example/1", "content_type": "image/png", "size": 10 }],
            "encoding": "GSM-7", "parts": 1, "received_at": "2026-09-21T14:13:18.000+00:00",
            "autoresponse_type": "STOP" } }
    });
    Template::new(value, &["MMS", "HELP", "message.sent", "outbound"])
});

pub(super) static VONAGE: LazyLock<Template> = LazyLock::new(|| {
    let value = json!({
        "msisdn": "447700900001", "to": "447700900000", "messageId": "0A0000000123ABCD1", "text": "Hello agent",
        "type": "text", "keyword": "HELLO", "api-key": "abcd1234", "message-timestamp": "2026-09-21 14:13:19",
        "timestamp": "1789999999", "concat": "true", "concat-ref": "7", "concat-total": "3", "concat-part": 2,
        "data": "48656c6c6f", "udh": "050003010201"
    });
    Template::new(
        value,
        &["unicode", "binary", "00480065", "06050415810000", "status", "scts", "err-code", "sig", "vcard"],
    )
});

pub(super) static VONAGE_MESSAGES: LazyLock<Template> = LazyLock::new(|| {
    let medium = json!({ "url": "https://media.example/1", "name": "a.png", "caption": "Look" });
    let mut value = json!({
        "channel": "whatsapp", "message_uuid": "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab", "to": "447700900000",
        "from": "447700900001", "timestamp": "2026-09-21T14:13:18Z", "message_type": "text", "text": "Hello agent",
        "sms": { "num_messages": "2", "total_count": 2 }, "profile": { "name": "Jo" },
        "context": { "message_uuid": "aaaaaaaa" },
        "whatsapp": { "sender": { "wa_id": "447700900002", "user_id": "US.13491208655302741918",
                                  "parent_user_id": "US.ENT.1" } },
        "location": { "lat": 51.5, "long": "-0.1", "name": "Home", "address": "1 Main Street" },
        "reply": { "id": "1", "title": "Yes", "description": "Indeed" }, "button": { "payload": "yes", "text": "Yes" }
    });
    for kind in ["image", "audio", "video", "file", "vcard", "sticker"] {
        value[kind] = medium.clone();
    }
    Template::new(value, &["mms", "rcs", "messenger", "reaction", "status"])
});

/// What AWS hands on of Meta's.
pub(super) static META_ENTRY: LazyLock<Template> = LazyLock::new(|| Template::new(entry(), &META_WORDS));

pub(super) static META: LazyLock<Template> =
    LazyLock::new(|| Template::new(json!({ "object": "whatsapp_business_account", "entry": [entry()] }), &META_WORDS));

const META_WORDS: [&str; 12] = [
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

fn entry() -> Value {
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

pub(super) static AWS_SMS: LazyLock<Template> = LazyLock::new(|| {
    let value = json!({
        "originationNumber": "+14255550182", "destinationNumber": "+12125550101", "messageKeyword": "JOIN",
        "messageBody": "Hello agent", "inboundMessageId": "cae173d2-66b9-564c-8309-21f858e9fb84",
        "previousPublishedMessageId": "wJalrXUtnFEMI"
    });
    Template::new(value, &["whatsAppWebhookEntry", "{\"changes\":[]}"])
});

pub(super) static ENVELOPE: LazyLock<Template> = LazyLock::new(|| {
    let value = json!({
        "Type": "Notification", "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "TopicArn": TOPIC, "Message": "{}",
        "Timestamp": "2026-09-21T14:13:19.012Z", "SignatureVersion": "2", "Signature": "AAAA", "Subject": "a subject",
        "Token": "2336412f37", "SubscribeURL": "https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription",
        "SigningCertURL":
            "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
    });
    Template::new(value, &["SubscriptionConfirmation", "UnsubscribeConfirmation", "SigningCertUrl"])
});

/// Every secret and every number in it holds the [`CANARY`].
pub(super) static SETTINGS: LazyLock<Template> = LazyLock::new(|| {
    let secret = format!("{CANARY}0123456789abcdef");
    let public_key = format!("{CANARY}{:A<35}=", "");
    let number = json!({ "contact_flow_id": "flow", "destination_id": "destination", "display_name": "Sales",
                         "attributes": { "brand": "acme" } });
    let value = json!({
        "widget": { "signing_keys": [secret] },
        "accounts": [
            { "name": "us", "provider": "twilio", "auth_tokens": [secret, secret], "shared_keys": { "main": secret },
              "account_sid": "AC1", "api_key_sid": "SK1", "api_key_secret": secret, "max_age_seconds": 0,
              "numbers": { (format!("{CANARY}1")): number }, "opt_out_words": ["STOP"],
              "send_base_url": "https://api.example" },
            { "provider": "signalwire", "signing_keys": [secret], "space": "space", "project_id": "1",
              "api_token": secret },
            { "provider": "telnyx", "public_keys": [public_key], "api_key": secret, "max_age_seconds": 600 },
            { "provider": "vonage", "signature_secrets": [secret], "signature_method": "sha512",
              "api_key": "k", "api_secret": secret },
            { "provider": "vonage-messages", "signature_secrets": [secret], "application_id": "a",
              "private_key": secret },
            { "provider": "aws-sns", "topic_arns": [TOPIC] },
            { "provider": "meta", "app_secrets": [secret], "verify_token": secret, "access_token": secret,
              "phone_number_ids": ["1"] }
        ]
    });
    Template::new(value, &["plivo", "md5", "-----BEGIN", "https://user:secret@host", "unknown"])
});

pub(super) static WIDGET: LazyLock<Template> = LazyLock::new(|| {
    let value = json!({
        "InstanceId": crate::INSTANCE, "ContactFlowId": crate::FLOW,
        "ParticipantDetails": { "DisplayName": "Jo" }, "Attributes": { "page": "home", "count": 1 },
        "InitialMessage": { "ContentType": "text/plain", "Content": "Hello" }, "ClientToken": "token",
        "ChatDurationInMinutes": 60, "SupportedMessagingContentTypes": ["text/plain", "text/markdown"],
        "PersistentChat": { "RehydrationType": "ENTIRE_PAST_SESSION", "SourceContactId": "1" },
        "SegmentAttributes": {
            "connect:Subtype": { "ValueString": "connect:Guide-not" }, "whole": { "ValueInteger": 1 },
            "map": { "ValueMap": { "arn": { "ValueArn": "arn:aws:x" } } },
            "list": { "ValueList": [{ "ValueString": "a" }] } },
        "CustomerId": "1", "ParticipantConfiguration": { "ResponseMode": "COMPLETE" },
        "DisconnectOnCustomerExit": ["AGENT"], "ConnectionTypes": ["WEBSOCKET", "CONNECTION_CREDENTIALS"],
        "ChatStreamingConfiguration": { "StreamingEndpointArn": crate::TOPIC }
    });
    let words = [
        "ConnectInstanceId",
        "customerName",
        "Username",
        "RelatedContactId",
        "connect:Guide",
        "FROM_SEGMENT",
        "application/vnd.amazonaws.connect.message.interactive",
        "application/vnd.amazonaws.connect.message.interactive.response",
    ];
    Template::new(value, &words)
});

pub(super) static STREAMED: LazyLock<Template> = LazyLock::new(|| {
    let value = json!({
        "AbsoluteTime": "2024-03-20T09:36:56.174Z", "Id": "i-1", "Type": "MESSAGE", "ContentType": "text/markdown",
        "Content": "**Hello**, see [our page](https://shop.example) and\n\n1. one\n2. two", "ParticipantId": "p-1",
        "DisplayName": "Ana", "ParticipantRole": "AGENT", "InitialContactId": "c-1", "ContactId": "c-2",
        "Attachments": [{ "AttachmentName": "x.png", "Status": "APPROVED", "ContentType": "image/png" }],
        "MessageMetadata": { "MessageCompleted": true, "ChunkNumber": 1 },
    });
    let picker = r#"{"templateType":"ListPicker","version":"1.0","data":{"content":{"title":"What?","subtitle":"Tap",
                     "elements":[{"title":"Orders","subtitle":"Where?"},{"title":"Billing"}]}}}"#;
    let words = [
        picker,
        "ATTACHMENT",
        "EVENT",
        "CUSTOMER",
        "SYSTEM",
        "text/plain",
        "application/vnd.amazonaws.connect.message.interactive",
        "application/vnd.amazonaws.connect.event.chat.ended",
        "REJECTED",
        "\u{1f469}\u{200d}\u{1f467} caf\u{e9} [x] \u{20ac}",
    ];
    Template::new(value, &words)
});
