//! What the stories share: Lambda events as the gateways make them, and functions run in-process behind the real
//! runtime types, the real AWS client and real HTTP.

pub mod aws;
pub mod dynamodb;
pub mod fuzz;
pub mod providers;
pub mod replies;
pub mod runtime;
pub mod secrets;
pub mod signed;
pub mod sqs;

use std::time::Duration;

use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use lambda_runtime::{Context, LambdaEvent};
use receive_message::ReceiveMessage;
use serde_json::{Value, json};
use shared::{
    config::{self, Env},
    gateway::{self, Handler},
};
use start_chat::StartChat;

/// The stand-in's instance, and the flow that is its default.
pub const INSTANCE: &str = "44444444-4444-4444-8444-444444444444";
/// The default flow.
pub const FLOW: &str = "33333333-3333-4333-8333-333333333333";
/// A page that may call.
pub const PAGE: &str = "https://shop.example";
/// The topic that Connect may stream to.
pub const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:chat";

/// An HTTP request as a test writes it; made into the event of a gateway.
#[derive(Clone, Debug)]
pub struct Http {
    /// The method.
    pub method: String,
    /// The raw path.
    pub path: String,
    /// The raw query.
    pub query: String,
    /// Header names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Http {
    /// A request without headers or body.
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: String::new(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// A widget's `POST /chat` from [`PAGE`].
    pub fn chat(body: &Value) -> Self {
        Self::new("POST", "/chat").header("origin", PAGE).body(body.to_string())
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The event of an HTTP API (payload 2.0) or a function URL.
    pub fn http_api(&self) -> Value {
        let mut headers = serde_json::Map::new();
        for (name, value) in &self.headers {
            // HTTP APIs lower-case names and join repeats.
            let name = name.to_ascii_lowercase();
            let joined = match headers.get(&name).and_then(Value::as_str) {
                Some(first) => format!("{first},{value}"),
                None => value.clone(),
            };
            headers.insert(name, json!(joined));
        }
        let (body, is_base64) = self.encoded();
        json!({
            "version": "2.0", "routeKey": "$default", "rawPath": self.path, "rawQueryString": self.query,
            "headers": headers,
            "requestContext": {
                "accountId": "123456789012", "apiId": "api", "domainName": "api.example.com", "domainPrefix": "api",
                "http": { "method": self.method, "path": self.path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test" },
                "requestId": "gateway-1", "routeKey": "$default", "stage": "$default",
                "time": "21/Nov/2026:00:00:00 +0000", "timeEpoch": 1_795_219_200_000_u64,
            },
            "body": body, "isBase64Encoded": is_base64,
        })
    }

    /// The event of a REST API (payload 1.0), stage `prod`.
    pub fn rest_api(&self) -> Value {
        let (body, is_base64) = self.encoded();
        let multi: serde_json::Map<_, _> =
            self.headers.iter().map(|(name, value)| (name.clone(), json!([value]))).collect();
        let single: serde_json::Map<_, _> =
            self.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        json!({
            "resource": "/{proxy+}", "path": self.path, "httpMethod": self.method,
            "headers": single, "multiValueHeaders": multi,
            "queryStringParameters": null, "multiValueQueryStringParameters": null,
            "pathParameters": { "proxy": "chat" }, "stageVariables": null,
            "requestContext": {
                "resourceId": "r", "resourcePath": "/{proxy+}", "httpMethod": self.method, "path": format!("/prod{}", self.path),
                "accountId": "123456789012", "protocol": "HTTP/1.1", "stage": "prod", "domainName": "api.example.com",
                "requestId": "gateway-1", "requestTimeEpoch": 1_795_219_200_000_u64, "apiId": "api",
                "identity": { "sourceIp": "192.0.2.1", "userAgent": "test" },
            },
            "body": body, "isBase64Encoded": is_base64,
        })
    }

    /// The event of an Application Load Balancer.
    pub fn alb(&self) -> Value {
        let (body, is_base64) = self.encoded();
        let single: serde_json::Map<_, _> =
            self.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        json!({
            "requestContext": { "elb": { "targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/t/1" } },
            "httpMethod": self.method, "path": self.path, "queryStringParameters": {}, "headers": single,
            "body": body, "isBase64Encoded": is_base64,
        })
    }

    fn encoded(&self) -> (String, bool) {
        match std::str::from_utf8(&self.body) {
            Ok(text) => (text.to_owned(), false),
            Err(_) => (base64(&self.body), true),
        }
    }
}

/// Standard base64.
pub fn base64(bytes: &[u8]) -> String {
    use ::base64::{Engine, prelude::BASE64_STANDARD};
    BASE64_STANDARD.encode(bytes)
}

/// What a browser or provider reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, names lower-cased.
    pub headers: Vec<(String, String)>,
    /// The body: JSON where it is, else text.
    pub body: Value,
}

impl Answer {
    /// Reads a function's answer to the event of any gateway.
    pub fn of(answer: &Value) -> Self {
        let mut headers: Vec<(String, String)> = Vec::new();
        if let Some(single) = answer["headers"].as_object() {
            headers.extend(single.iter().map(|(k, v)| (k.to_ascii_lowercase(), v.as_str().unwrap().to_owned())));
        }
        if let Some(multi) = answer["multiValueHeaders"].as_object().filter(|_| headers.is_empty()) {
            for (name, values) in multi {
                let values: Vec<_> = values.as_array().unwrap().iter().filter_map(Value::as_str).collect();
                headers.push((name.to_ascii_lowercase(), values.join(",")));
            }
        }
        headers.sort();
        let text = answer["body"].as_str().unwrap_or_default();
        let body = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
        let status = answer["statusCode"].as_u64().and_then(|status| status.try_into().ok()).unwrap();
        Self { status, headers, body }
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The error's code.
    pub fn code(&self) -> Option<&str> {
        self.body["error"]["code"].as_str()
    }

    /// The field that the error names.
    pub fn field(&self) -> Option<&str> {
        self.body["error"]["field"].as_str()
    }
}

/// Hands a function one event, as the runtime would, with `time` on its clock.
pub async fn invoke_within<H: Handler>(function: &H, event: &Value, time: Duration) -> Answer {
    let mut context = Context::default();
    context.request_id = "request-1".to_owned();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    context.deadline = (now + time).as_millis().try_into().unwrap();
    let event = serde_json::from_str(&event.to_string()).unwrap();
    let answer = gateway::serve(function, LambdaEvent::new(event, context)).await.unwrap();
    Answer::of(&serde_json::to_value(&answer).unwrap())
}

/// Hands a function one event with ten seconds on its clock.
pub async fn invoke<H: Handler>(function: &H, event: &Value) -> Answer {
    invoke_within(function, event, Duration::from_secs(10)).await
}

/// The environment that most stories run in.
pub fn environment() -> Vec<(&'static str, String)> {
    vec![
        ("CONNECT_INSTANCE_ID", INSTANCE.to_owned()),
        ("CONNECT_CONTACT_FLOW_ID", FLOW.to_owned()),
        ("ALLOWED_ORIGINS", PAGE.to_owned()),
    ]
}

/// `start-chat` in `environment`, calling Connect at `connect_url`.
pub async fn start_chat(environment: &[(&'static str, String)], connect_url: &str) -> StartChat {
    let lookup = |name: &str| environment.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
    let config = config::StartChat::read(&Env::new(&lookup)).unwrap();
    StartChat::new(config, &sdk_config(connect_url).await)
}

/// `receive-message` in `environment`, calling every AWS service at `aws_url`.
pub async fn receive_message(environment: &[(&'static str, String)], aws_url: &str) -> ReceiveMessage {
    let lookup = |name: &str| environment.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
    let config = config::ReceiveMessage::read(&Env::new(&lookup)).unwrap();
    ReceiveMessage::new(config, &sdk_config(aws_url).await)
}

/// `start-chat` in `environment`, calling each service where it is said to be.
pub async fn start_chat_with(environment: &[(&'static str, String)], services: &[(&'static str, &str)]) -> StartChat {
    let lookup = |name: &str| environment.iter().rev().find(|(key, _)| *key == name).map(|(_, value)| value.clone());
    let config = config::StartChat::read(&Env::new(&lookup)).unwrap();
    StartChat::new(config, &sdk_config_for(services).await)
}

/// The functions' own SDK configuration for several services, by their ids ("Connect", "DynamoDB", "Secrets Manager").
/// A service that isn't named can't be reached.
pub async fn sdk_config_for(services: &[(&'static str, &str)]) -> aws_config::SdkConfig {
    let endpoints = Endpoints(services.iter().map(|(id, url)| (*id, (*url).to_owned())).collect());
    let credentials = aws_credential_types::Credentials::from_keys("test", "test", None);
    let region = aws_config::Region::new("us-east-1");
    let loaded = shared::aws::loader().region(region).credentials_provider(credentials).load().await;
    loaded.into_builder().service_config(endpoints).build()
}

/// What `AWS_ENDPOINT_URL_<SERVICE>` says, without an environment.
#[derive(Debug)]
struct Endpoints(Vec<(&'static str, String)>);

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let url = self.0.iter().find(|(id, _)| *id == key.service_id()).map(|(_, url)| url.clone());
        Some(url.unwrap_or_else(|| "http://127.0.0.1:1".to_owned()))
    }
}

/// The functions' own SDK configuration, for one endpoint and nobody's credentials.
pub async fn sdk_config(endpoint: &str) -> aws_config::SdkConfig {
    let credentials = aws_credential_types::Credentials::from_keys("test", "test", None);
    let region = aws_config::Region::new("us-east-1");
    shared::aws::loader().region(region).credentials_provider(credentials).endpoint_url(endpoint).load().await
}
