//! The door in front of the functions, before a server in the place of `cargo lambda watch`.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    http::{HeaderMap, Method, StatusCode, Uri},
};
use local::{StandIn, Terminal};
use serde_json::{Value, json};

/// Answers with what it was asked; what is for `/hang` it never answers.
async fn watch() -> String {
    let echo = async |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
        if uri.path().starts_with("/hang") {
            std::future::pending::<()>().await;
        }
        let has = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let status = if uri.path().contains("refused") { StatusCode::FORBIDDEN } else { StatusCode::OK };
        let asked = json!({
            "method": method.as_str(), "uri": uri.to_string(), "host": has("host"), "text": has("x-local-text"),
            "custom": has("x-custom"), "body": String::from_utf8_lossy(&body),
            "error": { "code": "UNVERIFIED", "message": "No" },
        });
        (status, Json(asked))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(echo)).await.unwrap() });
    url
}

/// A stand-in with its front: their URLs.
async fn front() -> (StandIn, String) {
    let stand_in = StandIn::start().await.unwrap();
    // A port that is free now.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    stand_in.open_front(address, &watch().await, "https://tunnel.example", Terminal::new()).await.unwrap();
    (stand_in, format!("http://{address}"))
}

async fn rows(stand_in: &StandIn) -> Vec<Value> {
    let answer = reqwest::get(format!("{}/_local/rows", stand_in.url())).await.unwrap();
    answer.json::<Value>().await.unwrap()["rows"].as_array().unwrap().clone()
}

/// A log that is written already.
fn log(name: &str, text: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

const COMPILE_ERROR: &str = "error[E0308]: mismatched types
  --> functions/start-chat/src/lib.rs:11:21
error: could not compile `start-chat` (lib) due to 1 previous error
";

#[tokio::test]
async fn a_request_goes_on_as_it_came() {
    let (stand_in, url) = front().await;
    let http = reqwest::Client::new();
    let request = http.post(format!("{url}/sms/vonage/a%20b?x=%2B1&y=a+b&x=2")).header("host", "tunnel.example");
    let request = request.header("x-custom", "kept").header("x-local-text", "text-1").body("a=1&b=%26");
    let asked: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(asked["uri"], "/sms/vonage/a%20b?x=%2B1&y=a+b&x=2");
    assert_eq!((&asked["host"], &asked["custom"]), (&json!("tunnel.example"), &json!("kept")));
    assert_eq!((&asked["body"], &asked["text"]), (&json!("a=1&b=%26"), &Value::Null));
    let [row] = rows(&stand_in).await.try_into().unwrap();
    assert_eq!((&row["kind"], &row["text"], &row["standing"]), (&json!("message"), &json!("text-1"), &json!("done")));
    assert_eq!(row["steps"][0]["name"], "verified");
}

#[tokio::test]
async fn a_refusal_has_its_code() {
    let (stand_in, url) = front().await;
    assert_eq!(reqwest::get(format!("{url}/sms/refused")).await.unwrap().status(), 403);
    let [row] = rows(&stand_in).await.try_into().unwrap();
    let step = &row["steps"][0];
    assert_eq!(
        (&row["standing"], &step["code"], &step["notes"]),
        (&json!("failed"), &json!("UNVERIFIED"), &json!("No"))
    );
}

#[tokio::test]
async fn what_does_not_compile_says_so_at_once() {
    let (stand_in, url) = front().await;
    let http = reqwest::Client::new();
    let asked = |path: &str| http.post(format!("{url}{path}")).header("origin", "http://localhost:3000").body("{}");
    let hanging = tokio::spawn(asked("/hang").timeout(Duration::from_secs(20)).send());
    tokio::time::sleep(Duration::from_millis(200)).await;
    stand_in.read_log(log("compile-error", COMPILE_ERROR), Terminal::new());
    let answer = hanging.await.unwrap().unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["access-control-allow-origin"], "http://localhost:3000");
    let answer: Value = answer.json().await.unwrap();
    assert_eq!(answer["error"]["code"], "DOES_NOT_COMPILE");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("start-chat does not compile: error[E0308]: mismatched types --> functions"), "{message}");
    // The next one need not wait, and what compiles is served.
    assert_eq!(asked("/chat").send().await.unwrap().status(), 503);
    assert_eq!(asked("/sms/twilio").send().await.unwrap().status(), 200);
}
