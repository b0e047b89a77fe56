//! Every parameter of `StartChatContact` reaches Connect, under the owner's rules; and a repeat is one chat.

use local::StandIn;
use serde_json::{Value, json};
use tests::{Answer, Http, INSTANCE, PAGE, TOPIC, environment, invoke, start_chat};

#[tokio::test]
async fn every_parameter_reaches_connect() {
    let connect = StandIn::start().await.unwrap();
    let mut environment = environment();
    environment.push(("UNSIGNED_IDENTITY", "true".to_owned()));
    environment.push(("STREAMING_TOPIC_ARN", TOPIC.to_owned()));
    environment.push(("EXTRA_CONTACT_FLOW_IDS", "sales, support".to_owned()));
    environment.push(("FEATURE_ATTACHMENTS", "true".to_owned()));
    environment.push(("CHAT_DURATION_MINUTES", "90".to_owned()));
    let function = start_chat(&environment, connect.url()).await;
    let segments = json!({
        "connect:Subtype": { "ValueString": "connect:Guide" },
        "tier": { "ValueInteger": 3 },
        "owner": { "ValueArn": "arn:aws:connect:us-east-1:123456789012:instance/i/agent/a" },
        "tags": { "ValueList": [{ "ValueString": "a" }, { "ValueMap": { "deep": { "ValueString": "b" } } }] },
    });
    let body = json!({
        "InstanceId": INSTANCE, "ContactFlowId": "support",
        "Attributes": { "page": "/cart", "customerName": "someone else" },
        "ParticipantDetails": { "DisplayName": "Zoë 👋" },
        "ParticipantConfiguration": { "ResponseMode": "INCREMENTAL" },
        "InitialMessage": { "ContentType": "text/markdown", "Content": "**Hi**" },
        "SupportedMessagingContentTypes": ["text/markdown", "application/vnd.amazonaws.connect.message.interactive",
                                           "application/vnd.amazonaws.connect.message.interactive.response"],
        "RelatedContactId": "related", "CustomerId": "customer-1", "SegmentAttributes": segments,
        "DisconnectOnCustomerExit": ["AGENT"], "ConnectionTypes": ["WEBSOCKET", "CONNECTION_CREDENTIALS"],
        "ChatStreamingConfiguration": { "StreamingEndpointArn": TOPIC },
        "Unknown": { "is": ["ignored"] },
    });
    let answer = invoke(&function, &Http::chat(&body).http_api()).await;
    assert_eq!(answer.status, 200, "{answer:?}");

    let mut asked = body.clone();
    asked.as_object_mut().unwrap().remove("Unknown");
    asked["SupportedMessagingContentTypes"].as_array_mut().unwrap().push(json!("text/plain"));
    // The owner's default, since the widget named none.
    asked["ChatDurationInMinutes"] = json!(90);
    asked["Attributes"]["channel"] = json!("web");
    let sent = &connect.calls()[0].body;
    asked["ClientToken"] = sent["ClientToken"].clone();
    assert_eq!(*sent, asked);

    let result = &answer.body["data"]["startChatResult"];
    for field in [
        "/ConnectionCredentials/ConnectionToken",
        "/ConnectionCredentials/Expiry",
        "/Websocket/Url",
        "/Websocket/ConnectionExpiry",
        "/StreamingId",
    ] {
        assert!(result.pointer(field).is_some_and(Value::is_string), "{field}: {result}");
    }
    assert_eq!(answer.body["data"]["featurePermissions"]["ATTACHMENTS"], true);
}

#[tokio::test]
async fn a_persistent_chat_goes_on_from_the_last() {
    let connect = StandIn::start().await.unwrap();
    let mut environment = environment();
    environment.push(("UNSIGNED_IDENTITY", "true".to_owned()));
    let function = start_chat(&environment, connect.url()).await;
    let first = invoke(&function, &Http::chat(&json!({})).http_api()).await;
    let first = first.body["data"]["startChatResult"]["ContactId"].as_str().unwrap().to_owned();
    connect.end(&first).unwrap();

    let persistent = json!({ "RehydrationType": "ENTIRE_PAST_SESSION", "SourceContactId": first });
    let next = invoke(&function, &Http::chat(&json!({ "PersistentChat": persistent })).http_api()).await;
    assert_eq!(next.body["data"]["startChatResult"]["ContinuedFromContactId"], json!(first));
    assert_eq!(connect.calls()[1].body["PersistentChat"], persistent);
}

