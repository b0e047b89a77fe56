//! The operations of Amazon Connect.
//!
//! Constraints: Connect service model (botocore 1.44.5) and the StartChatContact API reference. Neither says which of
//! the two 400s answers what; here a request that cannot be read as one is InvalidRequestException, and a value
//! outside its constraint InvalidParameterException, as their descriptions suggest.

use serde_json::{Value, json};

use crate::{
    contact::{Contact, Item},
    error::ApiError,
    instance::bare,
    operation::Operation,
    participant,
    session::{read_attributes, read_content_types, read_segment_attributes, read_streaming},
    state::{ChatKey, State},
    validate::{Length, Object, Valid, Violation, ViolationKind, bad_parameter, bad_request, bytes, chars, word},
};

const CONTACT_ID: Length = chars(1, 256);
const CLIENT_TOKEN: Length = chars(0, 500);

impl From<Violation> for ApiError {
    fn from(violation: Violation) -> Self {
        match violation.kind {
            ViolationKind::Request => Self::invalid_request(violation.message),
            ViolationKind::Parameter => Self::invalid_parameter(violation.message),
        }
    }
}

/// A valid StartChatContact request.
struct StartChat {
    contact: Contact,
    persistent: Option<Persistent>,
    streaming_arn: Option<String>,
    wants_websocket: bool,
    wants_credentials: bool,
}

struct Persistent {
    /// `ENTIRE_PAST_SESSION`, else `FROM_SEGMENT`.
    entire: bool,
    source: String,
}

/// StartChatContact.
///
/// The same ClientToken is answered with the original contact, ended or not, whatever else the request says: the
/// reference promises "the original contact" and no comparison.
pub(crate) fn start_chat_contact(state: &mut State, body: &Value) -> Result<Value, ApiError> {
    let StartChat { mut contact, persistent, streaming_arn, wants_websocket, wants_credentials } =
        read_start_chat(body)?;
    state.spend_start_rate()?;
    let original = match (&contact.instance_id, &contact.client_token) {
        (Some(instance_id), Some(client_token)) => state.find_started(instance_id, client_token),
        _ => None,
    };
    let key = match original {
        Some(key) => key,
        None => {
            state.config().instance.check(contact.instance_id.as_deref())?;
            state.config().instance.check_flow(contact.flow_id.as_deref())?;
            if let Some(persistent) = &persistent {
                let (source, past) = past_chat(state, persistent)?;
                contact.continued_from = Some(source);
                contact.transcript = past;
            }
            let key = state.open(contact)?;
            if let Some(arn) = &streaming_arn {
                state.start_streaming(key, arn)?;
            }
            key
        }
    };
    let mut answer = json!({});
    // "…can omit a websocket URL if the chat has already ended."
    if wants_websocket && state.chat(key).is_some_and(|chat| !chat.contact.ended) {
        put(&mut answer, "Websocket", state.websocket(key));
    }
    if wants_credentials {
        put(&mut answer, "ConnectionCredentials", state.connection_credentials(key));
    }
    let chat = state.chat(key).ok_or_else(|| ApiError::not_found("The contact does not exist"))?;
    put(&mut answer, "ContactId", json!(chat.contact.initial_id));
    put(&mut answer, "ParticipantId", json!(chat.contact.participant_id));
    put(&mut answer, "ParticipantToken", json!(chat.participant_token));
    if let Some(source) = &chat.contact.continued_from {
        put(&mut answer, "ContinuedFromContactId", json!(source));
    }
    if let (Some(_), Some(streaming)) = (streaming_arn, chat.contact.streaming.first()) {
        put(&mut answer, "StreamingId", json!(streaming.id));
    }
    Ok(answer)
}

fn put(answer: &mut Value, name: &str, value: Value) {
    if let Value::Object(members) = answer {
        members.insert(name.to_owned(), value);
    }
}

