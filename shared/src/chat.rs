//! A chat to be started: the validated form that every way in ends in, and that [`crate::aws::connect`] sends.
//!
//! Lengths and enumerations are those of `StartChatContact` in the Amazon Connect API reference. Strings are counted in
//! characters, as the service model does; where the reference says bytes, the name says so.

use std::{collections::BTreeMap, ops::RangeInclusive};

use serde::Serialize;

/// `InstanceId`: at most this many characters.
pub const INSTANCE_ID_CHARS: usize = 100;
/// `ContactFlowId`: at most this many characters.
pub const CONTACT_FLOW_ID_CHARS: usize = 500;
/// `ParticipantDetails.DisplayName`.
pub const DISPLAY_NAME_CHARS: RangeInclusive<usize> = 1..=256;
/// `Attributes`: UTF-8 bytes over all keys and values.
pub const ATTRIBUTES_BYTES: usize = 32_768;
/// `Attributes`: a key and a value, each.
pub const ATTRIBUTE_CHARS: usize = 32_767;
/// `InitialMessage.Content` and a message's content: UTF-8 bytes.
pub const CONTENT_BYTES: RangeInclusive<usize> = 1..=16_384;
/// `ClientToken`: at most this many characters.
pub const CLIENT_TOKEN_CHARS: usize = 500;
/// `ChatDurationInMinutes`.
pub const DURATION_MINUTES: RangeInclusive<i32> = 60..=10_080;
/// `RelatedContactId` and `PersistentChat.SourceContactId`.
pub const CONTACT_ID_CHARS: RangeInclusive<usize> = 1..=256;
/// `ConnectionToken` of the Participant Service.
pub const CONNECTION_TOKEN_CHARS: RangeInclusive<usize> = 1..=1000;
/// `CustomerId`.
pub const CUSTOMER_ID_CHARS: RangeInclusive<usize> = 1..=128;
/// A name in `SegmentAttributes`.
pub const SEGMENT_NAME_CHARS: RangeInclusive<usize> = 1..=128;
/// `SegmentAttributes.*.ValueString`: at most this many characters.
pub const SEGMENT_VALUE_CHARS: usize = 1024;
/// `StreamingEndpointArn`.
pub const STREAMING_ARN_CHARS: RangeInclusive<usize> = 1..=350;

/// The attribute that says how the customer writes: `web`, `sms`, …
pub const CHANNEL: &str = "channel";
/// The attributes that the bridge itself sets, so that flows may believe them.
pub const OWN_ATTRIBUTES: [&str; 7] =
    [CHANNEL, "provider", "account", "customerAddress", "businessAddress", "providerMessageId", "profileName"];

/// Plain text: every chat supports it.
pub const TEXT_PLAIN: &str = "text/plain";
/// Interactive messages (list pickers and their like).
pub const INTERACTIVE: &str = "application/vnd.amazonaws.connect.message.interactive";
/// What a customer chose in one.
pub const INTERACTIVE_RESPONSE: &str = "application/vnd.amazonaws.connect.message.interactive.response";
/// The event that somebody is typing.
pub const TYPING: &str = "application/vnd.amazonaws.connect.event.typing";
/// What `SupportedMessagingContentTypes` may hold.
pub const MESSAGING_CONTENT_TYPES: [&str; 5] =
    [TEXT_PLAIN, "text/markdown", "application/json", INTERACTIVE, INTERACTIVE_RESPONSE];
/// What `InitialMessage.ContentType` may be.
pub const INITIAL_MESSAGE_CONTENT_TYPES: [&str; 4] =
    [TEXT_PLAIN, "text/markdown", "application/json", INTERACTIVE_RESPONSE];
/// What `ConnectionTypes` may hold; Connect acts on the first two.
pub const CONNECTION_TYPES: [&str; 4] =
    ["WEBSOCKET", "CONNECTION_CREDENTIALS", "AUTHENTICATION_SESSION", "WEBRTC_CONNECTION"];
