//! StartChatContact, StopContact and quotas.

use std::time::Duration;

use local::{Config, Instance, Limits, Operation, Rate};
use serde_json::{Value, json};

use crate::client::{Client, TOPIC, text, with};

const INVALID_REQUEST: &str = "InvalidRequestException";
const INVALID_PARAMETER: &str = "InvalidParameterException";

#[tokio::test]
async fn every_parameter_is_kept() {
    let client = Client::start().await;
    let request = with(json!({
        "Attributes": { "page": "/cart", "empty": "" },
        "ParticipantConfiguration": { "ResponseMode": "INCREMENTAL" },
        "InitialMessage": { "ContentType": "text/markdown", "Content": "*Hi*" },
        "ClientToken": "token",
        "ChatDurationInMinutes": 60,
        "SupportedMessagingContentTypes": ["text/plain", "text/markdown"],
        "RelatedContactId": "related",
        "SegmentAttributes": { "connect:Subtype": { "ValueString": "x" }, "n": { "ValueInteger": 1 } },
        "CustomerId": "customer",
        "DisconnectOnCustomerExit": ["AGENT"],
        "ConnectionTypes": ["WEBSOCKET", "CONNECTION_CREDENTIALS"],
        "ChatStreamingConfiguration": { "StreamingEndpointArn": TOPIC },
        "NotAParameter": 1,
    }));
    let answer = client.start_chat(&request).await.ok();
    let contact = client.stand_in.contact(answer["ContactId"].as_str().unwrap()).unwrap();
    assert_eq!(answer["ParticipantId"], json!(contact.participant_id));
    assert_eq!(answer["StreamingId"], json!(contact.streaming[0].id));
    assert!(answer["Websocket"]["Url"].as_str().unwrap().starts_with("ws://127.0.0.1:"));
    assert!(answer["ConnectionCredentials"]["ConnectionToken"].is_string());
    assert!(answer.get("ContinuedFromContactId").is_none());
    assert_eq!(
        serde_json::to_value(&contact).unwrap(),
        json!({
            "id": answer["ContactId"], "initial_id": answer["ContactId"], "ids": [answer["ContactId"]],
            "instance_id": request["InstanceId"], "flow_id": request["ContactFlowId"],
            "attributes": request["Attributes"], "segment_attributes": request["SegmentAttributes"],
            "display_name": "Jane", "participant_id": answer["ParticipantId"], "response_mode": "INCREMENTAL",
            "supported_content_types": ["text/plain", "text/markdown"],
            "initial_message": ["text/markdown", "*Hi*"], "client_token": "token", "duration_minutes": 60,
            "related_contact_id": "related", "customer_id": "customer", "disconnect_on_customer_exit": ["AGENT"],
            "continued_from": null, "integration": null,
            "streaming": [{ "id": answer["StreamingId"], "topic_arn": TOPIC }],
            "connected": false, "agent": null, "ended": false, "end_reason": null, "typing_at": null,
            "transcript": [],
        })
    );
    let call = &client.stand_in.calls_to(Operation::StartChatContact)[0];
    assert_eq!((call.body.clone(), call.status, call.method.as_str()), (request, Some(200), "PUT"));
}