/// The contact that a persistent chat continues, and what was said there (administrator guide, "Enable persistent
/// chat": only a chat that has ended).
fn past_chat(state: &State, persistent: &Persistent) -> Result<(String, Vec<Item>), ApiError> {
    let refused = || ApiError::invalid_request("PersistentChat.SourceContactId is not a past chat that has ended");
    let key = state.find(&persistent.source).ok_or_else(refused)?;
    let contact = &state.chat(key).ok_or_else(refused)?.contact;
    if !contact.ended {
        return Err(refused());
    }
    let source = if persistent.entire {
        // "provide the initialContactId of the past ended chat session": Connect finds the most recent contact.
        if contact.initial_id != persistent.source {
            return Err(refused());
        }
        contact.id.clone()
    } else {
        persistent.source.clone()
    };
    let past = contact.transcript.iter().filter(|item| item.customer_sees());
    Ok((source, past.map(|item| Item { past: true, ..item.clone() }).collect()))
}

fn read_start_chat(body: &Value) -> Valid<StartChat> {
    let body = Object::root(body)?;
    let instance_id = body.required_string("InstanceId", chars(1, 100))?;
    // The model has no minimum, but no flow is named "".
    let flow_id = body.required_string("ContactFlowId", chars(1, 500))?;
    let attributes = read_attributes(&body)?;
    let details = body.required("ParticipantDetails", body.object("ParticipantDetails")?)?;
    let display_name = details.required_string("DisplayName", chars(1, 256))?;
    let response_mode = match body.object("ParticipantConfiguration")? {
        Some(configuration) => configuration.word("ResponseMode", &["INCREMENTAL", "COMPLETE"])?.map(str::to_owned),
        None => None,
    };
    let supported_content_types = read_content_types(&body)?;
    let duration_minutes = body.integer("ChatDurationInMinutes", 60, 10_080)?;
    let initial_message = read_initial_message(&body, &supported_content_types)?;
    let client_token = body.owned("ClientToken", CLIENT_TOKEN)?;
    let related_contact_id = body.owned("RelatedContactId", CONTACT_ID)?;
    let persistent = read_persistent(&body)?;
    if persistent.is_some() && related_contact_id.is_some() {
        return bad_request("RelatedContactId and PersistentChat exclude each other");
    }
    let segment_attributes = read_segment_attributes(&body, &supported_content_types)?;
    let customer_id = body.owned("CustomerId", chars(1, 128))?;
    let disconnect_on_customer_exit = read_words(&body, "DisconnectOnCustomerExit", (1, 1), &["AGENT"])?;
    let connection_types = read_words(
        &body,
        "ConnectionTypes",
        (1, 2),
        &["WEBSOCKET", "CONNECTION_CREDENTIALS", "AUTHENTICATION_SESSION", "WEBRTC_CONNECTION"],
    )?;
    let wants = |kind: &str| connection_types.iter().any(|wanted| wanted == kind);
    Ok(StartChat {
        persistent,
        streaming_arn: read_streaming(&body, "ChatStreamingConfiguration")?,
        wants_websocket: wants("WEBSOCKET"),
        wants_credentials: wants("CONNECTION_CREDENTIALS"),
        contact: Contact {
            instance_id: Some(bare(instance_id).to_owned()),
            flow_id: Some(flow_id.to_owned()),
            attributes,
            segment_attributes,
            display_name: display_name.to_owned(),
            response_mode,
            supported_content_types,
            initial_message,
            client_token: client_token.filter(|token| !token.is_empty()),
            duration_minutes: duration_minutes.and_then(|minutes| u32::try_from(minutes).ok()),
            related_contact_id,
            customer_id,
            disconnect_on_customer_exit,
            ..Contact::default()
        },
    })
}

fn read_initial_message(body: &Object<'_>, supported: &[String]) -> Valid<Option<(String, String)>> {
    let Some(message) = body.object("InitialMessage")? else { return Ok(None) };
    let content_type = message.required_string("ContentType", chars(1, 100))?;
    let content = message.required_string("Content", bytes(1, 16_384))?;
    if let Err(why) = participant::check_content_type(content_type, supported) {
        return bad_parameter(format!("{} {why}", message.path("ContentType")));
    }
    Ok(Some((content_type.to_owned(), content.to_owned())))
}

