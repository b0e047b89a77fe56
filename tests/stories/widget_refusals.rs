//! Bad input gets a 4xx that names the field, and costs no call of Connect.

use local::StandIn;
use serde_json::{Value, json};
use tests::{Http, PAGE, environment, invoke, start_chat};

fn nested(depth: usize) -> String {
    format!("{}1{}", "[".repeat(depth), "]".repeat(depth))
}

/// Label, body, status, code, field.
fn bodies() -> Vec<(&'static str, Vec<u8>, u16, &'static str, &'static str)> {
    let mut cases: Vec<(&'static str, Vec<u8>, u16, &'static str, &'static str)> = Vec::new();
    for (label, text, field) in [
        ("empty", String::new(), "body"),
        ("blank", " \n".to_owned(), "body"),
        ("not JSON", "hello".to_owned(), "body"),
        ("a form", "ParticipantDetails=x".to_owned(), "body"),
        ("cut short", r#"{"Attributes":{"a":"#.to_owned(), "body"),
        ("cut short at once", "{".to_owned(), "body"),
        ("cut short in a name", r#"{"Attributes":{"a"#.to_owned(), "body"),
        ("something after the end", "{} {}".to_owned(), "body"),
        ("a list", "[]".to_owned(), "body"),
        ("a string", r#""hi""#.to_owned(), "body"),
        ("null", "null".to_owned(), "body"),
        ("deep nesting alone", nested(10_000), "body"),
        ("deep nesting in an attribute", format!(r#"{{"Attributes":{{"a":{}}}}}"#, nested(10_000)), "Attributes.a"),
        ("deep nesting in a field nobody reads", format!(r#"{{"x":{}}}"#, nested(10_000)), "x"),
        ("a number beyond every double", r#"{"Attributes":{"n":1e999}}"#.to_owned(), "Attributes.n"),
        (
            "a number beyond exact doubles",
            r#"{"Attributes":{"n":123456789012345678901234567890}}"#.to_owned(),
            "Attributes.n",
        ),
        ("a huge duration", r#"{"ChatDurationInMinutes":1e300}"#.to_owned(), "ChatDurationInMinutes"),
        ("a raw control character", "{\"customerName\":\"a\u{0}b\"}".to_owned(), "customerName"),
    ] {
        cases.push((label, text.into_bytes(), 400, "VALIDATION_ERROR", field));
    }
    cases.push(("invalid UTF-8", b"{\"customerName\":\"\xff\"}".to_vec(), 400, "VALIDATION_ERROR", "customerName"));
    let filled = |total: usize| format!("{{\"x\":\"{}\"}}", "y".repeat(total - 8)).into_bytes();
    cases.push(("64 KiB + 1", filled(65_537), 413, "PAYLOAD_TOO_LARGE", ""));
    cases
}

fn objects() -> Vec<(&'static str, Value, &'static str)> {
    let plain = |content: String| json!({ "InitialMessage": { "ContentType": "text/plain", "Content": content } });
    vec![
        ("details are no object", json!({ "ParticipantDetails": "Jo" }), "ParticipantDetails"),
        (
            "a name is no string",
            json!({ "ParticipantDetails": { "DisplayName": 5 } }),
            "ParticipantDetails.DisplayName",
        ),
        (
            "a name too long",
            json!({ "ParticipantDetails": { "DisplayName": "x".repeat(257) } }),
            "ParticipantDetails.DisplayName",
        ),
        (
            "a NUL in a name",
            json!({ "ParticipantDetails": { "DisplayName": "a\u{0}b" } }),
            "ParticipantDetails.DisplayName",
        ),
        ("customerName is no string", json!({ "customerName": ["Jo"] }), "customerName"),
        ("Username is no string", json!({ "Username": {} }), "Username"),
        ("attributes are a list", json!({ "Attributes": [1] }), "Attributes"),
        ("attributes are a string", json!({ "Attributes": "a=b" }), "Attributes"),
        ("an attribute is an object", json!({ "Attributes": { "page": { "a": 1 } } }), "Attributes.page"),
        ("an attribute is a list", json!({ "Attributes": { "page": [] } }), "Attributes.page"),
        ("an attribute's name has a space", json!({ "Attributes": { "a b": "1" } }), "Attributes.a b"),
        ("an attribute's name has a dot", json!({ "Attributes": { "a.b": "1" } }), "Attributes.a.b"),
        ("an attribute's name is not ASCII", json!({ "Attributes": { "é": "1" } }), "Attributes.é"),
        ("an attribute has no name", json!({ "Attributes": { "": "1" } }), "Attributes."),
        ("a NUL in an attribute", json!({ "Attributes": { "a": "\u{0}" } }), "Attributes.a"),
        (
            "attributes over the limit",
            json!({ "Attributes": { "a": "x".repeat(20_000), "b": "x".repeat(12_767) } }),
            "Attributes",
        ),
        ("attributes over the limit in bytes only", json!({ "Attributes": { "a": "é".repeat(16_384) } }), "Attributes"),
        ("a message is no object", json!({ "InitialMessage": "Hi" }), "InitialMessage"),
        ("a message without a type", json!({ "InitialMessage": { "Content": "Hi" } }), "InitialMessage.ContentType"),
        (
            "a message of another type",
            json!({ "InitialMessage": { "ContentType": "text/html", "Content": "Hi" } }),
            "InitialMessage.ContentType",
        ),
        (
            "a message without content",
            json!({ "InitialMessage": { "ContentType": "text/plain" } }),
            "InitialMessage.Content",
        ),
        ("an empty message", plain(String::new()), "InitialMessage.Content"),
        ("a message too long", plain("x".repeat(16_385)), "InitialMessage.Content"),
        ("a message too long in bytes only", plain("é".repeat(8_193)), "InitialMessage.Content"),
        ("a NUL in a message", plain("\u{0}".to_owned()), "InitialMessage.Content"),
        ("a duration too short", json!({ "ChatDurationInMinutes": 59 }), "ChatDurationInMinutes"),
        ("a duration too long", json!({ "ChatDurationInMinutes": 10_081 }), "ChatDurationInMinutes"),
        ("half a minute", json!({ "ChatDurationInMinutes": 60.5 }), "ChatDurationInMinutes"),
        ("a duration as text", json!({ "ChatDurationInMinutes": "60" }), "ChatDurationInMinutes"),
        ("a duration that is true", json!({ "ChatDurationInMinutes": true }), "ChatDurationInMinutes"),
        (
            "content types as text",
            json!({ "SupportedMessagingContentTypes": "text/plain" }),
            "SupportedMessagingContentTypes",
        ),
        (
            "a content type that is a number",
            json!({ "SupportedMessagingContentTypes": ["text/plain", 1] }),
            "SupportedMessagingContentTypes[1]",
        ),
        (
            "an unknown content type",
            json!({ "SupportedMessagingContentTypes": ["text/html"] }),
            "SupportedMessagingContentTypes[0]",
        ),
        ("a client token too long", json!({ "ClientToken": "x".repeat(501) }), "ClientToken"),
        ("a client token that is a number", json!({ "ClientToken": 1 }), "ClientToken"),
        ("an instance that is a number", json!({ "InstanceId": 1 }), "InstanceId"),
        ("a flow that is a list", json!({ "ContactFlowId": [] }), "ContactFlowId"),
        (
            "persistent and related",
            json!({ "PersistentChat": { "SourceContactId": "s", "RehydrationType": "FROM_SEGMENT" }, "RelatedContactId": "r" }),
            "RelatedContactId",
        ),
        (
            "an unknown rehydration",
            json!({ "PersistentChat": { "SourceContactId": "s", "RehydrationType": "ALL" } }),
            "PersistentChat.RehydrationType",
        ),
        ("persistent chat as text", json!({ "PersistentChat": "s" }), "PersistentChat"),
        (
            "a source contact too long",
            json!({ "PersistentChat": { "SourceContactId": "s".repeat(257), "RehydrationType": "FROM_SEGMENT" } }),
            "PersistentChat.SourceContactId",
        ),
        ("an empty related contact", json!({ "RelatedContactId": "" }), "RelatedContactId"),
        ("a customer id too long", json!({ "CustomerId": "c".repeat(129) }), "CustomerId"),
        (
            "an unknown response mode",
            json!({ "ParticipantConfiguration": { "ResponseMode": "FAST" } }),
            "ParticipantConfiguration.ResponseMode",
        ),
        ("nobody to disconnect", json!({ "DisconnectOnCustomerExit": [] }), "DisconnectOnCustomerExit"),
        (
            "somebody else to disconnect",
            json!({ "DisconnectOnCustomerExit": ["CUSTOMER"] }),
            "DisconnectOnCustomerExit[0]",
        ),
        ("an unknown connection", json!({ "ConnectionTypes": ["SMOKE"] }), "ConnectionTypes[0]"),
        (
            "too many connections",
            json!({ "ConnectionTypes": ["WEBSOCKET", "CONNECTION_CREDENTIALS", "WEBRTC_CONNECTION"] }),
            "ConnectionTypes",
        ),
        ("one connection twice", json!({ "ConnectionTypes": ["WEBSOCKET", "WEBSOCKET"] }), "ConnectionTypes[1]"),
        ("segments as a list", json!({ "SegmentAttributes": [] }), "SegmentAttributes"),
        (
            "a segment of two kinds",
            json!({ "SegmentAttributes": { "a": { "ValueString": "x", "ValueInteger": 1 } } }),
            "SegmentAttributes.a",
        ),
        ("a segment of no kind", json!({ "SegmentAttributes": { "a": {} } }), "SegmentAttributes.a"),
        (
            "a segment's text too long",
            json!({ "SegmentAttributes": { "a": { "ValueString": "x".repeat(1025) } } }),
            "SegmentAttributes.a.ValueString",
        ),
        (
            "a segment's name too long",
            json!({ "SegmentAttributes": { "a".repeat(129): { "ValueString": "x" } } }),
            &LONG_NAME,
        ),
        (
            "a segment's number too large",
            json!({ "SegmentAttributes": { "a": { "ValueInteger": 2_147_483_648_u64 } } }),
            "SegmentAttributes.a.ValueInteger",
        ),
        (
            "a segment deep down",
            json!({ "SegmentAttributes": { "a": { "ValueList": [{ "ValueMap": { "b": { "ValueInteger": "1" } } }] } } }),
            "SegmentAttributes.a.ValueList[0].ValueMap.b.ValueInteger",
        ),
        (
            "a guide without interactive messages",
            json!({ "SegmentAttributes": { "connect:Subtype": { "ValueString": "connect:Guide" } } }),
            "SupportedMessagingContentTypes",
        ),
        (
            "streaming without an address",
            json!({ "ChatStreamingConfiguration": {} }),
            "ChatStreamingConfiguration.StreamingEndpointArn",
        ),
    ]
}

/// A name in an error is cut after a hundred characters.
static LONG_NAME: std::sync::LazyLock<String> =
    std::sync::LazyLock::new(|| format!("SegmentAttributes.{}…", "a".repeat(100)));

#[tokio::test]
async fn bad_input_names_its_field_and_costs_nothing() {
    let connect = StandIn::start().await.unwrap();
    let mut environment = environment();
    environment.push(("UNSIGNED_IDENTITY", "true".to_owned()));
    let function = start_chat(&environment, connect.url()).await;
    let objects = objects()
        .into_iter()
        .map(|(label, body, field)| (label, body.to_string().into_bytes(), 400, "VALIDATION_ERROR", field));
    for (label, body, status, code, field) in bodies().into_iter().chain(objects) {
        let request = Http::new("POST", "/chat").header("origin", PAGE).body(body);
        let answer = invoke(&function, &request.http_api()).await;
        assert_eq!((answer.status, answer.code()), (status, Some(code)), "{label}: {:?}", answer.body);
        assert_eq!(answer.field().unwrap_or_default(), field, "{label}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE), "{label}");
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(message.starts_with(field) && message.len() > 10 && message.len() < 400, "{label}: {message}");
    }
    assert_eq!(connect.calls().len(), 0);
}

#[tokio::test]
async fn what_is_not_the_callers_to_choose() {
    let connect = StandIn::start().await.unwrap();
    let function = start_chat(&environment(), connect.url()).await;
    let stranger = "arn:aws:sns:us-east-1:999999999999:theirs";
    for (label, body, code, field) in [
        ("another instance", json!({ "InstanceId": "other" }), "INSTANCE_NOT_ALLOWED", "InstanceId"),
        (
            "another instance, the other spelling",
            json!({ "ConnectInstanceId": "other" }),
            "INSTANCE_NOT_ALLOWED",
            "ConnectInstanceId",
        ),
        ("an unlisted flow", json!({ "ContactFlowId": "other" }), "FLOW_NOT_ALLOWED", "ContactFlowId"),
        (
            "a stranger's topic",
            json!({ "ChatStreamingConfiguration": { "StreamingEndpointArn": stranger } }),
            "STREAMING_NOT_ALLOWED",
            "ChatStreamingConfiguration.StreamingEndpointArn",
        ),
    ] {
        let answer = invoke(&function, &Http::chat(&body).http_api()).await;
        assert_eq!((answer.status, answer.code(), answer.field()), (403, Some(code), Some(field)), "{label}");
    }
    assert_eq!(connect.calls().len(), 0);
}

#[tokio::test]
async fn methods_and_paths() {
    let connect = StandIn::start().await.unwrap();
    let function = start_chat(&environment(), connect.url()).await;
    for (method, path, status, code) in [
        ("GET", "/chat", 405, "METHOD_NOT_ALLOWED"),
        ("HEAD", "/", 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", "/chat", 405, "METHOD_NOT_ALLOWED"),
        ("PATCH", "/", 405, "METHOD_NOT_ALLOWED"),
        ("PUT", "/chat", 404, "NOT_FOUND"),
        ("PUT", "/", 404, "NOT_FOUND"),
    ] {
        let answer = invoke(&function, &Http::new(method, path).header("origin", PAGE).body("{}").http_api()).await;
        assert_eq!((answer.status, answer.code()), (status, Some(code)), "{method} {path}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE), "{method} {path}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{method} {path}");
    }
    assert_eq!(connect.calls().len(), 0);
    for path in ["", "/", "/chat", "/chat/", "/prod/chat", "/startChatContact", "/a/../b", "/%zz", "/\"", "/chat end"] {
        let answer = invoke(&function, &Http::new("POST", path).header("origin", PAGE).body("{}").http_api()).await;
        assert_eq!(answer.status, 200, "POST {path}");
    }
}
