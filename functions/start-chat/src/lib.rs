//! Starts chats, and ends them: `POST /chat`, `PUT /contact/chat`, `POST /chat/end`.
//!
//! The way of a request: [`shared::gateway`] reads the event → [`shared::widget::cors`] checks the origin → the route →
//! [`shared::widget::signed`] proves the token, where requests are signed → [`shared::widget::request`] reads and checks
//! the body → [`shared::store::used_tokens`] sees that a token is used once, where it is told to → [`shared::aws::connect`]
//! starts the chat → [`shared::widget::response`] or [`shared::widget::connect_shape`] makes the answer.

mod route;

use std::{
    sync::OnceLock,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_config::SdkConfig;
use http::{
    HeaderMap, HeaderValue, Response,
    header::{ALLOW, ORIGIN},
};
use shared::{
    Error, Kind, Result,
    aws::{
        GATE,
        connect::Connect,
        participant::{Left, Participants},
        settings::{Refresh, SettingsSource},
    },
    chat::StartedChat,
    config,
    deadline::Deadline,
    gateway::{Call, Handler, Head, Request},
    store::used_tokens::{Known, Use, UsedTokens},
    telemetry::Report,
    widget::{
        connect_shape, cors, request, response,
        signed::{Claims, Place, Unverified, unauthenticated},
        token,
    },
};

use tokio::time::Instant;

use crate::route::Route;

/// The function: what it was told, and the clients it calls.
pub struct StartChat {
    config: config::StartChat,
    sdk: SdkConfig,
    connect: Connect,
    /// Made by the first request that ends a chat.
    participant: OnceLock<Participants>,
    /// Where every start needs a token.
    signing: Option<Signing>,
}

/// What signed requests need beside Connect.
struct Signing {
    settings: SettingsSource,
    used: Option<UsedTokens>,
}

impl StartChat {
    /// Makes the clients that the configuration asks for; nothing is called yet.
    pub fn new(config: config::StartChat, sdk: &SdkConfig) -> Self {
        let connect = Connect::new(sdk, &config.instance.id);
        let signing = config.signed_requests.then(|| Signing {
            settings: SettingsSource::of_widget(config.settings.clone(), sdk),
            used: config.conversations_table.as_ref().map(|table| UsedTokens::new(sdk, table)),
        });
        Self { config, sdk: sdk.clone(), connect, participant: OnceLock::new(), signing }
    }

    async fn start(&self, request: &Request, place: Place, call: &Call, report: &mut Report) -> Result<StartedChat> {
        let headers = &request.head.headers;
        let claims = match &self.signing {
            Some(signing) => Some(signing.prove(headers, place, report).await?),
            None => None,
        };
        let asked = request::read(&request.body, claims.as_ref(), &self.config)?;
        let header = text(headers, "idempotency-key")?;
        let key = token::key([asked.client_token.as_deref(), header.as_deref()]);
        if let Some(note) = asked.misspelt {
            report.note(note);
        }
        let origin = text(headers, ORIGIN.as_str())?;
        let identity = token::Request {
            origin: origin.as_deref(),
            is_signed: claims.is_some(),
            subject: claims.as_ref().and_then(Claims::subject),
            chat: &asked.chat,
        };
        let mut client_token = token::client_token(key, &identity)?;
        if let (Some(claims), Some(Signing { used: Some(used), .. })) = (&claims, &self.signing) {
            client_token = once(used, claims, &identity, client_token, call.deadline).await?;
        }
        let started = self.connect.start_chat(&asked.chat, &client_token, call.deadline, report).await?;
        report.count("ChatStarted", 1);
        report.contact_id = Some(started.contact_id.clone());
        Ok(started)
    }

    async fn end(&self, request: &Request, call: &Call, report: &mut Report) -> Result<Response<String>> {
        let connection_token = request::read_end(&request.body)?;
        // A beacon may be sent twice: the same token then, so that it is one disconnect.
        let client_token = token::of_disconnect(&connection_token);
        let participant = self.participant.get_or_init(|| Participants::new(&self.sdk));
        let left = participant.disconnect(&connection_token, &client_token, call.deadline, report).await?;
        if left == Left::Now {
            report.count("ChatEnded", 1);
        }
        response::ended()
    }
}

impl Signing {
    /// The claims that a request's token proves. Without keys nothing can be proved, so no chat starts.
    async fn prove(&self, headers: &HeaderMap, place: Place, report: &mut Report) -> Result<Claims> {
        let asked = Instant::now();
        let settings = self.settings.current(report).await.map_err(|error| error.retry_after(GATE))?;
        let now = i64::try_from(now().as_secs()).map_err(Error::internal)?;
        let token = match &settings.widget {
            Some(widget) => {
                let token = Unverified::read(headers, place, now)?;
                if let Some(claims) = token.verify(&widget.signing_keys) {
                    return Ok(claims);
                }
                Some(token)
            }
            None => None,
        };
        let refreshed = self.settings.refresh(asked).await;
        let widget = match &refreshed {
            Refresh::Refreshed(settings) => settings.widget.as_ref(),
            Refresh::GateShut | Refresh::Fixed => settings.widget.as_ref(),
        };
        let Some(widget) = widget else { return Err(no_keys(report)) };
        let token = match token {
            Some(token) => token,
            None => Unverified::read(headers, place, now)?,
        };
        match refreshed {
            Refresh::Refreshed(_) => token.verify(&widget.signing_keys).ok_or_else(unknown_key),
            Refresh::GateShut => Err(Error::new(
                Kind::UnauthenticatedYet,
                "The token's key is not known; if it is new, try again in half a minute",
            )
            .retry_after(GATE)),
            Refresh::Fixed => Err(unknown_key()),
        }
    }
}

fn no_keys(report: &mut Report) -> Error {
    report.count("SettingsUnreadable", 1);
    Error::new(Kind::SettingsUnavailable, "The settings can't be read")
        .caused_by("settings: widget is missing, and requests must be signed; SIGNED_REQUESTS=false allows all")
        .retry_after(GATE)
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn unknown_key() -> Error {
    unauthenticated("no key of the settings has signed the token")
}

/// Sees that a token starts one chat: the `ClientToken` to start it with, which is the earlier one where the same request
/// comes again.
async fn once(
    used: &UsedTokens,
    claims: &Claims,
    identity: &token::Request<'_>,
    client_token: String,
    deadline: Deadline,
) -> Result<String> {
    let request = identity.digest()?;
    let this = Use { token: claims.id(), request: &request, client_token: &client_token, expires_at: claims.dead_at() };
    match used.record(&this, deadline).await? {
        Known::New => Ok(client_token),
        Known::SameRequest(earlier) => Ok(earlier),
        Known::OtherRequest => Err(unauthenticated("the token has started another chat")),
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
        match Route::of(&request.head.method, &request.head.path)? {
            Route::Preflight => Ok(cors::preflight(&request.head.headers)),
            Route::StartChat => {
                let started = self.start(&request, Place::AnyHeader, call, report).await?;
                response::started(&started, self.config.instance.attachments, self.connect.region())
            }
            Route::StartChatContact => {
                let started = self.start(&request, Place::TokenHeader, call, report).await?;
                connect_shape::started(&started, &call.request_id)
            }
            Route::EndChat => self.end(&request, call, report).await,
        }
    }

    fn answer(&self, head: &Head, call: &Call, outcome: Result<Response<String>, &Error>) -> Response<String> {
        let mut response = outcome.unwrap_or_else(|error| {
            if let Ok(Route::StartChatContact) = Route::of(&head.method, &head.path) {
                return connect_shape::failure(error, &call.request_id);
            }
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
