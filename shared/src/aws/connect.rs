//! Amazon Connect: starts chats.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use aws_config::SdkConfig;
use aws_sdk_connect::{
    Client,
    error::ProvideErrorMetadata,
    operation::start_chat_contact::StartChatContactOutput,
    types::{
        ChatEventType, ChatMessage, ChatStreamingConfiguration, ConnectionType,
        DisconnectOnCustomerExitParticipantType, NewSessionDetails, ParticipantConfiguration, ParticipantDetails,
        PersistentChat, RehydrationType, ResponseMode, SegmentAttributeValue,
    },
};

use crate::{
    aws::{failure::classify, fresh_connections},
    chat::{Chat, ConnectionCredentials, SegmentValue, StartedChat, TEXT_PLAIN, TYPING, Websocket},
    deadline::Deadline,
    error::{Error, Kind, Result},
    retry::{self, Tries},
    telemetry::Report,
};

/// An event for `SendChatIntegrationEvent`. Not `Debug`.
pub struct ChatEvent {
    /// The customer's address.
    pub source_id: String,
    /// Our address, or the ARN that Connect knows it by.
    pub destination_id: String,
    /// `connect:sms` or `connect:WhatsApp`.
    pub subtype: &'static str,
    /// What happens.
    pub what: EventContent,
}

/// What happens in a chat. Not `Debug`: it holds what a customer wrote.
pub enum EventContent {
    /// `MESSAGE`: the customer wrote this.
    Message {
        /// The text.
        text: String,
        /// What a chat has that is started for it.
        session: NewSession,
    },
    /// `EVENT`: the customer is typing.
    Typing,
    /// `DISCONNECT`: the customer leaves.
    Disconnect,
}

/// A chat that may be started.
pub struct NewSession {
    /// The customer's name.
    pub display_name: String,
    /// The contact attributes.
    pub attributes: BTreeMap<String, String>,
    /// The content types.
    pub content_types: Vec<String>,
    /// Where messages are streamed to.
    pub streaming_endpoint_arn: Option<String>,
}

/// What became of an event.
pub enum EventOutcome {
    /// It is in this chat (`InitialContactId`), which a message always names.
    Taken(Option<String>),
    /// This account may not send events: AWS restricts the operation.
    Denied(Error),
}

/// How long `SendChatIntegrationEvent` may take, since it gets one try only.
const EVENT_TIMEOUT: Duration = Duration::from_secs(10);

/// The Connect API, for one instance.
pub struct Connect {
    client: Client,
    /// For calls without a client token.
    events: Client,
    instance_id: String,
    region: String,
    tries: Tries,
}

impl Connect {
    /// A client; no call is made.
    pub fn new(config: &SdkConfig, instance_id: impl Into<String>) -> Self {
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        let events = aws_sdk_connect::config::Builder::from(config).http_client(fresh_connections(config)).build();
        Self {
            client: Client::new(config),
            events: Client::from_conf(events),
            instance_id: instance_id.into(),
            region,
            tries: Tries::SEVERAL,
        }
    }

    /// Tries each call once: what fails goes back to a queue.
    #[must_use]
    pub fn with_one_try(self) -> Self {
        Self { tries: Tries::ONE, ..self }
    }

    /// The region of the instance.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// `StartChatContact`. Tried again within `deadline` when throttled or not answered, each time with the same
    /// `client_token`, so that one chat is started however often Connect is asked.
    pub async fn start_chat(
        &self,
        chat: &Chat,
        client_token: &str,
        deadline: Deadline,
        report: &mut Report,
    ) -> Result<StartedChat> {
        let request = self.start_chat_contact(chat, client_token)?;
        retry::up_to(self.tries, deadline, async || {
            let call = Timed::new(report);
            // Boxed: the SDK's future is kilobytes large and nested too deep for rustc's default limits.
            let outcome = Box::pin(request.clone().send()).await;
            drop(call);
            outcome.map_err(|error| classify("StartChatContact", &error)).and_then(started)
        })
        .await
    }

