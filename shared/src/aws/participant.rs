//! The Participant Service: what is done as the customer in a chat.
//!
//! Its calls are authorised by a token of the participant, not by this function's role ("The Amazon Connect Participant
//! Service APIs do not use Signature Version 4 authentication").

use aws_config::SdkConfig;
use aws_sdk_connectparticipant::{Client, error::ProvideErrorMetadata};

use super::connect::{Timed, classify};
use crate::{deadline::Deadline, error::Result, retry, secret::Secret, telemetry::Report};

/// The Participant Service's API.
pub struct Participant {
    client: Client,
}

/// How a chat was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// By this call.
    Now,
    /// It had ended before, or the token is none any more: the service answers both with `AccessDeniedException`.
    Before,
}

impl Participant {
    /// A client; no call is made.
    pub fn new(config: &SdkConfig) -> Self {
        Self { client: Client::new(config) }
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
