//! The fault plan, as a client meets it.

use std::time::{Duration, Instant};

use local::{Fault, Operation, StandIn};
use serde_json::json;

use crate::client::{Client, with};

#[tokio::test]
async fn errors_take_their_turn() {
    let client = Client::start().await;
    client.stand_in.fail(Operation::StartChatContact, Fault::error(429, "LimitExceededException").times(2));
    client.stand_in.fail(Operation::StartChatContact, Fault::error(500, "InternalServiceException").message("oh"));
    client.stand_in.fail(Operation::StopContact, Fault::error(403, "AccessDeniedException").forever());
    let mut seen = Vec::new();
    for _ in 0..4 {
        let answer = client.start_chat(&with(json!({}))).await;
        seen.push((answer.status, answer.error, answer.body["Message"].as_str().map(str::to_owned)));
    }
    let limit =
        (429, Some("LimitExceededException".to_owned()), Some("LimitExceededException by fault plan".to_owned()));
    let internal = (500, Some("InternalServiceException".to_owned()), Some("oh".to_owned()));
    assert_eq!(seen, [limit.clone(), limit, internal, (200, None, None)]);
    assert_eq!(client.stand_in.contacts().len(), 1, "a failed call does nothing");
    let faults: Vec<_> = client.stand_in.calls().into_iter().map(|call| call.fault).collect();
    let limit = Some("error 429 LimitExceededException".to_owned());
    assert_eq!(faults, [limit.clone(), limit, Some("error 500 InternalServiceException".to_owned()), None]);

    for _ in 0..3 {
        assert_eq!(client.post("/contact/stop", &json!({})).await.failed().0, 403);
    }
    client.stand_in.clear_faults();
    assert_eq!(client.post("/contact/stop", &json!({})).await.failed().0, 400);
}

/// What the operating system said of a failed request.
fn cause(error: &reqwest::Error) -> Option<std::io::ErrorKind> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return Some(error.kind());
        }
        source = error.source();
    }
    None
}

#[tokio::test]
async fn a_reset_is_a_transport_error() {
    let client = Client::start().await;
    let start = || client.send("PUT", "/contact/chat", None, with(json!({})).to_string());
    client.stand_in.fail(Operation::StartChatContact, Fault::reset());
    let error = start().await.unwrap_err();
    assert!(error.is_request() && error.status().is_none(), "{error:?}");
    assert_eq!(cause(&error), Some(std::io::ErrorKind::ConnectionReset), "{error:?}");
    assert!(client.stand_in.contacts().is_empty(), "reset before handling");

    client.stand_in.fail(Operation::StartChatContact, Fault::reset_after());
    let error = start().await.unwrap_err();
    assert_eq!(cause(&error), Some(std::io::ErrorKind::ConnectionReset), "{error:?}");
    assert_eq!(client.stand_in.contacts().len(), 1, "reset after handling");

    start().await.unwrap().ok();
    let calls = client.stand_in.calls_to(Operation::StartChatContact);
    let seen: Vec<_> = calls.iter().map(|call| (call.status, call.fault.as_deref())).collect();
    assert_eq!(seen, [(None, Some("reset")), (None, Some("reset after handling")), (Some(200), None)]);
    let connections: std::collections::BTreeSet<_> = calls.iter().map(|call| call.connection).collect();
    assert_eq!(connections.len(), 3, "a reset connection is gone");
}

#[tokio::test]
async fn a_message_that_was_reset_after_handling_is_said_once() {
    let client = Client::start().await;
    let chat = client.chat().await;
    client.stand_in.fail(Operation::SendMessage, Fault::reset_after());
    let body = json!({ "ContentType": "text/plain", "Content": "Hi", "ClientToken": "t" }).to_string();
    let send = || client.send("POST", "/participant/message", Some(&chat.token), body.clone());
    send().await.unwrap_err();
    send().await.unwrap().ok();
    assert_eq!(client.stand_in.contact(&chat.id).unwrap().messages(), ["Hi"]);
}

#[tokio::test]
async fn delays_and_hangs() {
    let client = Client::start().await;
    client.stand_in.fail(Operation::StartChatContact, Fault::delay(Duration::from_millis(80)));
    let begun = Instant::now();
    client.start_chat(&with(json!({}))).await.ok();
    assert!(begun.elapsed() >= Duration::from_millis(80));

    // A slow server does what it was asked, whoever is left to hear of it.
    let short = Duration::from_millis(200);
    client.stand_in.fail(Operation::StartChatContact, Fault::delay(2 * short));
    assert!(tokio::time::timeout(short, client.start_chat(&with(json!({})))).await.is_err());
    assert_eq!(client.stand_in.contacts().len(), 1);
    tokio::time::sleep(2 * short).await;
    assert_eq!(client.stand_in.contacts().len(), 2);

    client.stand_in.fail(Operation::StartChatContact, Fault::hang());
    client.stand_in.fail(Operation::StartChatContact, Fault::hang().after_handling());
    for contacts in [2, 3] {
        assert!(tokio::time::timeout(short, client.start_chat(&with(json!({})))).await.is_err());
        assert_eq!(client.stand_in.contacts().len(), contacts);
    }
    client.start_chat(&with(json!({}))).await.ok();
}

#[tokio::test]
async fn an_error_may_hide_a_success() {
    let client = Client::start().await;
    let hidden = Fault::error(500, "InternalServiceException").after_handling();
    client.stand_in.fail(Operation::StartChatContact, hidden);
    assert_eq!(client.start_chat(&with(json!({}))).await.failed().0, 500);
    assert_eq!(client.stand_in.contacts().len(), 1);
}

#[tokio::test]
async fn stopping_frees_the_port_and_what_hangs() {
    let client = Client::start().await;
    let address = client.stand_in.url().trim_start_matches("http://").parse().unwrap();
    client.stand_in.fail(Operation::StartChatContact, Fault::hang());
    let Client { stand_in, .. } = client;
    let hung = tokio::spawn(reqwest::Client::new().put(format!("{}/contact/chat", stand_in.url())).send());
    while stand_in.calls().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::timeout(Duration::from_secs(5), stand_in.stop()).await.unwrap();
    hung.await.unwrap().unwrap_err();
    let again = StandIn::start_at(address).await.unwrap();
    let url = again.url().to_owned();
    drop(again);
    let gone = async {
        while !reqwest::get(&url).await.is_err_and(|error| error.is_connect()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
}