    /// `SendChatIntegrationEvent`: Connect finds the customer's open chat, or, for a message, starts one. It has no client
    /// token, so it is called once; [`Kind::OutcomeUnknown`] says that it may have had its effect.
    pub async fn send_event(&self, event: &ChatEvent, deadline: Deadline, report: &mut Report) -> Result<EventOutcome> {
        let request = self
            .events
            .send_chat_integration_event()
            .source_id(&event.source_id)
            .destination_id(&event.destination_id)
            .subtype(event.subtype);
        let content = |kind| aws_sdk_connect::types::ChatEvent::builder().r#type(kind);
        let (content, session) = match &event.what {
            EventContent::Message { text, session } => {
                (content(ChatEventType::Message).content_type(TEXT_PLAIN).content(text), Some(new_session(session)?))
            }
            EventContent::Typing => (content(ChatEventType::Event).content_type(TYPING), None),
            EventContent::Disconnect => (content(ChatEventType::Disconnect), None),
        };
        let request = request.event(content.build().map_err(Error::internal)?).set_new_session_details(session);
        let call = Timed::new(report);
        let outcome = tokio::time::timeout(deadline.remaining().min(EVENT_TIMEOUT), Box::pin(request.send())).await;
        drop(call);
        let unknown = || Error::new(Kind::OutcomeUnknown, "Amazon Connect may or may not have taken the message");
        let output = match outcome {
            Err(_) => return Err(unknown().caused_by("SendChatIntegrationEvent: timeout")),
            Ok(Ok(output)) => output,
            Ok(Err(error)) => {
                let denied = error.code() == Some("AccessDeniedException")
                    || error.raw_response().is_some_and(|response| response.status().as_u16() == 403);
                let error = classify("SendChatIntegrationEvent", &error);
                return match error.kind() {
                    _ if denied => Ok(EventOutcome::Denied(error)),
                    // A 5xx, or no answer at all.
                    Kind::ConnectUnavailable => Err(unknown().caused_by(error)),
                    _ => Err(error),
                };
            }
        };
        let is_message = matches!(event.what, EventContent::Message { .. });
        match output.initial_contact_id {
            None if is_message => {
                let error = Error::new(Kind::ConnectRejected, "Amazon Connect took the message for no chat");
                Err(error.caused_by("SendChatIntegrationEvent answered without InitialContactId"))
            }
            contact_id => Ok(EventOutcome::Taken(contact_id)),
        }
    }

    fn start_chat_contact(
        &self,
        chat: &Chat,
        client_token: &str,
    ) -> Result<aws_sdk_connect::operation::start_chat_contact::builders::StartChatContactFluentBuilder> {
        let some = |map: HashMap<_, _>| (!map.is_empty()).then_some(map);
        let participant =
            ParticipantDetails::builder().display_name(&chat.display_name).build().map_err(Error::internal)?;
        let initial_message = match &chat.initial_message {
            Some(message) => Some(
                ChatMessage::builder()
                    .content_type(&message.content_type)
                    .content(&message.content)
                    .build()
                    .map_err(Error::internal)?,
            ),
            None => None,
        };
        let streaming = match &chat.streaming_endpoint_arn {
            Some(arn) => Some(
                ChatStreamingConfiguration::builder().streaming_endpoint_arn(arn).build().map_err(Error::internal)?,
            ),
            None => None,
        };
        let segments = chat.segment_attributes.iter().map(|(name, value)| (name.clone(), segment(value))).collect();
        let exit = |kind: &String| DisconnectOnCustomerExitParticipantType::from(kind.as_str());
        let attributes = chat.attributes.clone().into_iter().collect();
        Ok(self
            .client
            .start_chat_contact()
            .instance_id(&self.instance_id)
            .contact_flow_id(&chat.contact_flow_id)
            .client_token(client_token)
            .participant_details(participant)
            .set_attributes(some(attributes))
            .set_initial_message(initial_message)
            .set_chat_duration_in_minutes(chat.duration_minutes)
            .set_supported_messaging_content_types(list(&chat.content_types, String::clone))
            .set_persistent_chat(chat.persistent.as_ref().map(|persistent| {
                PersistentChat::builder()
                    .rehydration_type(RehydrationType::from(persistent.rehydration_type.as_str()))
                    .source_contact_id(&persistent.source_contact_id)
                    .build()
            }))
            .set_related_contact_id(chat.related_contact_id.clone())
            .set_segment_attributes((!chat.segment_attributes.is_empty()).then_some(segments))
            .set_customer_id(chat.customer_id.clone())
            .set_participant_configuration(
                chat.response_mode
                    .as_deref()
                    .map(|mode| ParticipantConfiguration::builder().response_mode(ResponseMode::from(mode)).build()),
            )
            .set_disconnect_on_customer_exit(list(&chat.disconnect_on_customer_exit, exit))
            .set_connection_types(list(&chat.connection_types, |kind| ConnectionType::from(kind.as_str())))
            .set_chat_streaming_configuration(streaming))
    }
}

