//! A client that can also send what the SDKs would not.

use local::{Config, StandIn};
use reqwest::Method;
use serde_json::{Value, json};

pub(crate) const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:chat";

/// An answer: status, exception, body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) error: Option<String>,
    pub(crate) body: Value,
}

impl Answer {
    /// The body of a success.
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{self:?}");
        self.body
    }

    /// Status, exception and message of a failure.
    pub(crate) fn failed(&self) -> (u16, &str, &str) {
        (self.status, self.error.as_deref().unwrap(), self.body["Message"].as_str().unwrap())
    }
}

pub(crate) struct Client {
    pub(crate) stand_in: StandIn,
    http: reqwest::Client,
}

impl Client {
    pub(crate) async fn start() -> Self {
        Self::start_with(Config::default()).await
    }

    pub(crate) async fn start_with(config: Config) -> Self {
        Self { stand_in: StandIn::start_with(config).await.unwrap(), http: reqwest::Client::new() }
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        bearer: Option<&str>,
        body: String,
    ) -> Result<Answer, reqwest::Error> {
        let url = format!("{}{path}", self.stand_in.url());
        let mut request = self.http.request(Method::from_bytes(method.as_bytes()).unwrap(), url).body(body);
        if let Some(bearer) = bearer {
            request = request.header("x-amz-bearer", bearer);
        }
        let response = request.send().await?;
        let error = response.headers().get("x-amzn-errortype").map(|kind| kind.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let text = response.text().await?;
        Ok(Answer { status, error, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) })
    }

    /// StartChatContact.
    pub(crate) async fn start_chat(&self, body: &Value) -> Answer {
        self.send("PUT", "/contact/chat", None, body.to_string()).await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, None, body.to_string()).await.unwrap()
    }

    /// A participant operation.
    pub(crate) async fn participant(&self, name: &str, bearer: &str, body: &Value) -> Answer {
        self.send("POST", &format!("/participant/{name}"), Some(bearer), body.to_string()).await.unwrap()
    }

    /// A chat with streaming whose customer is connected.
    pub(crate) async fn chat(&self) -> Chat {
        self.chat_of(with(json!({ "ChatStreamingConfiguration": { "StreamingEndpointArn": TOPIC } }))).await
    }

    pub(crate) async fn chat_of(&self, request: Value) -> Chat {
        let started = self.start_chat(&request).await.ok();
        let participant_token = text(&started["ParticipantToken"]);
        let connected = self
            .participant(
                "connection",
                &participant_token,
                &json!({ "Type": ["CONNECTION_CREDENTIALS"], "ConnectParticipant": true }),
            )
            .await
            .ok();
        let token = text(&connected["ConnectionCredentials"]["ConnectionToken"]);
        Chat { id: text(&started["ContactId"]), participant_token, token }
    }

    pub(crate) async fn say(&self, chat: &Chat, content: &str) -> Answer {
        self.participant("message", &chat.token, &json!({ "ContentType": "text/plain", "Content": content })).await
    }
}

pub(crate) struct Chat {
    pub(crate) id: String,
    pub(crate) participant_token: String,
    pub(crate) token: String,
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// A minimal StartChatContact request, with these members.
pub(crate) fn with(members: Value) -> Value {
    let mut request = json!({
        "InstanceId": "44444444-4444-4444-8444-444444444444",
        "ContactFlowId": "33333333-3333-4333-8333-333333333333",
        "ParticipantDetails": { "DisplayName": "Jane" },
    });
    let Value::Object(members) = members else { panic!("{members} is not an object") };
    for (name, value) in members {
        request[name] = value;
    }
    request
}
