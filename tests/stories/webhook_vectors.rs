//! Webhooks signed with the providers' own SDKs, through the front door: each gets its expected answer, and what is
//! stored is its normal form, whole.

use axum::{Router, routing::get};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tests::{Http, invoke, receive_message, sqs::Sqs};

const FILES: [&str; 7] = ["twilio", "signalwire", "telnyx", "vonage", "vonage-messages", "meta", "aws-sns"];

fn vectors(file: &str) -> Vec<Value> {
    let folder = file.replace('-', "_");
    let path = format!("{}/../shared/src/sms/providers/{folder}/vectors/{file}.json", env!("CARGO_MANIFEST_DIR"));
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    file["vectors"].as_array().unwrap().clone()
}

/// The account that a vector's `config` means: a rotation list has the plural as its name.
fn account(vector: &Value) -> Value {
    // The vectors were signed at a time of their own.
    let mut account = json!({ "provider": vector["provider"], "max_age_seconds": 0 });
    for (name, value) in vector["config"].as_object().unwrap() {
        match name.as_str() {
            "auth_token" | "signing_key" | "public_key" | "signature_secret" | "app_secret" => {
                account[format!("{name}s")] = json!([value]);
            }
            "cert_pem_by_url" => {}
            _ => account[name] = value.clone(),
        }
    }
    if vector["provider"] == "meta" && account["app_secrets"].is_null() {
        account["app_secrets"] = json!(["unused"]);
    }
    account
}

fn request(vector: &Value) -> Http {
    let url = vector["url"].as_str().unwrap().strip_prefix("https://sms.example.com").unwrap();
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
    for vector in FILES.into_iter().flat_map(vectors) {
        let id = vector["id"].as_str().unwrap();
        let queue = Sqs::start().await;
        let environment = [
            ("BRIDGE_SETTINGS", json!({ "accounts": [account(&vector)] }).to_string()),
            ("PUBLIC_BASE_URL", "https://sms.example.com".to_owned()),
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
