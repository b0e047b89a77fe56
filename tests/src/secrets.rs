//! Secrets Manager, as far as the bridge uses it: one secret, read by `GetSecretValue` ("AWS Secrets Manager API
//! reference"; the service speaks JSON 1.1: a POST whose `X-Amz-Target` names the operation).

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// What the next calls are answered with.
#[derive(Clone)]
pub enum Secret {
    /// `SecretString`.
    Text(String),
    /// An error of this status and type.
    Error(u16, &'static str),
    /// No answer at all.
    Hang,
    /// A secret of bytes.
    Binary,
}

/// A running Secrets Manager. Dropping it stops it.
pub struct SecretsManager {
    url: String,
    shared: Arc<Mutex<(Secret, Vec<Value>)>>,
    task: tokio::task::JoinHandle<()>,
}

/// The secret's name.
pub const SECRET_ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:bridge-AbCdEf";

impl SecretsManager {
    /// Starts one whose secret is this document.
    pub async fn start(document: &Value) -> Self {
        let shared = Arc::new(Mutex::new((Secret::Text(document.to_string()), Vec::new())));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, task }
    }

    /// Its endpoint.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Changes the secret.
    pub fn set(&self, secret: Secret) {
        self.shared.lock().unwrap().0 = secret;
    }

    /// Changes the document.
    pub fn put(&self, document: &Value) {
        self.set(Secret::Text(document.to_string()));
    }

    /// How often it was called, whatever the answer.
    pub fn calls(&self) -> usize {
        self.shared.lock().unwrap().1.len()
    }
}

impl Drop for SecretsManager {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Shared = Arc<Mutex<(Secret, Vec<Value>)>>;

async fn answer(State(shared): State<Shared>, headers: HeaderMap, body: axum::body::Bytes) -> Response {
    assert_eq!(headers["x-amz-target"], "secretsmanager.GetSecretValue");
    let asked: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(asked, json!({ "SecretId": SECRET_ARN }));
    let secret = {
        let mut shared = shared.lock().unwrap();
        shared.1.push(asked);
        shared.0.clone()
    };
    let (status, body) = match secret {
        Secret::Text(text) => (200, json!({ "ARN": SECRET_ARN, "Name": "bridge", "SecretString": text })),
        Secret::Binary => (200, json!({ "ARN": SECRET_ARN, "Name": "bridge", "SecretBinary": "AAAA" })),
        Secret::Error(status, kind) => (status, json!({ "__type": kind, "Message": "as the test says" })),
        Secret::Hang => std::future::pending().await,
    };
    (StatusCode::from_u16(status).unwrap(), [("content-type", "application/x-amz-json-1.1")], body.to_string())
        .into_response()
}
