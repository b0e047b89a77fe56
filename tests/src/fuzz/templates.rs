//! Whole documents, each with as much in it as its reader knows. Webhooks' are beside their providers.

use std::sync::LazyLock;

use serde_json::json;

use super::input::Template;
use crate::providers;

/// Stands in every secret and number of the settings. No name of a field or an account can hold it.
pub(super) const CANARY: &str = "+CANARY+";

/// Every secret and every number in it holds the [`CANARY`].
pub(super) static SETTINGS: LazyLock<Template> = LazyLock::new(|| {
    let secret = format!("{CANARY}0123456789abcdef0123456789abcdef");
    let number = json!({ "contact_flow_id": "flow", "destination_id": "destination", "display_name": "Sales",
                         "attributes": { "brand": "acme" } });
    let mut value = json!({
        "widget": { "signing_keys": [secret] },
        "accounts": [
            { "name": "us", "provider": "twilio", "auth_tokens": [secret, secret], "shared_keys": { "main": secret },
              "account_sid": "AC1", "api_key_sid": "SK1", "api_key_secret": secret, "max_age_seconds": 0,
              "numbers": { (format!("{CANARY}1")): number }, "opt_out_words": ["STOP"],
              "send_base_url": "https://api.example" }
        ]
    });
    if let Some(accounts) = value["accounts"].as_array_mut() {
        accounts.extend(providers::names().into_iter().map(|provider| providers::account_with(provider, &secret)));
    }
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
