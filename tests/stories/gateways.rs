//! The same request through every gateway, and events that lambda_http's own conversion would die of.

use http::Response;
use local::StandIn;
use serde_json::{Value, json};
use shared::{
    Error, Result,
    gateway::{Call, Handler, Head, Request},
    telemetry::Report,
};
use start_chat::StartChat;
use tests::{Http, PAGE, environment, invoke, start_chat};

#[tokio::test]
async fn http_api_rest_api_and_load_balancer() {
    let connect = StandIn::start().await.unwrap();
    let function = start_chat(&environment(), connect.url()).await;
    let request = Http::chat(&json!({ "ParticipantDetails": { "DisplayName": "Jo" } }));
    for (gateway, event) in [("http", request.http_api()), ("rest", request.rest_api()), ("alb", request.alb())] {
        let answer = invoke(&function, &event).await;
        assert_eq!(answer.status, 200, "{gateway}: {answer:?}");
        assert_eq!(answer.body["success"], true, "{gateway}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE), "{gateway}");
    }
    assert_eq!(connect.calls().len(), 3);
}

#[tokio::test]
async fn a_base64_body_is_the_same_body() {
    let connect = StandIn::start().await.unwrap();
    let function = start_chat(&environment(), connect.url()).await;
    let mut event = Http::chat(&json!({})).http_api();
    event["body"] = json!(tests::base64(r#"{"customerName":"Zoë"}"#.as_bytes()));
    event["isBase64Encoded"] = json!(true);
    assert_eq!(invoke(&function, &event).await.status, 200);
    assert_eq!(connect.calls()[0].body["ParticipantDetails"]["DisplayName"], "Zoë");
}

#[tokio::test]
async fn events_that_would_panic_elsewhere() {
    let connect = StandIn::start().await.unwrap();
    let function = start_chat(&environment(), connect.url()).await;
    let good = Http::chat(&json!({})).http_api();
    let changed = |change: fn(&mut Value)| {
        let mut event = good.clone();
        change(&mut event);
        event
    };
    for (label, event, status) in [
        ("a quote in the query", changed(|event| event["rawQueryString"] = json!("a=\"b")), 200),
        ("a space in the query", changed(|event| event["rawQueryString"] = json!("a b")), 200),
        ("a malformed host", changed(|event| event["headers"]["host"] = json!("a b:c\"")), 200),
        ("an empty host", changed(|event| event["headers"]["host"] = json!("")), 200),
        (
            "broken base64",
            changed(|event| {
                event["isBase64Encoded"] = json!(true);
                event["body"] = json!("***")
            }),
            400,
        ),
        (
            "a header value that HTTP can't hold",
            changed(|event| event["headers"]["cloudfront-viewer-city"] = json!("a\nb")),
            200,
        ),
        ("a header name that HTTP can't hold", changed(|event| event["headers"]["a b"] = json!("x")), 200),
        ("a header of UTF-8", changed(|event| event["headers"]["cloudfront-viewer-city"] = json!("São Paulo")), 200),
        ("no path", changed(|event| event["rawPath"] = json!(null)), 200),
        ("no body", changed(|event| event["body"] = json!(null)), 400),
        ("a body that is no text", changed(|event| event["body"] = json!({ "a": 1 })), 400),
    ] {
        let answer = invoke(&function, &event).await;
        assert_eq!(answer.status, status, "{label}: {answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE), "{label}");
        assert_eq!(answer.body["success"], status == 200, "{label}");
    }
}

#[tokio::test]
async fn nulls_in_a_rest_event_count_as_absent() {
    let connect = StandIn::start().await.unwrap();
    let function = start_chat(&environment(), connect.url()).await;
    let good = Http::chat(&json!({})).rest_api();
    for (label, name, value) in [
        ("no method", "httpMethod", None),
        ("a null method", "httpMethod", Some(json!(null))),
        ("a null identity", "identity", Some(json!(null))),
        ("a null time", "requestTimeEpoch", Some(json!(null))),
    ] {
        let mut event = good.clone();
        let context = event["requestContext"].as_object_mut().unwrap();
        context.remove(name);
        context.extend(value.map(|value| (name.to_owned(), value)));
        assert_eq!(invoke(&function, &event).await.status, 200, "{label}");
    }
    assert_eq!(connect.calls().len(), 4);
}

#[tokio::test]
async fn an_event_of_another_kind_is_answered() {
    let connect = StandIn::start().await.unwrap();
    let function = start_chat(&environment(), connect.url()).await;
    for event in [
        json!({}),
        json!([]),
        json!("x"),
        json!(null),
        json!({ "Records": [] }),
        json!({ "headers": { "origin": PAGE } }),
    ] {
        let answer = invoke(&function, &event).await;
        assert_eq!((answer.status, answer.code()), (400, Some("VALIDATION_ERROR")), "{event}");
    }
    assert_eq!(connect.calls().len(), 0);
}

/// The function, with a defect.
struct Panics(StartChat);

impl Handler for Panics {
    const SERVICE: &'static str = StartChat::SERVICE;
    const REJECTED: &'static str = StartChat::REJECTED;

    async fn handle(&self, _: Request, _: &Call, _: &mut Report) -> Result<Response<String>> {
        tokio::task::yield_now().await;
        panic!("at the disco");
    }

    fn answer(&self, head: &Head, call: &Call, outcome: Result<Response<String>, &Error>) -> Response<String> {
        self.0.answer(head, call, outcome)
    }
}

#[tokio::test]
async fn a_panic_is_answered_with_json_and_cors() {
    let function = Panics(start_chat(&environment(), "http://127.0.0.1:1").await);
    let answer = invoke(&function, &Http::chat(&json!({})).http_api()).await;
    assert_eq!(
        answer.body,
        json!({ "success": false, "error": { "code": "INTERNAL", "message": "Something went wrong on our side", "requestId": "request-1" } })
    );
    assert_eq!(answer.status, 500);
    assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
}
