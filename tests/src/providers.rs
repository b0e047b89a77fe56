//! The providers' send APIs, all of them on one local server: it records each request whole, and answers as it is told
//! to, else as the provider's documentation says of a text that is taken.
//!
//! Its requests are told apart by the first part of the path, which is the account's name in [`Providers::accounts`] and
//! the end of its `send_base_url`. AWS's SDK also comes by the service's endpoint, without that part.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use ::base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
};

/// The names of all, as they are in the settings.
pub const PROVIDERS: [&str; 7] = ["twilio", "signalwire", "telnyx", "vonage", "vonage-messages", "meta", "aws-sns"];

/// What every secret of [`Providers::accounts`] has in it.
pub const SECRET: &str = "s3cret";

/// The key of the Vonage application: made for tests only.
pub const PRIVATE_KEY: &str = include_str!("../../shared/src/sms/providers/aws_sns/fixtures/test-only.key.pem");

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Whose API was called.
    pub provider: String,
    /// The method.
    pub method: String,
    /// The path, as the provider's own host would see it.
    pub path: String,
    /// The query.
    pub query: String,
    /// The headers, names lower-cased.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
    /// Which connection it came over, counted from 0.
    pub connection: usize,
}

impl Call {
    /// The body as JSON, or null.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The body as a form.
    pub fn form(&self) -> BTreeMap<String, String> {
        form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    /// The message object of Meta's API, also inside of AWS's.
    pub fn whatsapp(&self) -> Value {
        let body = self.json();
        match body["message"].as_str() {
            Some(message) => serde_json::from_slice(&BASE64_STANDARD.decode(message).unwrap()).unwrap(),
            None => body,
        }
    }

    /// The words that were sent, whoever was to send them.
    pub fn text(&self) -> String {
        self.one_of(&["/Body", "/text", "/MessageBody", "/text/body"])
    }

    /// Where to.
    pub fn to(&self) -> String {
        self.one_of(&["/To", "/to", "/DestinationPhoneNumber", "/recipient"])
    }

    fn one_of(&self, pointers: &[&str]) -> String {
        let body = if self.json().is_null() { json!(self.form()) } else { self.whatsapp() };
        let found = pointers.iter().find_map(|pointer| body.pointer(pointer)?.as_str());
        found.unwrap_or_default().to_owned()
    }
}

/// What the server does with a request, once it has all of it.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    end: End,
    delay: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Answer,
    CutShort,
    Hang,
    Reset,
}

impl Reply {
    /// An answer.
    pub fn new(status: u16, body: impl ToString) -> Self {
        Self { status, headers: Vec::new(), body: body.to_string(), end: End::Answer, delay: Duration::ZERO }
    }

    /// An answer of this status that says no more.
    pub fn status(status: u16) -> Self {
        Self::new(status, "")
    }

    /// An answer that promises a longer body than comes before the connection ends.
    pub fn cut_short(status: u16) -> Self {
        Self { end: End::CutShort, ..Self::new(status, "{") }
    }

    /// No answer, for as long as the caller waits.
    pub fn hang() -> Self {
        Self { end: End::Hang, ..Self::status(0) }
    }

    /// No answer: the connection is reset.
    pub fn reset() -> Self {
        Self { end: End::Reset, ..Self::status(0) }
    }

