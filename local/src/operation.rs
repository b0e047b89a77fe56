//! The operations that the stand-in serves, and where.

use serde::{Deserialize, Serialize};

/// An API operation, by the name that the service models give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Operation {
    /// Connect: starts a chat.
    StartChatContact,
    /// Connect: a message, event or disconnect from an outside chat system.
    SendChatIntegrationEvent,
    /// Connect: streams a chat's items to an SNS topic.
    StartContactStreaming,
    /// Connect: ends that.
    StopContactStreaming,
    /// Connect: ends a contact.
    StopContact,
    /// Participant Service: a participant token becomes a connection token and a websocket URL.
    CreateParticipantConnection,
    /// Participant Service: a message from the customer.
    SendMessage,
    /// Participant Service: typing and receipts.
    SendEvent,
    /// Participant Service: the customer leaves.
    DisconnectParticipant,
    /// Participant Service: what has been said.
    GetTranscript,
    /// Participant Service: a file is announced.
    StartAttachmentUpload,
    /// Participant Service: a file was put where it belongs.
    CompleteAttachmentUpload,
    /// Participant Service: where a file can be fetched.
    GetAttachment,
    /// Of S3: a file is put where `StartAttachmentUpload` says.
    UploadAttachment,
    /// No operation of AWS: a text by a provider's send API, which the phone stands in for.
    SendText,
}

impl Operation {
    /// All of Connect and the Participant Service.
    pub const ALL: [Self; 13] = [
        Self::StartChatContact,
        Self::SendChatIntegrationEvent,
        Self::StartContactStreaming,
        Self::StopContactStreaming,
        Self::StopContact,
        Self::CreateParticipantConnection,
        Self::SendMessage,
        Self::SendEvent,
        Self::DisconnectParticipant,
        Self::GetTranscript,
        Self::StartAttachmentUpload,
        Self::CompleteAttachmentUpload,
        Self::GetAttachment,
    ];

    /// Method and path (`http` traits of the Connect and connectparticipant service models).
    pub const fn route(self) -> (&'static str, &'static str) {
        match self {
            Self::StartChatContact => ("PUT", "/contact/chat"),
            Self::SendChatIntegrationEvent => ("POST", "/chat-integration-event"),
            Self::StartContactStreaming => ("POST", "/contact/start-streaming"),
            Self::StopContactStreaming => ("POST", "/contact/stop-streaming"),
            Self::StopContact => ("POST", "/contact/stop"),
            Self::CreateParticipantConnection => ("POST", "/participant/connection"),
            Self::SendMessage => ("POST", "/participant/message"),
            Self::SendEvent => ("POST", "/participant/event"),
            Self::DisconnectParticipant => ("POST", "/participant/disconnect"),
            Self::GetTranscript => ("POST", "/participant/transcript"),
            Self::StartAttachmentUpload => ("POST", "/participant/start-attachment-upload"),
            Self::CompleteAttachmentUpload => ("POST", "/participant/complete-attachment-upload"),
            Self::GetAttachment => ("POST", "/participant/attachment"),
            // Below it, by id.
            Self::UploadAttachment => ("PUT", "/_attachments"),
            // Below it, by account and by the provider's own path.
            Self::SendText => ("POST", "/_phone"),
        }
    }

    /// The operation that a request names, if any.
    pub fn at(method: &str, path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.route() == (method, path))
    }
}
