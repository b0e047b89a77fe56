//! The Amazon Connect Participant Service: what a customer does in a chat. Calls carry the participant's own token and
//! not this function's signature ("The Amazon Connect Participant Service APIs do not use Signature Version 4
//! authentication").

use aws_config::SdkConfig;
use aws_sdk_connectparticipant::{Client, error::ProvideErrorMetadata, types::ConnectionType};

use super::{connect::Timed, failure::classify};
use crate::{
    deadline::Deadline,
    error::{Error, Result},
    retry,
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

/// The Participant Service.
pub struct Participants {
    client: Client,
}

impl Participants {
    /// A client; no call is made.
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: Client::new(config) }
    }

    /// `CreateParticipantConnection` with `ConnectParticipant`, for a customer who will open no websocket: without it
    /// the flow never starts. The chat must be streamed. Returns the connection token.
    pub async fn connect(&self, participant_token: &str, deadline: Deadline, report: &mut Report) -> Result<Secret> {
        retry::until(deadline, async || {
            let call = Timed::new(report);
            let request = self
                .client
                .create_participant_connection()
                .participant_token(participant_token)
                .r#type(ConnectionType::ConnectionCredentials)
                .connect_participant(true);
            let outcome = Box::pin(request.send()).await;
            drop(call);
            let output = outcome.map_err(|error| classify("CreateParticipantConnection", &error))?;
            output
                .connection_credentials
                .and_then(|credentials| credentials.connection_token)
                .map(Secret::new)
                .ok_or_else(|| Error::internal("CreateParticipantConnection answered without a token"))
        })
        .await
    }

    /// `DisconnectParticipant`. Tried again within `deadline`, with the same `client_token`.
    pub async fn disconnect(
        &self,
        connection_token: &Secret,
        client_token: &str,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<Left> {
        let request =
            self.client.disconnect_participant().connection_token(connection_token.expose()).client_token(client_token);
        retry::until(deadline, async || {
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
}