/// What clients send without meaning it is left out, and what they leave out is filled in.
#[tokio::test]
async fn clients_oddities_are_forgiven() {
    let connect = StandIn::start().await.unwrap();
    let mut environment = environment();
    environment.push(("UNSIGNED_IDENTITY", "true".to_owned()));
    let function = start_chat(&environment, connect.url()).await;
    for (label, body, asked) in [
        (
            "nothing at all",
            json!({}),
            json!({ "ParticipantDetails": { "DisplayName": "Customer" }, "Attributes": { "customerName": "Customer" } }),
        ),
        (
            "nulls everywhere",
            json!({ "InstanceId": null, "ContactFlowId": null, "Attributes": null, "ParticipantDetails": null, "InitialMessage": null,
                    "ClientToken": null, "ChatDurationInMinutes": null, "SupportedMessagingContentTypes": null, "PersistentChat": null,
                    "RelatedContactId": null, "SegmentAttributes": null, "CustomerId": null, "ParticipantConfiguration": null,
                    "DisconnectOnCustomerExit": null, "ConnectionTypes": null, "ChatStreamingConfiguration": null, "Username": null }),
            json!({ "ParticipantDetails": { "DisplayName": "Customer" }, "Attributes": { "customerName": "Customer" } }),
        ),
        (
            "empty ids and an incomplete persistent chat",
            json!({ "InstanceId": "", "ConnectInstanceId": "", "ContactFlowId": "", "ParticipantDetails": { "DisplayName": " " },
                    "PersistentChat": { "SourceContactId": "", "RehydrationType": "" }, "RelatedContactId": "r", "Username": "jo" }),
            json!({ "ParticipantDetails": { "DisplayName": "jo" }, "Attributes": { "customerName": "jo" }, "RelatedContactId": "r" }),
        ),
        (
            "attributes of other types",
            json!({ "Attributes": { "n": 1, "f": 1.5, "big": 9_007_199_254_740_993_i64, "b": false, "none": null, "s": "", "customerName": "Al" } }),
            json!({ "ParticipantDetails": { "DisplayName": "Al" },
                    "Attributes": { "n": "1", "f": "1.5", "big": "9007199254740993", "b": "false", "s": "", "customerName": "Al" } }),
        ),
        (
            "a list that was split on commas",
            json!({ "SupportedMessagingContentTypes": [" text/markdown", "", "text/markdown", " "], "ChatDurationInMinutes": 60.0 }),
            json!({ "ParticipantDetails": { "DisplayName": "Customer" }, "Attributes": { "customerName": "Customer" },
                    "SupportedMessagingContentTypes": ["text/markdown", "text/plain"], "ChatDurationInMinutes": 60 }),
        ),
        (
            "the name in three places",
            json!({ "ParticipantDetails": { "DisplayName": "" }, "customerName": "Top", "Username": "user", "Attributes": { "customerName": "Attribute" } }),
            json!({ "ParticipantDetails": { "DisplayName": "Top" }, "Attributes": { "customerName": "Attribute" } }),
        ),
    ] {
        connect.forget_calls();
        let answer = invoke(&function, &Http::chat(&body).http_api()).await;
        assert_eq!(answer.status, 200, "{label}: {answer:?}");
        let mut sent = connect.calls()[0].body.clone();
        for constant in ["InstanceId", "ContactFlowId", "ClientToken"] {
            sent.as_object_mut().unwrap().remove(constant).unwrap();
        }
        assert_eq!(sent["Attributes"].as_object_mut().unwrap().remove("channel"), Some(json!("web")), "{label}");
        assert_eq!(sent, asked, "{label}");
    }
}

#[tokio::test]
async fn limits_themselves_are_allowed() {
    let connect = StandIn::start().await.unwrap();
    let function = start_chat(&environment(), connect.url()).await;
    for (label, body) in [
        ("attributes filled to the last byte", json!({ "Attributes": { "k": "é".repeat(16_378), "x": "" } })),
        ("a display name of 256 characters", json!({ "ParticipantDetails": { "DisplayName": "é".repeat(256) } })),
        (
            "16384 bytes of content",
            json!({ "InitialMessage": { "ContentType": "text/plain", "Content": "é".repeat(8_192) } }),
        ),
        ("the shortest chat", json!({ "ChatDurationInMinutes": 60 })),
        ("the longest chat", json!({ "ChatDurationInMinutes": 10_080 })),
        ("a client token of 500", json!({ "ClientToken": "t".repeat(500) })),
    ] {
        let answer = invoke(&function, &Http::chat(&body).http_api()).await;
        assert_eq!(answer.status, 200, "{label}: {answer:?}");
    }
}