fn read_persistent(body: &Object<'_>) -> Valid<Option<Persistent>> {
    let Some(persistent) = body.object("PersistentChat")? else { return Ok(None) };
    let rehydration = persistent.word("RehydrationType", &["ENTIRE_PAST_SESSION", "FROM_SEGMENT"])?;
    let rehydration = persistent.required("RehydrationType", rehydration)?;
    let source = persistent.required_string("SourceContactId", CONTACT_ID)?;
    Ok(Some(Persistent { entire: rehydration == "ENTIRE_PAST_SESSION", source: source.to_owned() }))
}

fn read_words(body: &Object<'_>, name: &str, (min, max): (usize, usize), words: &[&str]) -> Valid<Vec<String>> {
    let items = body.list(name, min, max)?.unwrap_or_default();
    items.into_iter().map(|(path, item)| word(&path, item, words).map(str::to_owned)).collect()
}

/// The open chat that a request names by `InstanceId` and `ContactId`.
fn find_contact(state: &State, body: &Object<'_>) -> Result<Option<ChatKey>, Violation> {
    let instance_id = body.required_string("InstanceId", chars(1, 100))?;
    let contact_id = body.required_string("ContactId", CONTACT_ID)?;
    let key = state.find(contact_id).filter(|key| {
        state.chat(*key).is_some_and(|chat| {
            let of_instance = chat.contact.instance_id.as_deref().is_none_or(|id| id == bare(instance_id));
            of_instance && !chat.contact.ended
        })
    });
    Ok(key)
}

/// StartContactStreaming.
pub(crate) fn start_contact_streaming(state: &mut State, body: &Value) -> Result<Value, ApiError> {
    let body = Object::root(body)?;
    let found = find_contact(state, &body)?;
    let arn = read_streaming(&body, "ChatStreamingConfiguration")?;
    let arn = body.required("ChatStreamingConfiguration", arn)?;
    let client_token = body.required_string("ClientToken", CLIENT_TOKEN)?;
    state.spend_start_rate()?;
    let key = found.ok_or_else(|| ApiError::not_found("The contact does not exist"))?;
    let reply = (Operation::StartContactStreaming, client_token.to_owned());
    if let Some(answer) = state.chat(key).and_then(|chat| chat.replies.get(&reply)) {
        return Ok(answer.clone());
    }
    let answer = json!({ "StreamingId": state.start_streaming(key, &arn)? });
    if let Some(chat) = state.chat_mut(key) {
        chat.replies.insert(reply, answer.clone());
    }
    Ok(answer)
}

/// StopContactStreaming.
pub(crate) fn stop_contact_streaming(state: &mut State, body: &Value) -> Result<Value, ApiError> {
    let body = Object::root(body)?;
    let found = find_contact(state, &body)?;
    let streaming_id = body.required_string("StreamingId", chars(1, 100))?;
    state.spend_start_rate()?;
    let chat = found.and_then(|key| state.chat_mut(key));
    let chat = chat.ok_or_else(|| ApiError::not_found("The contact does not exist"))?;
    let before = chat.contact.streaming.len();
    chat.contact.streaming.retain(|streaming| streaming.id != streaming_id);
    if chat.contact.streaming.len() == before {
        return Err(ApiError::not_found("The streaming endpoint does not exist"));
    }
    Ok(json!({}))
}

/// StopContact.
pub(crate) fn stop_contact(state: &mut State, body: &Value) -> Result<Value, ApiError> {
    let body = Object::root(body)?;
    let found = find_contact(state, &body)?;
    if let Some(reason) = body.object("DisconnectReason")? {
        reason.string("Code", chars(0, usize::MAX))?;
    }
    let key = found.ok_or_else(ApiError::contact_not_found)?;
    state.end(key, "API", None);
    Ok(json!({}))
}