#[tokio::test]
async fn constraints() {
    let client = Client::start().await;
    let long = |count: usize| "x".repeat(count);
    let members: [(&str, Value, &str); 46] = [
        ("InstanceId", Value::Null, INVALID_REQUEST),
        ("InstanceId", json!(""), INVALID_PARAMETER),
        ("InstanceId", json!(long(101)), INVALID_PARAMETER),
        ("InstanceId", json!(1), INVALID_REQUEST),
        ("ContactFlowId", Value::Null, INVALID_REQUEST),
        ("ContactFlowId", json!(""), INVALID_PARAMETER),
        ("ContactFlowId", json!(long(501)), INVALID_PARAMETER),
        ("ParticipantDetails", Value::Null, INVALID_REQUEST),
        ("ParticipantDetails", json!("Jane"), INVALID_REQUEST),
        ("ParticipantDetails", json!({}), INVALID_REQUEST),
        ("ParticipantDetails", json!({ "DisplayName": "" }), INVALID_PARAMETER),
        ("ParticipantDetails", json!({ "DisplayName": long(257) }), INVALID_PARAMETER),
        ("Attributes", json!([]), INVALID_REQUEST),
        ("Attributes", json!({ "a b": "" }), INVALID_PARAMETER),
        ("Attributes", json!({ "": "" }), INVALID_PARAMETER),
        ("Attributes", json!({ "ключ": "" }), INVALID_PARAMETER),
        ("Attributes", json!({ "a": 1 }), INVALID_REQUEST),
        ("Attributes", json!({ "a": null }), INVALID_REQUEST),
        ("Attributes", json!({ "a": long(32_768) }), INVALID_PARAMETER),
        ("Attributes", json!({ "a": long(32_000), "b": long(767) }), INVALID_PARAMETER),
        ("Attributes", json!({ "a": "é".repeat(16_384) }), INVALID_PARAMETER),
        ("ParticipantConfiguration", json!({ "ResponseMode": "SLOW" }), INVALID_PARAMETER),
        ("InitialMessage", json!({ "Content": "Hi" }), INVALID_REQUEST),
        ("InitialMessage", json!({ "ContentType": "text/plain" }), INVALID_REQUEST),
        ("InitialMessage", json!({ "ContentType": "text/plain", "Content": "" }), INVALID_PARAMETER),
        ("InitialMessage", json!({ "ContentType": "text/plain", "Content": long(16_385) }), INVALID_PARAMETER),
        ("InitialMessage", json!({ "ContentType": "text/html", "Content": "Hi" }), INVALID_PARAMETER),
        ("InitialMessage", json!({ "ContentType": "text/markdown", "Content": "Hi" }), INVALID_PARAMETER),
        ("ClientToken", json!(long(501)), INVALID_PARAMETER),
        ("ChatDurationInMinutes", json!(59), INVALID_PARAMETER),
        ("ChatDurationInMinutes", json!(10_081), INVALID_PARAMETER),
        ("ChatDurationInMinutes", json!("60"), INVALID_REQUEST),
        ("SupportedMessagingContentTypes", json!([]), INVALID_PARAMETER),
        ("SupportedMessagingContentTypes", json!(["text/markdown"]), INVALID_PARAMETER),
        ("SupportedMessagingContentTypes", json!(["text/plain", " text/markdown"]), INVALID_PARAMETER),
        ("PersistentChat", json!({ "RehydrationType": "FROM_SEGMENT" }), INVALID_REQUEST),
        ("PersistentChat", json!({ "RehydrationType": "ALL", "SourceContactId": "c" }), INVALID_PARAMETER),
        ("PersistentChat", json!({ "RehydrationType": "FROM_SEGMENT", "SourceContactId": "c" }), INVALID_REQUEST),
        ("RelatedContactId", json!(""), INVALID_PARAMETER),
        ("SegmentAttributes", json!({ "a b": { "ValueString": "" } }), INVALID_PARAMETER),
        ("SegmentAttributes", json!({ "connect:Subtype": { "ValueString": "connect:Guide" } }), INVALID_REQUEST),
        ("CustomerId", json!(""), INVALID_PARAMETER),
        ("DisconnectOnCustomerExit", json!(["AGENT", "AGENT"]), INVALID_PARAMETER),
        ("ConnectionTypes", json!([]), INVALID_PARAMETER),
        ("ConnectionTypes", json!(["SMOKE"]), INVALID_PARAMETER),
        ("ChatStreamingConfiguration", json!({ "StreamingEndpointArn": format!("{TOPIC}.fifo") }), INVALID_PARAMETER),
    ];
    for (name, value, expected) in members {
        let answer = client.start_chat(&with(json!({ name: value }))).await;
        let (status, error, message) = answer.failed();
        assert_eq!((status, error), (400, expected), "{name} {message}");
        let named = message.contains(name) || message.contains("connect:Guide");
        assert!(named, "{name} should be named: {message}");
    }
    for body in ["", "[]", "{", "null"] {
        let answer = client.send("PUT", "/contact/chat", None, body.to_owned()).await.unwrap();
        assert_eq!((answer.status, answer.error.as_deref()), (400, Some(INVALID_REQUEST)), "{body}");
    }
    let both = json!({
        "RelatedContactId": "r",
        "PersistentChat": { "RehydrationType": "FROM_SEGMENT", "SourceContactId": "c" },
    });
    assert_eq!(client.start_chat(&with(both)).await.failed().1, INVALID_REQUEST);
    assert!(client.stand_in.contacts().is_empty());
}

