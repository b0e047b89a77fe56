//! The providers' send APIs, all of them on one local server. It records each request whole, and answers as a script says,
//! else as the provider's documentation says of a text that is taken.
//!
//! The first part of the path tells the providers apart: it is the account's name in [`Providers::accounts`], and the end
//! of its `send_base_url`. AWS's SDK may also call the service's endpoint, which has no such part.

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

use super::{PROVIDERS, account, of_name};

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

    /// The text that was sent.
    pub fn text(&self) -> String {
        let body = if self.json().is_null() { json!(self.form()) } else { self.whatsapp() };
        let of_provider = PROVIDERS.iter().filter(|provider| provider.name() == self.provider);
        let found = of_provider.filter_map(|provider| body.pointer(provider.text_at())?.as_str()).next();
        found.unwrap_or_default().to_owned()
    }

    /// The whole request, to be compared with [`super::ProviderUnderTest::request`]. Without the headers that every
    /// client sends, and with placeholders for what differs each time: `[key]`, `[JWT]` and `[SigV4]`.
    pub fn whole(&self) -> Value {
        let is_said = |name: &str| {
            let travels = ["host", "content-length", "accept", "user-agent", "x-amz-user-agent", "x-amz-date"];
            // Looked at by `assert_signed`.
            let signs = ["webhook-timestamp", "webhook-signature"];
            !travels.contains(&name) && !signs.contains(&name) && !name.starts_with("amz-sdk-")
        };
        let headers = self.headers.iter().filter(|(name, _)| is_said(name));
        let mut headers: Value = headers.map(|(name, value)| (name.clone(), json!(without_signature(value)))).collect();
        let mut body = if self.json().is_null() { json!(self.form()) } else { self.json() };
        if body["message"].is_string() {
            body["message"] = self.whatsapp();
        }
        replace_keys(&mut headers);
        replace_keys(&mut body);
        // A contact's id is another one in each run.
        if let Some(contact) = body.pointer_mut("/data/contact_id").filter(|id| id.is_string()) {
            *contact = json!("contact");
        }
        json!({ "request": format!("{} {}", self.method, self.path), "query": self.query, "headers": headers, "body": body })
    }

    /// The key of the text, wherever in the request it is: 64 hexadecimal digits.
    pub fn key(&self) -> Option<String> {
        let mut found = json!({ "headers": self.headers, "form": self.form(), "json": self.json() });
        replace_keys(&mut found)
    }
}

fn without_signature(value: &str) -> &str {
    if value.starts_with("Bearer ey") && value.split('.').count() == 3 {
        "Bearer [JWT]"
    } else if value.starts_with("AWS4-HMAC-SHA256 Credential=test/") {
        "[SigV4]"
    } else {
        value
    }
}

/// Puts a placeholder in the place of each key: the last one, if there was any.
fn replace_keys(value: &mut Value) -> Option<String> {
    match value {
        // The whole key, or as much of it as a provider takes.
        Value::String(text) if matches!(text.len(), 32 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            Some(std::mem::replace(text, "[key]".to_owned()))
        }
        Value::Array(items) => items.iter_mut().filter_map(replace_keys).last(),
        Value::Object(members) => members.values_mut().filter_map(replace_keys).last(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
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

    /// With another text in its body wherever this one is.
    #[must_use]
    pub fn with(mut self, from: &str, to: &str) -> Self {
        self.body = self.body.replace(from, to);
        self
    }

    /// Only after some time.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// What a provider answers when it takes a text.
    pub fn taken(provider: &str) -> Self {
        of_name(provider).taken()
    }

    /// What a provider answers when the destination is no number.
    pub fn refused(provider: &str) -> Self {
        of_name(provider).refused()
    }

    /// What a provider answers when the customer has opted out, if it says so at once.
    pub fn opted_out(provider: &str) -> Option<Self> {
        of_name(provider).opted_out()
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
        super::names().into_iter().map(|provider| account(provider, &self.base_url(provider))).collect()
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
    let first = path.get(1..).and_then(|path| path.split('/').next()).unwrap_or_default();
    let (provider, path) = match super::names().into_iter().find(|name| *name == first) {
        Some(name) => (name, &path[1 + name.len()..]),
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
