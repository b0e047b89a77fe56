//! `POST /chat`: a widget's request becomes a contact, and its answer a participant token.
//!
//! The way of a request: [`shared::gateway`] reads the event → [`shared::widget::cors`] checks the origin → the route →
//! [`shared::widget::request`] reads and checks the body → [`shared::aws::connect`] starts the chat →
//! [`shared::widget::response`] makes the answer.

use http::{
    HeaderMap, HeaderValue, Method, Response,
    header::{ALLOW, ORIGIN},
};
use shared::{
    Error, Kind, Result,
    aws::connect::Connect,
    config,
    gateway::{Call, Handler, Head, Request},
    telemetry::Report,
    widget::{cors, request, response, token},
};

/// The function: what it was told, and the one client it calls.
pub struct StartChat {
    config: config::StartChat,
    connect: Connect,
}

/// What a method and a path ask for.
enum Route {
    Preflight,
    StartChat,
}

impl Route {
    /// Any path will do for a chat, with or without a stage's prefix or a trailing slash: clients that change only their
    /// endpoint keep their paths.
    fn of(method: &Method) -> Result<Self> {
        match *method {
            Method::OPTIONS => Ok(Self::Preflight),
            Method::POST => Ok(Self::StartChat),
            Method::PUT => Err(Error::new(Kind::NotFound, "There is nothing to PUT at this path")),
            _ => Err(Error::new(Kind::MethodNotAllowed, "Use POST to start a chat")),
        }
    }
}

impl StartChat {
    /// Makes the client; nothing is called yet.
    pub fn new(config: config::StartChat, sdk: &aws_config::SdkConfig) -> Self {
        let connect = Connect::new(sdk, &config.instance.id);
        Self { config, connect }
    }

    async fn start(&self, request: &Request, call: &Call, report: &mut Report) -> Result<Response<String>> {
        let asked = request::read(&request.body, &self.config)?;
        let headers = &request.head.headers;
        let key = match asked.client_token {
            Some(key) => Some(key),
            None => text(headers, "idempotency-key")?,
        };
        let origin = text(headers, ORIGIN.as_str())?;
        let client_token = token::client_token(key.as_deref(), origin.as_deref(), &asked.chat)?;
        let started = self.connect.start_chat(&asked.chat, &client_token, call.deadline, report).await?;
        report.count("ChatStarted", 1);
        report.contact_id = Some(started.contact_id.clone());
        response::started(&started, self.config.instance.attachments, self.connect.region())
    }
}

fn text(headers: &HeaderMap, name: &str) -> Result<Option<String>> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    value.to_str().map(|text| Some(text.to_owned())).map_err(|_| Error::invalid(name, "must be plain text"))
}

impl Handler for StartChat {
    const SERVICE: &'static str = "start-chat";
    const REJECTED: &'static str = "ChatRejected";

    async fn handle(&self, request: Request, call: &Call, report: &mut Report) -> Result<Response<String>> {
        cors::check(&self.config.origins, &request.head.headers)?;
        match Route::of(&request.head.method)? {
            Route::Preflight => Ok(cors::preflight()),
            Route::StartChat => self.start(&request, call, report).await,
        }
    }

    fn answer(&self, head: &Head, call: &Call, outcome: Result<Response<String>, &Error>) -> Response<String> {
        let mut response = outcome.unwrap_or_else(|error| {
            let mut response = response::failure(error, &call.request_id);
            if error.kind() == Kind::MethodNotAllowed {
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST, OPTIONS"));
            }
            response
        });
        cors::apply(&self.config.origins, &head.headers, &mut response);
        response
    }
}
