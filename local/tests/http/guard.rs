//! Who may ask: this machine by its own names, and for the controls no other page.

use reqwest::{Client as Http, Method, StatusCode};

use crate::client::Client;

#[tokio::test]
async fn other_hosts_and_other_pages_are_refused() {
    let client = Client::start().await;
    let url = client.stand_in.url();
    let own = url.to_owned();
    let host = url.trim_start_matches("http://").to_owned();
    let page = "http://shop.localhost:3000";
    for (method, path, host, origin, allowed) in [
        (Method::GET, "/_local/health", &*host, None, true),
        (Method::GET, "/_local/health", "localhost:9100", None, true),
        (Method::GET, "/_local/health", "rebound.example", None, false),
        (Method::GET, "/", "rebound.example:9100", None, false),
        (Method::POST, "/participant/connection", "rebound.example", None, false),
        (Method::POST, "/_local/reset", &*host, Some(&*own), true),
        (Method::POST, "/_local/reset", &*host, Some(page), false),
        (Method::POST, "/_local/reset", &*host, Some("null"), false),
        (Method::POST, "/_phone/meta/v25.0/1/messages", &*host, Some(page), false),
        // A widget is at any origin.
        (Method::POST, "/participant/connection", &*host, Some(page), true),
        (Method::PUT, "/contact/chat", &*host, Some(page), true),
    ] {
        let mut request = Http::new().request(method.clone(), format!("{url}{path}")).header("host", host).body("{}");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let answer = request.send().await.unwrap();
        let (status, body) = (answer.status(), answer.text().await.unwrap());
        let refused = status == StatusCode::FORBIDDEN && body.contains("stand-in");
        assert_eq!(!refused, allowed, "{method} {path} {host} {origin:?}: {status} {body}");
    }
}