fn new_session(session: &NewSession) -> Result<NewSessionDetails> {
    let participant =
        ParticipantDetails::builder().display_name(&session.display_name).build().map_err(Error::internal)?;
    let streaming = match &session.streaming_endpoint_arn {
        Some(arn) => {
            Some(ChatStreamingConfiguration::builder().streaming_endpoint_arn(arn).build().map_err(Error::internal)?)
        }
        None => None,
    };
    Ok(NewSessionDetails::builder()
        .participant_details(participant)
        .set_attributes(Some(session.attributes.clone().into_iter().collect()))
        .set_supported_messaging_content_types(Some(session.content_types.clone()))
        .set_streaming_configuration(streaming)
        .build())
}

/// An empty list is left out.
fn list<T>(items: &[String], each: impl Fn(&String) -> T) -> Option<Vec<T>> {
    (!items.is_empty()).then(|| items.iter().map(each).collect())
}

fn segment(value: &SegmentValue) -> SegmentAttributeValue {
    let builder = SegmentAttributeValue::builder();
    match value {
        SegmentValue::String(text) => builder.value_string(text),
        SegmentValue::Integer(number) => builder.value_integer(*number),
        SegmentValue::Arn(arn) => builder.value_arn(arn),
        SegmentValue::List(values) => builder.set_value_list(Some(values.iter().map(segment).collect())),
        SegmentValue::Map(map) => {
            builder.set_value_map(Some(map.iter().map(|(name, value)| (name.clone(), segment(value))).collect()))
        }
    }
    .build()
}

fn started(output: StartChatContactOutput) -> Result<StartedChat> {
    let (Some(contact_id), Some(participant_id), Some(participant_token)) =
        (output.contact_id, output.participant_id, output.participant_token)
    else {
        return Err(Error::internal("StartChatContact answered without an id or a token"));
    };
    Ok(StartedChat {
        contact_id,
        participant_id,
        participant_token,
        continued_from_contact_id: output.continued_from_contact_id,
        connection_credentials: output.connection_credentials.map(|credentials| ConnectionCredentials {
            connection_token: credentials.connection_token,
            expiry: credentials.expiry,
        }),
        websocket: output
            .websocket
            .map(|websocket| Websocket { url: websocket.url, connection_expiry: websocket.connection_expiry }),
        streaming_id: output.streaming_id,
    })
}

/// Notes a call in the report when it ends, also by being given up.
pub(super) struct Timed<'a> {
    report: &'a mut Report,
    started: Instant,
}

impl<'a> Timed<'a> {
    pub(super) fn new(report: &'a mut Report) -> Self {
        Self { report, started: Instant::now() }
    }
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        self.report.connect_called(self.started.elapsed());
    }
}
