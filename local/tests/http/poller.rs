//! The poller's way to a function over HTTP.

use axum::{
    Router,
    extract::Path,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use local::invoke_over_http;
use serde_json::json;

async fn function(Path(name): Path<String>, body: String) -> Response {
    match name.as_str() {
        "works" => body.into_response(),
        "fails" => ([("x-amz-function-error", "Unhandled")], r#"{"errorType":"x"}"#).into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

#[tokio::test]
async fn a_function_is_invoked_as_lambdas_api_does_it() {
    let router = Router::new().route("/2015-03-31/functions/{name}/invocations", post(function));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let client = reqwest::Client::new();
    let event = json!({ "Records": [] });
    assert_eq!(invoke_over_http(&client, &url, "works", event.clone()).await, Ok(event.clone()));
    assert_eq!(invoke_over_http(&client, &url, "fails", event.clone()).await, Err(r#"{"errorType":"x"}"#.to_owned()));
    assert!(invoke_over_http(&client, &url, "none", event).await.is_err());
}
