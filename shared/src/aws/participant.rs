//! The Amazon Connect Participant Service: what a customer does in a chat. Calls carry the participant's own token and
//! no AWS signature.

use aws_config::SdkConfig;
use aws_sdk_connectparticipant::{Client, types::ConnectionType};
use std::time::Instant;

use super::failure::classify;
use crate::{
    deadline::Deadline,
    error::{Error, Result},
    retry,
    secret::Secret,
    telemetry::Report,
};

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
            let started = Instant::now();
            let request = self
                .client
                .create_participant_connection()
                .participant_token(participant_token)
                .r#type(ConnectionType::ConnectionCredentials)
                .connect_participant(true);
            let outcome = Box::pin(request.send()).await;
            report.connect_called(started.elapsed());
            let output = outcome.map_err(|error| classify("CreateParticipantConnection", &error))?;
            output
                .connection_credentials
                .and_then(|credentials| credentials.connection_token)
                .map(Secret::new)
                .ok_or_else(|| Error::internal("CreateParticipantConnection answered without a token"))
        })
        .await
    }
}
