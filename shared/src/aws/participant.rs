//! The Amazon Connect Participant Service: what a customer does in a chat. Calls carry the participant's own token and
//! not this function's signature ("The Amazon Connect Participant Service APIs do not use Signature Version 4
//! authentication").

use aws_config::SdkConfig;
use aws_sdk_connectparticipant::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::ConnectionType,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::{
    aws::{
        connect::Timed,
        failure::{Failure, classify},
        session::{Connection, Conversation},
    },
    chat::{Content, TEXT_PLAIN, TYPING},
    deadline::Deadline,
    digest::hash,
    error::{Error, Kind, Result},
    retry::{self, Tries},
    secret::Secret,
    telemetry::Report,
};

/// How a chat was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// By this call.
    Now,
    /// It had ended before, or the token is none any more: the service answers both with `AccessDeniedException`.
    Before,
}

/// Whether a message was said in the customer's chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// It was.
    Yes,
    /// The chat has ended.
    No,
}

/// The Participant Service.
pub struct Participants {
    pub(super) client: Client,
    tries: Tries,
}

impl Participants {
    /// A client; no call is made.
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: Client::new(config), tries: Tries::SEVERAL }
    }

    /// Tries each call once: what fails goes back to a queue.
    #[must_use]
    pub fn with_one_try(self) -> Self {
        Self { tries: Tries::ONE, ..self }
    }

    /// `CreateParticipantConnection` with `ConnectParticipant`, for a customer who will open no websocket: without it
    /// the flow never starts. The chat must be streamed. Returns the connection token.
    pub async fn connect(
        &self,
        participant_token: &str,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Connection> {
        self.connection(participant_token, true, deadline, report).await
    }

    /// `CreateParticipantConnection` for a new connection token in a chat that goes on.
    pub async fn refresh(
        &self,
        participant_token: &str,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Connection> {
        self.connection(participant_token, false, deadline, report).await
    }

    async fn connection(
        &self,
        participant_token: &str,
        connect: bool,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Connection> {
        retry::up_to(self.tries, deadline, async || {
            let call = Timed::new(report);
            let request = self
                .client
                .create_participant_connection()
                .participant_token(participant_token)
                .r#type(ConnectionType::ConnectionCredentials)
                .set_connect_participant(connect.then_some(true));
            let outcome = Box::pin(request.send()).await;
            drop(call);
            let output = outcome.map_err(|error| refused("CreateParticipantConnection", &error))?;
            let credentials = output.connection_credentials;
            let until = credentials.as_ref().and_then(|credentials| credentials.expiry.as_deref()).and_then(second);
            credentials
                .and_then(|credentials| credentials.connection_token)
                .map(|token| Connection { token: Secret::new(token), until })
                .ok_or_else(|| Error::internal("CreateParticipantConnection answered without a token"))
        })
        .await
    }

    /// `DisconnectParticipant`. Tried twice at most within `deadline`, with the same `client_token`: anyone may ask for it. Once
    /// where a queue tries again.
    pub async fn disconnect(
        &self,
        connection_token: &Secret,
        client_token: &str,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Left> {
        let request =
            self.client.disconnect_participant().connection_token(connection_token.expose()).client_token(client_token);
        let tries = if self.tries == Tries::ONE { Tries::ONE } else { Tries::TWO };
        retry::up_to(tries, deadline, async || {
            let call = Timed::new(report);
            let outcome = Box::pin(request.clone().send()).await;
            drop(call);
            match outcome {
                Ok(_) => Ok(Left::Now),
                Err(error) if error.code() == Some("AccessDeniedException") => Ok(Left::Before),
                Err(error) => Err(classify("DisconnectParticipant", &error)),
            }
        })
        .await
    }

    /// The customer leaves the chat, which ends it. A connection token that is refused may only be old: a new one tells.
    pub async fn leave(
        &self,
        conversation: &mut Conversation,
        client_token: &str,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Left> {
        let Some(participant_token) = conversation.participant_token.clone() else { return Ok(Left::Before) };
        if let Some(connection) = conversation.connection.as_ref().filter(|connection| !connection.is_over())
            && self.disconnect(&connection.token, client_token, deadline, report).await? == Left::Now
        {
            return Ok(Left::Now);
        }
        match self.refresh(participant_token.expose(), deadline, report).await {
            Ok(connection) => self.disconnect(&connection.token, client_token, deadline, report).await,
            Err(error) if error.kind() == Kind::ChatEnded => Ok(Left::Before),
            Err(error) => Err(error),
        }
    }

    /// `SendEvent`: the customer is typing. Tried once, by the connection that is there.
    pub async fn send_typing(
        &self,
        connection: &Connection,
        client_token: &str,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<()> {
        retry::up_to(Tries::ONE, deadline, async || {
            let call = Timed::new(report);
            let request = self
                .client
                .send_event()
                .connection_token(connection.token.expose())
                .content_type(TYPING)
                .client_token(client_token);
            let outcome = Box::pin(request.send()).await;
            drop(call);
            outcome.map(drop).map_err(|error| refused("SendEvent", &error))
        })
        .await
    }

    /// Says a text in the customer's chat, as [`Self::say_as`].
    pub async fn say(
        &self,
        conversation: &mut Conversation,
        text: &str,
        client_token: &str,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Said> {
        let content = Content { content_type: TEXT_PLAIN.to_owned(), content: text.to_owned() };
        self.say_as(conversation, &content, client_token, deadline, report).await
    }

    /// Says something in the customer's chat. A connection token that is refused may only be old, whatever its record says:
    /// a new one tells, and is put into `conversation`, which the caller may keep.
    pub async fn say_as(
        &self,
        conversation: &mut Conversation,
        content: &Content,
        client_token: &str,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Said> {
        let said =
            self.in_chat(conversation, deadline, report, async |connection: &Connection, report: &mut Report| {
                self.send_message(connection, content, client_token, deadline, report).await
            });
        Ok(if said.await?.is_some() { Said::Yes } else { Said::No })
    }

    /// `SendEvent`: what became of an agent's message. Tried once by the connection that is there: a receipt is not worth
    /// more, and shares its quota with messages.
    pub async fn send_receipt(
        &self,
        connection: &Connection,
        content_type: &str,
        message_id: &str,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<()> {
        retry::up_to(Tries::ONE, deadline, async || {
            let call = Timed::new(report);
            let request = self
                .client
                .send_event()
                .connection_token(connection.token.expose())
                .content_type(content_type)
                .content(serde_json::json!({ "messageId": message_id }).to_string())
                .client_token(hash(&["receipt", content_type, message_id]));
            let outcome = Box::pin(request.send()).await;
            drop(call);
            outcome.map(drop).map_err(|error| refused("SendEvent", &error))
        })
        .await
    }

    /// `SendMessage`. The same `client_token` is said once, however often it is sent.
    pub async fn send_message(
        &self,
        connection: &Connection,
        content: &Content,
        client_token: &str,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<()> {
        retry::up_to(self.tries, deadline, async || {
            let call = Timed::new(report);
            let request = self
                .client
                .send_message()
                .connection_token(connection.token.expose())
                .content_type(&content.content_type)
                .content(&content.content)
                .client_token(client_token);
            let outcome = Box::pin(request.send()).await;
            drop(call);
            outcome.map(drop).map_err(|error| refused("SendMessage", &error))
        })
        .await
    }
}

/// A token that is refused is one whose chat has ended, or an old one: AccessDeniedException for both ("Participant
/// Service: Common Errors"; the participant's own 404 says that the contact is gone).
pub(super) fn refused<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error.raw_response().map(|response| response.status().as_u16()) {
        Some(401 | 403 | 404) => {
            Error::new(Kind::ChatEnded, "The chat has ended").caused_by(Failure::of(operation, error))
        }
        _ => classify(operation, error),
    }
}

fn second(time: &str) -> Option<i64> {
    time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second)
}