/// What `PersistentChat.RehydrationType` may be.
pub const REHYDRATION_TYPES: [&str; 2] = ["ENTIRE_PAST_SESSION", "FROM_SEGMENT"];
/// What `ParticipantConfiguration.ResponseMode` may be.
pub const RESPONSE_MODES: [&str; 2] = ["INCREMENTAL", "COMPLETE"];
/// What `DisconnectOnCustomerExit` may hold.
pub const DISCONNECT_ON_CUSTOMER_EXIT: [&str; 1] = ["AGENT"];

/// A `StartChatContact` request, without the instance and the client token. Not `Debug`: names and words are in it.
/// Serialised, it is canonical (maps are sorted), so that equal requests hash alike.
#[derive(Clone, PartialEq, Serialize)]
pub struct Chat {
    /// `ContactFlowId`.
    pub contact_flow_id: String,
    /// `ParticipantDetails.DisplayName`.
    pub display_name: String,
    /// `Attributes`.
    pub attributes: BTreeMap<String, String>,
    /// `InitialMessage`.
    pub initial_message: Option<Content>,
    /// `ChatDurationInMinutes`.
    pub duration_minutes: Option<i32>,
    /// `SupportedMessagingContentTypes`; empty leaves it to Connect.
    pub content_types: Vec<String>,
    /// `PersistentChat`.
    pub persistent: Option<Persistent>,
    /// `RelatedContactId`.
    pub related_contact_id: Option<String>,
    /// `SegmentAttributes`.
    pub segment_attributes: BTreeMap<String, SegmentValue>,
    /// `CustomerId`.
    pub customer_id: Option<String>,
    /// `ParticipantConfiguration.ResponseMode`.
    pub response_mode: Option<String>,
    /// `DisconnectOnCustomerExit`.
    pub disconnect_on_customer_exit: Vec<String>,
    /// `ConnectionTypes`.
    pub connection_types: Vec<String>,
    /// `ChatStreamingConfiguration.StreamingEndpointArn`.
    pub streaming_endpoint_arn: Option<String>,
}

/// A message's content.
#[derive(Clone, PartialEq, Serialize)]
pub struct Content {
    /// Its MIME type.
    pub content_type: String,
    /// Its text.
    pub content: String,
}

/// `PersistentChat`: the past chat that a new one goes on from.
#[derive(Clone, PartialEq, Serialize)]
pub struct Persistent {
    /// `RehydrationType`.
    pub rehydration_type: String,
    /// `SourceContactId`.
    pub source_contact_id: String,
}

/// One value of `SegmentAttributes`: a union, of which exactly one member is set.
#[derive(Clone, PartialEq, Serialize)]
pub enum SegmentValue {
    /// `ValueString`.
    String(String),
    /// `ValueMap`.
    Map(BTreeMap<String, Self>),
    /// `ValueInteger`.
    Integer(i32),
    /// `ValueList`.
    List(Vec<Self>),
    /// `ValueArn`.
    Arn(String),
}

/// A chat that Connect started. Not `Debug`: it holds the participant's token.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct StartedChat {
    /// The contact.
    pub contact_id: String,
    /// The customer's participant in it.
    pub participant_id: String,
    /// What `CreateParticipantConnection` takes.
    pub participant_token: String,
    /// The past contact that a persistent chat goes on from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continued_from_contact_id: Option<String>,
    /// Given where `ConnectionTypes` asked for `CONNECTION_CREDENTIALS`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_credentials: Option<ConnectionCredentials>,
    /// Given where `ConnectionTypes` asked for `WEBSOCKET`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub websocket: Option<Websocket>,
    /// Given where `ChatStreamingConfiguration` was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streaming_id: Option<String>,
}

/// A participant's connection token.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ConnectionCredentials {
    /// The token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_token: Option<String>,
    /// When it ends (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiry: Option<String>,
}

/// A participant's websocket.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Websocket {
    /// Its URL, signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// When it must have been opened (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_expiry: Option<String>,
}

/// A text of at most `most` bytes.
pub(crate) fn cut_to(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
    }
    text
}