fn contact(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["data"]["startChatResult"]["ContactId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_repeat_is_one_chat_and_a_strangers_is_another() {
    let connect = StandIn::start().await.unwrap();
    let mut environment = environment();
    environment.push(("ALLOWED_ORIGINS", "*".to_owned()));
    environment.push(("EXTRA_CONTACT_FLOW_IDS", "sales".to_owned()));
    let function = start_chat(&environment, connect.url()).await;
    let key = "0123456789abcdef";
    let body = json!({ "ParticipantDetails": { "DisplayName": "Jo" }, "ClientToken": key, "Attributes": { "a": "1", "b": "2" } });
    let first = contact(&invoke(&function, &Http::chat(&body).http_api()).await);

    let reordered = format!(r#"{{"Attributes":{{"b":"2","a":1}},"ClientToken":"{key}","customerName":"Jo"}}"#);
    let header = json!({ "ParticipantDetails": { "DisplayName": "Jo" }, "Attributes": { "a": "1", "b": "2" } });
    for (label, request, same) in [
        ("the same again", Http::chat(&body), true),
        ("the same, written in another order", Http::chat(&json!({})).body(reordered), true),
        ("the key as a header", Http::chat(&header).header("Idempotency-Key", key), true),
        (
            "another page",
            Http::new("POST", "/chat").header("origin", "https://other.example").body(body.to_string()),
            false,
        ),
        ("no page", Http::new("POST", "/chat").body(body.to_string()), false),
        ("another name", Http::chat(&with(&body, "ParticipantDetails", json!({ "DisplayName": "Al" }))), false),
        ("another attribute", Http::chat(&with(&body, "Attributes", json!({ "a": "1", "b": "3" }))), false),
        ("another flow", Http::chat(&with(&body, "ContactFlowId", json!("sales"))), false),
        ("another key", Http::chat(&with(&body, "ClientToken", json!("0123456789abcdeF"))), false),
    ] {
        let again = contact(&invoke(&function, &request.http_api()).await);
        assert_eq!(again == first, same, "{label}");
    }
    // Keys never leave as they came.
    assert!(connect.calls().iter().all(|call| !call.body["ClientToken"].as_str().unwrap().contains(key)));

    // A short key is too easy to meet by chance.
    let short = with(&body, "ClientToken", json!("0123456789abcde"));
    let one = contact(&invoke(&function, &Http::chat(&short).http_api()).await);
    let two = contact(&invoke(&function, &Http::chat(&short).http_api()).await);
    assert_ne!(one, two);
}

fn with(body: &Value, field: &str, value: Value) -> Value {
    let mut body = body.clone();
    body[field] = value;
    body
}

#[tokio::test]
async fn origins_are_told_what_they_may_read() {
    let connect = StandIn::start().await.unwrap();
    let exact = "https://shop.example,https://*.corp.example";
    for (allowed, origin, status, told) in [
        (exact, Some(PAGE), 200, Some(PAGE)),
        (exact, Some("https://a.corp.example"), 200, Some("https://a.corp.example")),
        (exact, Some("https://corp.example"), 403, None),
        (exact, Some("null"), 403, None),
        (exact, None, 200, None),
        ("*", Some("https://anyone.example"), 200, Some("*")),
        ("*", Some("null"), 200, Some("*")),
        ("*", None, 200, Some("*")),
    ] {
        let mut environment = environment();
        environment.push(("ALLOWED_ORIGINS", allowed.to_owned()));
        let function = start_chat(&environment, connect.url()).await;
        let mut request = Http::new("POST", "/chat").body("{}");
        if let Some(origin) = origin {
            request = request.header("Origin", origin);
        }
        let answer = invoke(&function, &request.http_api()).await;
        assert_eq!(answer.status, status, "{allowed} {origin:?}");
        assert_eq!(answer.header("access-control-allow-origin"), told, "{allowed} {origin:?}");
        assert_eq!(answer.header("vary"), Some("Origin"), "{allowed} {origin:?}");
        assert_eq!(
            answer.header("access-control-expose-headers"),
            Some("retry-after, x-amzn-errortype"),
            "{allowed} {origin:?}"
        );
    }
}
