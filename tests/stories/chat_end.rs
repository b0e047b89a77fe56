//! `POST /chat/end`: a browser that closes ends its chat, with whatever `navigator.sendBeacon` can send.

use std::time::Duration;

use local::{Fault, Operation, StandIn};
use serde_json::{Value, json};
use start_chat::StartChat;
use tests::{Answer, Http, PAGE, environment, invoke, invoke_within, runtime::Binary, start_chat};

/// A chat's contact and its customer's connection token.
async fn chat(function: &StartChat) -> (String, String) {
    let body = json!({ "ConnectionTypes": ["CONNECTION_CREDENTIALS"] });
    let answer = invoke(function, &Http::chat(&body).http_api()).await;
    let result = &answer.body["data"]["startChatResult"];
    let text = |pointer: &str| result.pointer(pointer).and_then(Value::as_str).unwrap().to_owned();
    (text("/ContactId"), text("/ConnectionCredentials/ConnectionToken"))
}

fn end(path: &str, token: &str) -> Http {
    let body = json!({ "ConnectionToken": token }).to_string();
    Http::new("POST", path).header("origin", PAGE).body(body)
}

#[track_caller]
fn assert_ended(answer: &Answer, label: &str) {
    assert_eq!((answer.status, &answer.body), (200, &json!({ "success": true, "data": {} })), "{label}");
    assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE), "{label}");
}

#[tokio::test]
async fn every_way_to_say_it() {
    let connect = StandIn::start().await.unwrap();
    let function = start_chat(&environment(), connect.url()).await;
    for (path, content_type) in [
        ("/chat/end", Some("text/plain;charset=UTF-8")),
        ("/chat/end/", None),
        ("/prod/chat/end", Some("application/json")),
        ("/a/b/chat/end/", Some("application/x-www-form-urlencoded")),
    ] {
        let (contact, token) = chat(&function).await;
        connect.forget_calls();
        let mut request = end(path, &token);
        if let Some(content_type) = content_type {
            request = request.header("content-type", content_type);
        }
        assert_ended(&invoke(&function, &request.http_api()).await, path);
        assert!(connect.contact(&contact).unwrap().ended, "{path}");
        let calls = connect.calls();
        assert_eq!(calls.len(), 1, "{path}");
        assert_eq!(calls[0].operation, Some(Operation::DisconnectParticipant), "{path}");
        assert_eq!(calls[0].bearer.as_deref(), Some(token.as_str()), "{path}");
        assert!(!calls[0].body.to_string().contains(&token), "{path}");
    }
    for gateway in [Http::rest_api, Http::alb] {
        let (contact, token) = chat(&function).await;
        let answer = invoke(&function, &gateway(&end("/chat/end", &token))).await;
        assert_ended(&answer, "another gateway");
        assert!(connect.contact(&contact).unwrap().ended);
    }
}

#[tokio::test]
async fn a_chat_that_has_ended_is_ended() {
    let connect = StandIn::start().await.unwrap();
    let function = start_chat(&environment(), connect.url()).await;

    let (_, token) = chat(&function).await;
    for _ in 0..3 {
        assert_ended(&invoke(&function, &end("/chat/end", &token).http_api()).await, "sent again");
    }
    let tokens: Vec<_> = connect
        .calls_to(Operation::DisconnectParticipant)
        .iter()
        .map(|call| call.body["ClientToken"].as_str().unwrap().to_owned())
        .collect();
    assert!(tokens.len() == 3 && tokens.windows(2).all(|pair| pair[0] == pair[1]), "{tokens:?}");

    let (contact, token) = chat(&function).await;
    connect.end(&contact).unwrap();
    assert_ended(&invoke(&function, &end("/chat/end", &token).http_api()).await, "by the agent");

    let (contact, token) = chat(&function).await;
    connect.expire_connection_tokens(&contact).unwrap();
    assert_ended(&invoke(&function, &end("/chat/end", &token).http_api()).await, "its token is over");
    assert!(!connect.contact(&contact).unwrap().ended, "which can't end it: Connect answers both alike");
}

#[tokio::test]
async fn no_token_is_needed_where_requests_are_signed() {
    let connect = StandIn::start().await.unwrap();
    let mut environment = environment();
    environment.push((
        "BRIDGE_SETTINGS",
        json!({ "widget": { "signing_keys": ["a key of thirty-two bytes or more"] } }).to_string(),
    ));
    let function = start_chat(&environment, connect.url()).await;
    // A beacon carries no headers; who holds the connection token may end the chat in Connect, too.
    assert_ended(&invoke(&function, &end("/chat/end", "token").http_api()).await, "signed");
}

