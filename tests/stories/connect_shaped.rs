//! `PUT /contact/chat`: the Connect API's own request and response, under the bridge's rules.

use local::{Fault, Operation, StandIn};
use serde_json::{Value, json};
use start_chat::StartChat;
use tests::{Answer, FLOW, Http, INSTANCE, PAGE, TOPIC, environment, invoke, invoke_within, signed, start_chat};

fn put(body: &Value) -> Http {
    Http::new("PUT", "/contact/chat").header("content-type", "application/json").body(body.to_string())
}

/// What every AWS client sends.
fn minimal() -> Value {
    json!({ "InstanceId": INSTANCE, "ContactFlowId": FLOW, "ParticipantDetails": { "DisplayName": "Jane" } })
}

fn with(more: Value) -> Value {
    let mut body = minimal();
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[track_caller]
fn assert_exception(answer: &Answer, status: u16, exception: &str, label: &str) {
    assert_eq!((answer.status, answer.header("x-amzn-errortype")), (status, Some(exception)), "{label}: {answer:?}");
    assert_eq!(answer.header("x-amzn-requestid"), Some("request-1"), "{label}");
    let members = answer.body.as_object().unwrap_or_else(|| panic!("{label}: {answer:?}"));
    assert_eq!(members.keys().collect::<Vec<_>>(), ["Message"], "{label}");
    assert!(!members["Message"].as_str().unwrap().is_empty(), "{label}");
}

#[tokio::test]
async fn every_parameter_reaches_connect_and_every_answer_comes_back() {
    let connect = StandIn::start().await.unwrap();
    let mut environment = environment();
    environment.extend([
        ("UNSIGNED_IDENTITY", "true".to_owned()),
        ("STREAMING_TOPIC_ARN", TOPIC.to_owned()),
        ("EXTRA_CONTACT_FLOW_IDS", "sales".to_owned()),
    ]);
    let function = start_chat(&environment, connect.url()).await;
    let past = invoke(&function, &put(&minimal()).http_api()).await.body["ContactId"].as_str().unwrap().to_owned();
    connect.end(&past).unwrap();
    connect.forget_calls();

    let interactive = "application/vnd.amazonaws.connect.message.interactive";
    let mut body = with(json!({
        "ContactFlowId": "sales",
        "Attributes": { "page": "/cart", "customerName": "Jane" },
        "ParticipantConfiguration": { "ResponseMode": "COMPLETE" },
        "InitialMessage": { "ContentType": "text/plain", "Content": "Grüße" },
        "ClientToken": "5c9b1a52-7a7e-4f0e-9d0e-2b1c3d4e5f60",
        "ChatDurationInMinutes": 60,
        "SupportedMessagingContentTypes": ["text/plain", interactive, format!("{interactive}.response")],
        "PersistentChat": { "RehydrationType": "FROM_SEGMENT", "SourceContactId": past },
        "SegmentAttributes": { "connect:Subtype": { "ValueString": "connect:Guide" } },
        "CustomerId": "customer",
        "DisconnectOnCustomerExit": ["AGENT"],
        "ConnectionTypes": ["WEBSOCKET", "CONNECTION_CREDENTIALS"],
        "ChatStreamingConfiguration": { "StreamingEndpointArn": TOPIC },
    }));
    for path in ["/contact/chat", "/prod/contact/chat/"] {
        let request = Http::new("PUT", path).body(body.to_string());
        let answer = invoke(&function, &request.http_api()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let members: Vec<_> = answer.body.as_object().unwrap().keys().map(String::as_str).collect();
        let mut expected = [
            "ContactId",
            "ParticipantId",
            "ParticipantToken",
            "ConnectionCredentials",
            "Websocket",
            "ContinuedFromContactId",
            "StreamingId",
        ];
        expected.sort_unstable();
        assert_eq!(members, expected);
        assert_eq!(answer.body["ContinuedFromContactId"], json!(past));
        assert_eq!(answer.header("x-amzn-requestid"), Some("request-1"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    let calls = connect.calls_to(Operation::StartChatContact);
    assert_eq!(calls[0].body["ClientToken"], calls[1].body["ClientToken"], "the same request is one chat");
    assert_eq!(connect.contacts().len(), 2);
    let mut sent = calls[0].body.clone();
    assert_ne!(sent["ClientToken"], body["ClientToken"], "a caller's key never leaves as it came");
    for body in [&mut sent, &mut body] {
        body.as_object_mut().unwrap().remove("ClientToken");
    }
    body["Attributes"]["channel"] = json!("web");
    assert_eq!(sent, body);

    // The last one, which excludes a persistent chat; and the attribute that every way in sets.
    invoke(&function, &put(&with(json!({ "RelatedContactId": "related" }))).http_api()).await;
    let sent = connect.calls().pop().unwrap().body;
    assert_eq!(sent["RelatedContactId"], "related");
    assert_eq!(sent["Attributes"], json!({ "channel": "web", "customerName": "Jane" }));
}

#[tokio::test]
async fn refusals_are_exceptions() {
    let connect = StandIn::start().await.unwrap();
    let function = start_chat(&environment(), connect.url()).await;
    let stranger = "arn:aws:sns:us-east-1:999999999999:theirs";
    for (label, request, status, exception, named) in [
        ("no JSON", put(&json!({})).body("{"), 400, "InvalidRequestException", "body"),
        ("no object", put(&json!([])), 400, "InvalidRequestException", "body"),
        (
            "an attribute of the wrong type",
            put(&with(json!({ "Attributes": { "a": {} } }))),
            400,
            "InvalidRequestException",
            "Attributes.a",
        ),
        (
            "too short a chat",
            put(&with(json!({ "ChatDurationInMinutes": 5 }))),
            400,
            "InvalidRequestException",
            "ChatDurationInMinutes",
        ),
        ("another instance", put(&with(json!({ "InstanceId": "other" }))), 403, "AccessDeniedException", "instance"),
        ("another flow", put(&with(json!({ "ContactFlowId": "other" }))), 403, "AccessDeniedException", "flow"),
        (
            "a stranger's topic",
            put(&with(json!({ "ChatStreamingConfiguration": { "StreamingEndpointArn": stranger } }))),
            403,
            "AccessDeniedException",
            "endpoint",
        ),
        (
            "another page",
            put(&minimal()).header("origin", "https://elsewhere.example"),
            403,
            "AccessDeniedException",
            "origin",
        ),
        ("too large", put(&json!({})).body("x".repeat(70_000)), 413, "RequestEntityTooLargeException", "64 KiB"),
    ] {
        let answer = invoke(&function, &request.http_api()).await;
        assert_exception(&answer, status, exception, label);
        assert!(answer.body["Message"].as_str().unwrap().contains(named), "{label}: {answer:?}");
    }
    // Not this route: the widget's shape.
    for (method, path, status) in [("PUT", "/contact", 404), ("GET", "/contact/chat", 405), ("PUT", "/chat", 404)] {
        let answer = invoke(&function, &Http::new(method, path).body(minimal().to_string()).http_api()).await;
        assert_eq!((answer.status, answer.body["success"].as_bool()), (status, Some(false)), "{method} {path}");
        assert_eq!(answer.header("x-amzn-errortype"), None, "{method} {path}");
    }
    assert_eq!(connect.calls().len(), 0);
    let answer = invoke(&function, &Http::new("POST", "/contact/chat").body(minimal().to_string()).http_api()).await;
    assert_eq!(answer.body["success"], true, "a POST there is a widget's");
}

#[tokio::test]
async fn connects_exceptions_are_passed_on() {
    for (label, fault, status, exception, retry_after) in [
        ("quota", Fault::limit_exceeded().forever(), 429, "LimitExceededException", true),
        ("throttled", Fault::too_many_requests().forever(), 429, "TooManyRequestsException", true),
        ("refused", Fault::error(400, "InvalidParameterException").forever(), 400, "InvalidRequestException", false),
        ("no permission", Fault::error(403, "AccessDeniedException").forever(), 502, "InternalServiceException", false),
        ("no flow", Fault::error(404, "ResourceNotFoundException").forever(), 502, "InternalServiceException", false),
        ("broken", Fault::error(500, "InternalServiceException").forever(), 503, "InternalServiceException", false),
        ("a hang", Fault::hang().forever(), 504, "InternalServiceException", false),
    ] {
        let connect = StandIn::start().await.unwrap();
        let function = start_chat(&environment(), connect.url()).await;
        connect.fail(Operation::StartChatContact, fault);
        let time = std::time::Duration::from_secs(if status == 504 { 2 } else { 20 });
        let answer = invoke_within(&function, &put(&minimal()).header("origin", PAGE).http_api(), time).await;
        assert_exception(&answer, status, exception, label);
        assert_eq!(answer.header("retry-after").is_some(), retry_after, "{label}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE), "{label}");
    }
}

#[tokio::test]
async fn signatures_of_aws_are_ignored_and_tokens_stand_in_one_header() {
    const KEY: &str = "a widget's key of thirty-two bytes or more";
    const SIGV4: &str =
        "AWS4-HMAC-SHA256 Credential=AKID/20261121/us-east-1/connect/aws4_request, SignedHeaders=host, Signature=0";
    let connect = StandIn::start().await.unwrap();
    let open = start_chat(&environment(), connect.url()).await;
    let mut environment = environment();
    environment.push(("BRIDGE_SETTINGS", json!({ "widget": { "signing_keys": [KEY] } }).to_string()));
    let with_keys = start_chat(&environment, connect.url()).await;

    let token = signed::token(KEY, &json!({ "customerId": "c-1" }));
    let bearer = format!("Bearer {token}");
    let session = "IQoJb3JpZ2luX2VjEJr//////////wEaCXVzLWVhc3QtMSJ";
    for (label, headers, without, with) in [
        ("nothing", &[][..], 200, 401),
        ("SigV4", &[("authorization", SIGV4)], 200, 401),
        ("SigV4 with a session", &[("authorization", SIGV4), ("x-amz-security-token", session)], 200, 401),
        (
            "SigV4 with a signed token as its session",
            &[("authorization", SIGV4), ("x-amz-security-token", &token)],
            200,
            200,
        ),
        ("a bearer", &[("authorization", &bearer)], 200, 401),
    ] {
        let request = headers.iter().fold(put(&minimal()), |request, (name, value)| request.header(name, value));
        let status = async |function: &StartChat| {
            let answer = invoke(function, &request.http_api()).await;
            if answer.status == 401 {
                assert_exception(&answer, 401, "NotAuthorized", label);
                assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{label}");
            }
            answer.status
        };
        assert_eq!((status(&open).await, status(&with_keys).await), (without, with), "{label}");
    }
    assert_eq!(connect.calls().iter().filter(|call| call.body["CustomerId"] == "c-1").count(), 1);

    let request = put(&with(json!({ "CustomerId": "c-1" }))).header("x-amz-security-token", &token);
    let answer = invoke(&with_keys, &request.http_api()).await;
    assert_exception(&answer, 403, "AccessDeniedException", "a field that only a claim may set");
    assert_eq!(answer.body["Message"], "CustomerId is taken from the signed token only");
}