#[tokio::test]
async fn limits_of_constraints_are_allowed() {
    let client = Client::start().await;
    for members in [
        json!({ "InstanceId": "é".repeat(100) }),
        json!({ "Attributes": { "a": "x".repeat(32_767) } }),
        json!({ "Attributes": { "A-z_9": "é".repeat(16_000) } }),
        json!({ "InitialMessage": { "ContentType": "text/plain", "Content": "x".repeat(16_384) } }),
        json!({ "ChatDurationInMinutes": 10_080 }),
        json!({ "ChatDurationInMinutes": null, "Attributes": null, "PersistentChat": null }),
        json!({
            "SegmentAttributes": { "connect:Subtype": { "ValueString": "connect:Guide" } },
            "SupportedMessagingContentTypes": [
                "text/plain",
                "application/vnd.amazonaws.connect.message.interactive",
                "application/vnd.amazonaws.connect.message.interactive.response",
            ],
        }),
        json!({ "SegmentAttributes": {
            "map": { "ValueMap": { "list": { "ValueList": [{ "ValueArn": "arn" }, { "ValueInteger": 0 }] } } },
        } }),
    ] {
        client.start_chat(&with(members)).await.ok();
    }
}

#[tokio::test]
async fn one_client_token_is_one_contact() {
    let client = Client::start().await;
    let request = with(json!({ "ClientToken": "t", "ConnectionTypes": ["WEBSOCKET"] }));
    let first = client.start_chat(&request).await.ok();
    let again = client.start_chat(&request).await.ok();
    for name in ["ContactId", "ParticipantId", "ParticipantToken"] {
        assert_eq!(first[name], again[name]);
    }
    assert!(again.get("Websocket").is_some());
    client.stand_in.end(first["ContactId"].as_str().unwrap()).unwrap();
    let ended = client.start_chat(&request).await.ok();
    assert_eq!(first["ContactId"], ended["ContactId"]);
    assert!(ended.get("Websocket").is_none(), "it can be omitted once the chat has ended");
    assert_eq!(client.stand_in.contacts().len(), 1);
    for other in [json!({ "ClientToken": "T" }), json!({ "ClientToken": "t", "InstanceId": "other" }), json!({})] {
        assert_ne!(first["ContactId"], client.start_chat(&with(other)).await.ok()["ContactId"]);
    }
}

#[tokio::test]
async fn persistent_chat_continues_an_ended_one() {
    let client = Client::start().await;
    let old = client.chat().await;
    client.say(&old, "before").await.ok();
    let segment = client.stand_in.transfer(&old.id).unwrap();
    let continued = |rehydration: &str, source: &str| {
        with(json!({
            "PersistentChat": { "RehydrationType": rehydration, "SourceContactId": source },
            "ChatStreamingConfiguration": { "StreamingEndpointArn": TOPIC },
        }))
    };
    let refused = client.start_chat(&continued("ENTIRE_PAST_SESSION", &old.id)).await;
    assert_eq!(refused.failed().1, INVALID_REQUEST, "it has not ended");
    client.stand_in.end(&old.id).unwrap();
    let refused = client.start_chat(&continued("ENTIRE_PAST_SESSION", &segment)).await;
    assert_eq!(refused.failed().1, INVALID_REQUEST, "it wants the initial contact id");

    let entire = client.start_chat(&continued("ENTIRE_PAST_SESSION", &old.id)).await.ok();
    assert_eq!(entire["ContinuedFromContactId"], json!(segment), "the most recent contact of the session");
    let from = client.start_chat(&continued("FROM_SEGMENT", &old.id)).await.ok();
    assert_eq!(from["ContinuedFromContactId"], json!(old.id));

    let chat = client.chat_of(continued("ENTIRE_PAST_SESSION", &old.id)).await;
    let transcript = client.participant("transcript", &chat.token, &json!({ "SortOrder": "ASCENDING" })).await.ok();
    let items = transcript["Transcript"].as_array().unwrap();
    let said = items.iter().find(|item| item["Content"] == "before").unwrap();
    assert_eq!((&said["RelatedContactId"], said.get("ContactId")), (&json!(old.id), None));
    let joined = items.last().unwrap();
    assert_eq!((&joined["ContactId"], joined.get("RelatedContactId")), (&json!(chat.id), None));
}

#[tokio::test]
async fn stop_contact() {
    let client = Client::start().await;
    let chat = client.chat().await;
    let stop = |instance: &str, id: &str| json!({ "InstanceId": instance, "ContactId": id });
    let instance = text(&with(json!({}))["InstanceId"]);
    assert_eq!(client.post("/contact/stop", &json!({})).await.failed().1, INVALID_REQUEST);
    for (instance, id) in [(instance.as_str(), "unknown"), ("other", chat.id.as_str())] {
        let answer = client.post("/contact/stop", &stop(instance, id)).await;
        assert_eq!((answer.failed().0, answer.failed().1), (410, "ContactNotFoundException"));
    }
    // Connect takes an instance's ARN for its id.
    let arn = format!("arn:aws:connect:us-east-1:123456789012:instance/{instance}");
    client.post("/contact/stop", &stop(&arn, &chat.id)).await.ok();
    let contact = client.stand_in.contact(&chat.id).unwrap();
    assert_eq!((contact.ended, contact.end_reason.as_deref()), (true, Some("API")));
    assert_eq!(client.post("/contact/stop", &stop(&instance, &chat.id)).await.failed().0, 410);
}

