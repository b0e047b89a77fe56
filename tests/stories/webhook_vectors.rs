//! Webhooks signed with the providers' own SDKs, through the front door: each gets its expected answer, and what is
//! stored is its normal form, whole.

use std::path::Path;

use axum::{Router, routing::get};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use shared::sms::providers::ProviderId;
use tests::{Http, invoke, providers::of_name, receive_message, sqs::Sqs};

/// The vectors of every provider, by the files in their folders.
fn vectors() -> Vec<Value> {
    let providers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/src/sms/providers");
    let folder = |provider: &&ProviderId| providers.join(provider.as_str().replace('-', "_")).join("vectors");
    let mut vectors = Vec::new();
    for provider in ProviderId::ALL {
        let files = std::fs::read_dir(folder(&provider)).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|name| name == "json")).collect();
        files.sort();
        assert!(!files.is_empty(), "{provider} has no vectors");
        for file in files {
            let document: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
            for vector in document["vectors"].as_array().unwrap() {
                let mut vector = vector.clone();
                vector["provider"] = json!(provider);
                vectors.push(vector);
            }
        }
    }
    vectors
}

/// The account that a vector's `config` means.
fn account(vector: &Value) -> Value {
    let provider = vector["provider"].as_str().unwrap();
    let under_test = of_name(provider);
    let complete = under_test.account("unused");
    // The vectors were signed at a time of their own.
    let mut account = json!({ "provider": provider, "max_age_seconds": 0 });
    for (name, value) in vector["config"].as_object().unwrap() {
        let name = under_test.field_of(name);
        let plural = format!("{name}s");
        match name {
            "cert_pem_by_url" => {}
            _ if complete[&plural].is_array() => account[plural] = json!([value]),
            _ => account[name] = value.clone(),
        }
    }
    // Secrets that an account must have, though a handshake needs none of them.
    for (name, value) in complete.as_object().unwrap().iter().filter(|(_, value)| value.is_array()) {
        if account[name].is_null() {
            account[name] = value.clone();
        }
    }
    account
}

/// The public URL before the route.
fn base(vector: &Value) -> &str {
    vector["url"].as_str().unwrap().split_once("/sms/").unwrap().0
}

fn request(vector: &Value) -> Http {
    let url = vector["url"].as_str().unwrap().strip_prefix(base(vector)).unwrap();
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let mut request = Http::new(vector["method"].as_str().unwrap(), path)
        .body(BASE64_STANDARD.decode(vector["body_b64"].as_str().unwrap_or_default()).unwrap());
    query.clone_into(&mut request.query);
    for (name, value) in vector["headers"].as_object().unwrap() {
        request = request.header(name, value.as_str().unwrap());
    }
    request
}

/// SNS, as far as it serves certificates and confirms subscriptions.
async fn sns(vector: &Value) -> String {
    let mut router = Router::new();
    for (url, pem) in vector["config"]["cert_pem_by_url"].as_object().into_iter().flatten() {
        let path = url.strip_prefix("https://sns.us-east-1.amazonaws.com").unwrap();
        let pem = pem.as_str().unwrap().to_owned();
        router = router.route(path, get(|| async move { pem }));
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn every_vector_has_its_answer_and_normal_form() {
    let mut counts = (0, 0);
    for vector in vectors() {
        let id = vector["id"].as_str().unwrap();
        let queue = Sqs::start().await;
        let environment = [
            ("BRIDGE_SETTINGS", json!({ "accounts": [account(&vector)] }).to_string()),
            ("PUBLIC_BASE_URL", base(&vector).to_owned()),
            ("INBOUND_QUEUE_URL", format!("{}/123456789012/inbound.fifo", queue.url())),
            ("AWS_ENDPOINT_URL_SNS", sns(&vector).await),
        ];
        // Subscriptions are confirmed in a story of their own.
        if vector["normalised"]["kind"] == "subscription_confirmation" {
            continue;
        }
        let function = receive_message(&environment, queue.url()).await;
        let answer = invoke(&function, &request(&vector).http_api()).await;
        let messages: Vec<Value> = queue.items().iter().map(|item| item["message"].clone()).collect();
        if vector["expected"] == "reject" {
            counts.1 += 1;
            assert_eq!((answer.status, answer.code()), (403, Some("UNVERIFIED")), "{id}");
            assert_eq!(queue.calls().len(), 0, "{id}");
            continue;
        }
        counts.0 += 1;
        assert_eq!(answer.status, 200, "{id}: {answer:?}");
        match &vector["normalised"] {
            one if one["kind"] == "verification" => {
                assert_eq!(answer.body.to_string(), one["response_body"].as_str().unwrap(), "{id}");
                assert_eq!(answer.header("content-type"), Some("text/plain"), "{id}");
                assert_eq!(messages, Vec::<Value>::new(), "{id}");
            }
            Value::Array(all) => assert_eq!(&messages, all, "{id}"),
            one => assert_eq!(messages.as_slice(), std::slice::from_ref(one), "{id}"),
        }
    }
    assert!(counts.0 >= 15 && counts.1 >= 14, "{counts:?}");
}