    /// To another place.
    pub fn redirect(status: u16, url: &str) -> Self {
        Self::status(status).header("location", url)
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Only after some time.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// What a provider answers when it takes a text, by the sources that the head of its file in `shared/src/sms` names.
    pub fn taken(provider: &str) -> Self {
        match provider {
            "twilio" => Self::new(
                201,
                json!({ "sid": "SM11111111111111111111111111111111", "status": "queued", "error_code": null }),
            ),
            "signalwire" => {
                Self::new(201, json!({ "sid": "b8d5c1f2-0d1e-4c5b-9c0a-111111111111", "status": "queued" }))
            }
            "telnyx" => Self::new(
                200,
                json!({ "data": { "id": "84cca175-9755-4859-b67f-4730d7f58aa3", "parts": 1,
                                  "to": [{ "phone_number": "+14133881111", "status": "queued" }] } }),
            ),
            "vonage" => Self::new(
                200,
                json!({ "message-count": "1", "messages": [{ "to": "14133881111", "status": "0",
                        "message-id": "0C000000217B7F02", "remaining-balance": "15.53590000" }] }),
            ),
            "vonage-messages" => Self::new(202, json!({ "message_uuid": "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab" })),
            "meta" => Self::new(
                200,
                json!({ "messaging_product": "whatsapp", "contacts": [{ "input": "14133881111" }],
                        "messages": [{ "id": "wamid.HBgLMTQxMzM4ODExMTEVAgARGBI" }] }),
            ),
            "aws-sns" => Self::new(200, json!({ "MessageId": "m-1", "messageId": "m-1" })),
            other => panic!("no such provider: {other}"),
        }
    }

    /// What a provider answers when the customer has opted out, if it says so at once: Vonage reports it later, Social
    /// not at all.
    pub fn opted_out(provider: &str) -> Option<Self> {
        Some(match provider {
            "twilio" | "signalwire" => Self::refusal(provider, 400, "21610"),
            "telnyx" => Self::refusal(provider, 403, "40300"),
            "meta" => Self::refusal(provider, 400, "131050"),
            "aws-sns" => Self::exception(
                400,
                "ConflictException",
                &json!({ "Reason": "DESTINATION_PHONE_NUMBER_OPTED_OUT", "Message": "+14133881111 has opted out" }),
            ),
            _ => return None,
        })
    }

    /// What a provider answers when the destination is no number.
    pub fn refused(provider: &str) -> Self {
        match provider {
            "twilio" => Self::refusal(provider, 400, "21211"),
            "signalwire" => Self::refusal(provider, 422, "21217"),
            "telnyx" => Self::refusal(provider, 422, "40310"),
            "vonage" => Self::refusal(provider, 200, "3"),
            "vonage-messages" => Self::refusal(provider, 422, "1040"),
            "meta" => Self::refusal(provider, 400, "131026"),
            "aws-sns" => Self::exception(
                400,
                "ValidationException",
                &json!({ "Reason": "FIELD_VALIDATION_FAILED", "Message": "+14133881111 is not valid" }),
            ),
            other => panic!("no such provider: {other}"),
        }
    }

    /// An answer in the provider's own form, with a code and a text that quotes the customer's number.
    pub fn refusal(provider: &str, status: u16, code: &str) -> Self {
        let says = "+14133881111 can't be texted";
        let number: Value = code.parse::<u32>().map_or_else(|_| json!(code), |code| json!(code));
        let body = match provider {
            "twilio" | "signalwire" => json!({ "code": number, "message": says, "more_info": "…", "status": status }),
            "telnyx" => json!({ "errors": [{ "code": code, "title": says, "detail": says }] }),
            "vonage" => json!({ "message-count": "1", "messages": [{ "status": code, "error-text": says }] }),
            "vonage-messages" => json!({ "type": format!("https://developer.vonage.com/api-errors/messages#{code}"),
                                         "title": says, "detail": says, "instance": "i" }),
            "meta" => {
                json!({ "error": { "message": says, "type": "OAuthException", "code": number, "fbtrace_id": "f" } })
            }
            other => panic!("{other} has no codes"),
        };
        Self::new(status, body)
    }

    /// An error of an AWS service.
    pub fn exception(status: u16, name: &str, members: &Value) -> Self {
        let mut body = json!({ "__type": name });
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        Self::new(status, body).header("x-amzn-errortype", name)
    }
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    scripts: BTreeMap<String, VecDeque<Reply>>,
    always: BTreeMap<String, Reply>,
}

/// The server, running. Dropping it stops it.
pub struct Providers {
    url: String,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Providers {
    /// Starts one on a port of its own.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                tokio::spawn(serve(stream, connection, Arc::clone(&shared)));
            }
        });
        Self { url, state, task }
    }

    /// Its URL: also the endpoint of AWS's services.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The `send_base_url` of a provider.
    pub fn base_url(&self, provider: &str) -> String {
        format!("{}/{provider}", self.url)
    }

    /// The `accounts` of a settings document: one at each provider, that sends here.
    pub fn accounts(&self) -> Value {
        json!(PROVIDERS.map(|provider| account(provider, &self.base_url(provider))))
    }

    /// Does this with the next requests of a provider, in this order; with those after them what it did before.
    pub fn script(&self, provider: &str, replies: impl IntoIterator<Item = Reply>) {
        self.state.lock().unwrap().scripts.entry(provider.to_owned()).or_default().extend(replies);
    }

    /// Does this with every request of a provider that no script is for.
    pub fn always(&self, provider: &str, reply: Reply) {
        self.state.lock().unwrap().always.insert(provider.to_owned(), reply);
    }

    /// The requests of a provider, in the order of their arrival.
    pub fn calls(&self, provider: &str) -> Vec<Call> {
        self.all_calls().into_iter().filter(|call| call.provider == provider).collect()
    }

    /// The requests of all.
    pub fn all_calls(&self) -> Vec<Call> {
        self.state.lock().unwrap().calls.clone()
    }

    /// Empties record and scripts.
    pub fn forget(&self) {
        *self.state.lock().unwrap() = State::default();
    }
}