#[tokio::test]
async fn unknown_instances_and_flows() {
    let client = Client::start_with(Config {
        instance: Instance { ids: vec!["i".to_owned()], flow_ids: vec!["f".to_owned()], ..Instance::default() },
        ..Config::default()
    })
    .await;
    for (instance, flow, status) in [("i", "f", 200), ("x", "f", 404), ("i", "x", 404)] {
        let answer = client.start_chat(&with(json!({ "InstanceId": instance, "ContactFlowId": flow }))).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(status == 200 || answer.failed().1 == "ResourceNotFoundException");
    }
}

#[tokio::test]
async fn quotas() {
    let client = Client::start().await;
    client.stand_in.set_limits(Limits { concurrent_chats: Some(1), start_rate: None });
    let first = client.start_chat(&with(json!({ "ClientToken": "t" }))).await.ok();
    let answer = client.start_chat(&with(json!({}))).await;
    assert_eq!((answer.failed().0, answer.failed().1), (429, "LimitExceededException"));
    client.start_chat(&with(json!({ "ClientToken": "t" }))).await.ok();
    client.stand_in.end(first["ContactId"].as_str().unwrap()).unwrap();
    client.start_chat(&with(json!({}))).await.ok();

    client.stand_in.set_limits(Limits { concurrent_chats: None, start_rate: Some(Rate { per_second: 0.0, burst: 2 }) });
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let answer = client.start_chat(&with(json!({}))).await;
        statuses.push((answer.status, answer.error));
    }
    assert_eq!(statuses, [(200, None), (200, None), (429, Some("TooManyRequestsException".to_owned()))]);
}

#[tokio::test]
async fn time_ends_chats() {
    let client = Client::start_with(Config {
        connect_within: Duration::from_millis(500),
        idle_after: Some(Duration::from_millis(500)),
        ..Config::default()
    })
    .await;
    let connected = client.chat().await;
    client.start_chat(&with(json!({}))).await.ok();
    tokio::time::sleep(Duration::from_millis(550)).await;
    assert_eq!(client.say(&connected, "late").await.failed().1, "AccessDeniedException");
    let reasons: Vec<_> = client.stand_in.contacts().into_iter().map(|contact| contact.end_reason.unwrap()).collect();
    assert_eq!(reasons, ["IDLE", "NEVER_CONNECTED"]);
}

#[tokio::test]
async fn unknown_operations_and_preflights() {
    let client = Client::start().await;
    for (method, path) in [("POST", "/contact/chat"), ("PUT", "/contact/chat/"), ("GET", "/contact")] {
        let answer = client.send(method, path, None, String::new()).await.unwrap();
        assert_eq!((answer.failed().0, answer.failed().1), (404, "UnknownOperationException"), "{method} {path}");
    }
    assert_eq!(client.stand_in.calls().len(), 3, "they are on record");

    let asked = "authorization,content-type,x-amz-bearer,x-amz-content-sha256,x-amz-date,x-amz-user-agent";
    let url = format!("{}/participant/connection", client.stand_in.url());
    let http = reqwest::Client::new();
    let preflight = http
        .request(reqwest::Method::OPTIONS, &url)
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", asked);
    let response = preflight.send().await.unwrap();
    assert_eq!(response.status(), 204);
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    assert_eq!(response.headers()["access-control-allow-headers"], asked);
    assert!(response.headers()["access-control-allow-methods"].to_str().unwrap().contains("POST"));
    let refused = http.post(&url).header("origin", "https://shop.example").send().await.unwrap();
    assert_eq!(refused.status(), 403);
    assert_eq!(refused.headers()["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn too_large_a_body_is_refused() {
    let client = Client::start().await;
    let answer = client.send("PUT", "/contact/chat", None, " ".repeat((1 << 20) + 1)).await.unwrap();
    assert_eq!(answer.status, 413);
    let call = &client.stand_in.calls_to(Operation::StartChatContact)[0];
    assert_eq!((call.status, &call.body), (Some(413), &Value::Null));
}