#[tokio::test]
async fn what_names_no_chat_is_refused_without_a_call() {
    let connect = StandIn::start().await.unwrap();
    let function = start_chat(&environment(), connect.url()).await;
    let text = |value: Value| json!({ "ConnectionToken": value }).to_string();
    for (label, body, status, field) in [
        ("nothing", String::new(), 400, Some("body")),
        ("a form", "ConnectionToken=x".to_owned(), 400, Some("body")),
        ("a list", "[]".to_owned(), 400, Some("body")),
        ("no token", "{}".to_owned(), 400, Some("ConnectionToken")),
        ("a participant's token", json!({ "ParticipantToken": "x" }).to_string(), 400, Some("ConnectionToken")),
        ("null", text(json!(null)), 400, Some("ConnectionToken")),
        ("empty", text(json!("")), 400, Some("ConnectionToken")),
        ("a number", text(json!(7)), 400, Some("ConnectionToken")),
        ("a list of one", text(json!(["x"])), 400, Some("ConnectionToken")),
        ("too long", text(json!("x".repeat(1001))), 400, Some("ConnectionToken")),
        ("a line break", text(json!("x\r\nx-amz-bearer: y")), 400, Some("ConnectionToken")),
        ("a blank", text(json!("x y")), 400, Some("ConnectionToken")),
        ("beyond ASCII", text(json!("tökén")), 400, Some("ConnectionToken")),
        ("NUL", text(json!("x\0")), 400, Some("ConnectionToken")),
        ("too large a body", text(json!("x".repeat(70_000))), 413, None),
    ] {
        let request = Http::new("POST", "/chat/end").header("origin", PAGE).body(body);
        let answer = invoke(&function, &request.http_api()).await;
        assert_eq!((answer.status, answer.field()), (status, field), "{label}");
        assert_eq!(answer.body["success"], false, "{label}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE), "{label}");
    }
    for (method, status) in [("GET", 405), ("PUT", 404), ("DELETE", 405), ("OPTIONS", 204)] {
        let request = Http::new(method, "/chat/end").header("origin", PAGE).body(text(json!("x")));
        assert_eq!(invoke(&function, &request.http_api()).await.status, status, "{method}");
    }
    let elsewhere = Http::new("POST", "/chat/end").header("origin", "https://elsewhere.example").body(text(json!("x")));
    let answer = invoke(&function, &elsewhere.http_api()).await;
    assert_eq!((answer.status, answer.code()), (403, Some("ORIGIN_NOT_ALLOWED")));
    assert_eq!(connect.calls().len(), 0);
    // The longest is let through.
    assert_ended(&invoke(&function, &end("/chat/end", &"x".repeat(1000)).http_api()).await, "1000 characters");
}

#[tokio::test]
async fn each_fault_has_its_answer() {
    for (label, fault, status, code, calls, retry_after) in [
        ("throttled once", Fault::throttling(), 200, None, 2..=2, false),
        ("throttled for ever", Fault::throttling().forever(), 429, Some("THROTTLED"), 2..=2, true),
        ("broken once", Fault::error(500, "InternalServerException"), 200, None, 2..=2, false),
        (
            "broken for ever",
            Fault::error(500, "InternalServerException").forever(),
            503,
            Some("CONNECT_UNAVAILABLE"),
            2..=2,
            false,
        ),
        ("reset", Fault::reset(), 200, None, 2..=2, false),
        ("reset after it was ended", Fault::reset_after(), 200, None, 2..=2, false),
        ("hangs for ever", Fault::hang().forever(), 504, Some("TIMEOUT"), 2..=2, false),
        ("refused", Fault::error(400, "ValidationException"), 400, Some("CONNECT_REJECTED"), 1..=1, false),
        ("another 403", Fault::error(403, "ForbiddenException"), 502, Some("CONNECT_MISCONFIGURED"), 1..=1, false),
    ] {
        let connect = StandIn::start().await.unwrap();
        let function = start_chat(&environment(), connect.url()).await;
        let (contact, token) = chat(&function).await;
        connect.forget_calls();
        connect.fail(Operation::DisconnectParticipant, fault);
        let time = if code == Some("TIMEOUT") { 2_000 } else { 20_000 };
        let request = end("/chat/end", &token).http_api();
        let answer = invoke_within(&function, &request, Duration::from_millis(time)).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{label}: {answer:?}");
        assert_eq!(answer.header("retry-after").is_some(), retry_after, "{label}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE), "{label}");
        assert!(calls.contains(&connect.calls().len()), "{label}: {} calls", connect.calls().len());
        assert_eq!(connect.contact(&contact).unwrap().ended, status == 200, "{label}");
    }
}

#[tokio::test]
async fn one_line_and_no_token_in_it() {
    let connect = StandIn::start().await.unwrap();
    let function = start_chat(&environment(), connect.url()).await;
    let (_, token) = chat(&function).await;
    let mut environment = environment();
    environment.extend([
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "AWSKEYID".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "AWSSECRETKEY".to_owned()),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1".to_owned()),
        ("AWS_ENDPOINT_URL_CONNECTPARTICIPANT", connect.url().to_owned()),
        ("RUST_LOG", "trace".to_owned()),
    ]);
    let mut binary = Binary::start("start-chat", &environment).await;
    for (label, token, counted) in [("open", token.as_str(), Some(1)), ("ended", "some-token-of-old", None)] {
        let answer = Answer::of(&binary.invoke(&end("/chat/end", token).http_api()).await.unwrap());
        assert_ended(&answer, label);
        let output = binary.output().await;
        assert!(
            !output.iter().any(|line| line.contains(token) || line.contains("AWSSECRETKEY")),
            "{label}: {output:?}"
        );
        let lines: Vec<Value> = output
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|line: &Value| line["service"] == "start-chat")
            .collect();
        let (metrics, logs): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line["_aws"].is_object());
        assert_eq!((logs.len(), metrics.len()), (1, 1), "{label}: {output:?}");
        assert_eq!((logs[0]["code"].as_str(), logs[0]["connect_calls"].as_u64()), (Some("OK"), Some(1)), "{label}");
        assert_eq!(metrics[0]["ChatEnded"].as_u64(), counted, "{label}");
    }
}
