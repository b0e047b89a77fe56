//! SendChatIntegrationEvent: a message, event or disconnect from an outside chat system. Constraints: see `connect`.

use serde_json::{Value, json};

use crate::{
    contact::{Contact, Integration},
    error::ApiError,
    participant,
    session::{PLAIN, read_attributes, read_content_types, read_streaming},
    state::{Draft, State},
    validate::{Object, Valid, bytes, chars},
};

/// SendChatIntegrationEvent. Its model has no InvalidParameterException.
pub(crate) fn send_chat_integration_event(state: &mut State, body: &Value) -> Result<Value, ApiError> {
    let IntegrationEvent { integration, event, session, streaming_arn } =
        read_integration_event(body).map_err(|violation| ApiError::invalid_request(violation.message))?;
    let open = state.find_integration(&integration);
    // "When a chat integration event is sent with chat identifiers that do not map to an active chat contact, a new
    // chat contact is also created before handling chat action." A DISCONNECT has nothing to end then, and starting a
    // chat for it would only disturb an agent: it is answered without a contact.
    let key = match open {
        Some(key) => key,
        None if event == ChatEvent::Disconnect => return Ok(json!({ "NewChatCreated": false })),
        None => {
            check_event(&event, &integration, &session.supported_content_types)?;
            let instance_id = state.config().instance.ids.first().cloned();
            let key = state.open(Contact { instance_id, integration: Some(integration.clone()), ..session })?;
            if let Some(arn) = &streaming_arn {
                state.start_streaming(key, arn)?;
            }
            state.connect(key);
            key
        }
    };
    let chat = state.chat(key).ok_or_else(|| ApiError::not_found("The contact does not exist"))?;
    let (initial_id, customer) = (chat.contact.initial_id.clone(), chat.contact.customer());
    let supported = chat.contact.supported_content_types.clone();
    check_event(&event, &integration, &supported)?;
    match event {
        ChatEvent::Message { content_type, content } => {
            state.add(key, Draft::message(customer, &content_type, &content));
        }
        ChatEvent::Event { content_type, content } => {
            participant::add_event(state, key, customer, &content_type, content);
        }
        ChatEvent::Disconnect => state.end(key, "CUSTOMER_DISCONNECT", Some(customer)),
    }
    Ok(json!({ "InitialContactId": initial_id, "NewChatCreated": open.is_none() }))
}

struct IntegrationEvent {
    integration: Integration,
    event: ChatEvent,
    /// What a new chat would have.
    session: Contact,
    streaming_arn: Option<String>,
}

#[derive(PartialEq, Eq)]
enum ChatEvent {
    Message { content_type: String, content: String },
    Event { content_type: String, content: Option<String> },
    Disconnect,
}

/// "For Apple Messages for Business, SMS, and WhatsApp Business Messaging contacts, only text/plain is supported."
/// (SendMessage API reference, which the event's `ContentType` refers to)
fn check_event(event: &ChatEvent, integration: &Integration, supported: &[String]) -> Result<(), ApiError> {
    let ChatEvent::Message { content_type, .. } = event else { return Ok(()) };
    if integration.subtype.is_some() && content_type != PLAIN {
        return Err(ApiError::invalid_request("Event.ContentType must be text/plain"));
    }
    participant::check_content_type(content_type, supported)
        .map_err(|why| ApiError::invalid_request(format!("Event.ContentType {why}")))
}

fn read_integration_event(body: &Value) -> Valid<IntegrationEvent> {
    let body = Object::root(body)?;
    let integration = Integration {
        source_id: body.required_string("SourceId", chars(1, 255))?.to_owned(),
        destination_id: body.required_string("DestinationId", chars(1, 255))?.to_owned(),
        subtype: body.owned("Subtype", chars(1, 100))?,
    };
    let event = body.required("Event", body.object("Event")?)?;
    let kind = event.required("Type", event.word("Type", &["DISCONNECT", "MESSAGE", "EVENT"])?)?;
    let content_type = event.owned("ContentType", chars(1, 100))?;
    let content = event.owned("Content", bytes(1, 16_384))?;
    let event = match kind {
        "MESSAGE" => ChatEvent::Message {
            content_type: event.required("ContentType", content_type)?,
            content: event.required("Content", content)?,
        },
        "EVENT" => {
            let content_type = event.required("ContentType", content_type)?;
            participant::check_event_type(&event, &content_type, content.as_deref())?;
            ChatEvent::Event { content_type, content }
        }
        _ => ChatEvent::Disconnect,
    };
    let mut session = Contact {
        display_name: integration.source_id.clone(),
        supported_content_types: vec![PLAIN.to_owned()],
        ..Contact::default()
    };
    let mut streaming_arn = None;
    if let Some(details) = body.object("NewSessionDetails")? {
        session.supported_content_types = read_content_types(&details)?;
        session.attributes = read_attributes(&details)?;
        if let Some(participant) = details.object("ParticipantDetails")? {
            participant.required_string("DisplayName", chars(1, 256))?.clone_into(&mut session.display_name);
        }
        streaming_arn = read_streaming(&details, "StreamingConfiguration")?;
    }
    Ok(IntegrationEvent { integration, event, session, streaming_arn })
}