impl Drop for Providers {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An account in the settings, named as its provider.
pub fn account(provider: &str, send_base_url: &str) -> Value {
    let mut account = match provider {
        "twilio" => json!({ "auth_tokens": [format!("{SECRET}-1"), format!("{SECRET}-0")],
                            "account_sid": "AC00000000000000000000000000000001" }),
        "signalwire" => {
            json!({ "signing_keys": [SECRET], "space": "acme", "project_id": "720796a0-8ee9", "api_token": SECRET })
        }
        "telnyx" => json!({ "public_keys": ["A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="], "api_key": SECRET }),
        "vonage" => json!({ "signature_secrets": [SECRET], "api_key": "abcd1234", "api_secret": SECRET }),
        "vonage-messages" => {
            json!({ "signature_secrets": [SECRET], "application_id": "aaaaaaaa-bbbb-cccc-dddd-0123456789ab",
                                     "private_key": PRIVATE_KEY })
        }
        "meta" => json!({ "app_secrets": [SECRET], "access_token": SECRET, "phone_number_ids": ["106540352242922"] }),
        "aws-sns" => json!({ "topic_arns": ["arn:aws:sns:us-east-1:123456789012:two-way-sms"] }),
        other => panic!("no such provider: {other}"),
    };
    account["provider"] = json!(provider);
    account["send_base_url"] = json!(send_base_url);
    account
}

/// A port that nobody listens at, nor will as long as this is kept; and its URL.
pub fn nobody() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    (socket, url)
}

/// Serves a connection, one request after the other.
async fn serve(mut stream: TcpStream, connection: usize, state: Arc<Mutex<State>>) {
    let mut buffer = Vec::new();
    while let Some(call) = read_call(&mut stream, &mut buffer, connection).await {
        let reply = {
            let mut state = state.lock().unwrap();
            let scripted = state.scripts.get_mut(&call.provider).and_then(VecDeque::pop_front);
            let reply = scripted
                .or_else(|| state.always.get(&call.provider).cloned())
                .unwrap_or_else(|| Reply::taken(&call.provider));
            state.calls.push(call);
            reply
        };
        tokio::time::sleep(reply.delay).await;
        match reply.end {
            End::Answer | End::CutShort => {
                let length = reply.body.len() + if reply.end == End::CutShort { 100 } else { 0 };
                let mut head = format!(
                    "HTTP/1.1 {} -\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n",
                    reply.status
                );
                for (name, value) in &reply.headers {
                    head.push_str(&format!("{name}: {value}\r\n"));
                }
                if stream.write_all(format!("{head}\r\n{}", reply.body).as_bytes()).await.is_err()
                    || reply.end == End::CutShort
                {
                    return;
                }
            }
            End::Hang => {
                while stream.read(&mut [0; 1024]).await.is_ok_and(|length| length > 0) {}
                return;
            }
            End::Reset => {
                stream.set_zero_linger().unwrap();
                return;
            }
        }
    }
}

/// Reads a request with a body of a known length; the clients make no other.
async fn read_call(stream: &mut TcpStream, buffer: &mut Vec<u8>, connection: usize) -> Option<Call> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end;
        }
        read_more(stream, buffer).await?;
    };
    let head = String::from_utf8(buffer.drain(..end + 4).collect()).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let mut words = lines.next()?.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let headers: BTreeMap<_, _> = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    assert!(!headers.contains_key("transfer-encoding"), "{headers:?}");
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    while buffer.len() < length {
        read_more(stream, buffer).await?;
    }
    let body = String::from_utf8(buffer.drain(..length).collect()).unwrap();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let named = path.get(1..).and_then(|path| PROVIDERS.iter().find(|name| path.split('/').next() == Some(name)));
    let (provider, path) = match named {
        Some(name) => (*name, &path[1 + name.len()..]),
        // By the service's endpoint.
        None => ("aws-sns", path),
    };
    let path = if path.is_empty() { "/" } else { path };
    Some(Call {
        provider: provider.to_owned(),
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        headers,
        body,
        connection,
    })
}

async fn read_more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    match stream.read_buf(buffer).await {
        Ok(length) if length > 0 => Some(()),
        _ => None,
    }
}
