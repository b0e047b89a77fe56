//! The operations of Amazon Connect.
//!
//! Constraints: Connect service model (botocore 1.44.5) and the StartChatContact API reference. Neither says which of
//! the two 400s answers what; here a request that cannot be read as one is InvalidRequestException, and a value
//! outside its constraint InvalidParameterException, as their descriptions suggest.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    contact::{Contact, Integration, Item},
    error::ApiError,
    operation::Operation,
    participant,
    state::{ChatKey, Draft, State},
    validate::{
        Length, Object, Valid, Violation, ViolationKind, bad_parameter, bad_request, bytes, chars, string, word,
    },
};

/// What a chat may carry (StartChatContact API reference, `SupportedMessagingContentTypes`).
const CONTENT_TYPES: [&str; 5] = [PLAIN, "text/markdown", "application/json", INTERACTIVE, INTERACTIVE_RESPONSE];
const PLAIN: &str = "text/plain";
const INTERACTIVE: &str = "application/vnd.amazonaws.connect.message.interactive";
const INTERACTIVE_RESPONSE: &str = "application/vnd.amazonaws.connect.message.interactive.response";

/// All keys and values of a contact's attributes (StartChatContact API reference).
const MAX_ATTRIBUTES_BYTES: usize = 32_768;

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
            check_known(&state.config().instance_ids, contact.instance_id.as_deref(), "instance")?;
            check_known(&state.config().contact_flow_ids, contact.flow_id.as_deref(), "flow")?;
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

/// ResourceNotFoundException where a list of what exists has been configured.
fn check_known(known: &[String], id: Option<&str>, what: &str) -> Result<(), ApiError> {
    let found = known.is_empty() || known.iter().any(|known| id.is_some_and(|id| bare(id) == bare(known)));
    if found { Ok(()) } else { Err(ApiError::not_found(format!("The {what} does not exist"))) }
}

/// An id, or the last part of an ARN: Connect takes both.
fn bare(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
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

/// "There can be up to 32,768 UTF-8 bytes across all key-value pairs per contact. Attribute keys can include only
/// alphanumeric, dash, and underscore characters."
fn read_attributes(body: &Object<'_>) -> Valid<BTreeMap<String, String>> {
    let Some(attributes) = body.object("Attributes")? else { return Ok(BTreeMap::new()) };
    let mut read = BTreeMap::new();
    let mut size = 0;
    for (path, key, value) in attributes.entries() {
        if !is_attribute_key(key) {
            return bad_parameter(format!("{path}: keys have letters, digits, dashes and underscores only"));
        }
        let value = string(&path, value, chars(0, 32_767))?;
        size += key.len() + value.len();
        read.insert(key.to_owned(), value.to_owned());
    }
    if size > MAX_ATTRIBUTES_BYTES {
        return bad_parameter(format!("{} must have at most {MAX_ATTRIBUTES_BYTES} bytes", body.path("Attributes")));
    }
    Ok(read)
}

fn is_attribute_key(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// "Content types must always contain text/plain." Absent: that alone.
fn read_content_types(body: &Object<'_>) -> Valid<Vec<String>> {
    const NAME: &str = "SupportedMessagingContentTypes";
    let Some(items) = body.list(NAME, 0, usize::MAX)? else { return Ok(vec![PLAIN.to_owned()]) };
    let mut types = Vec::new();
    for (path, item) in items {
        string(&path, item, chars(1, 100))?;
        types.push(word(&path, item, &CONTENT_TYPES)?.to_owned());
    }
    if !types.iter().any(|kind| kind == PLAIN) {
        return bad_parameter(format!("{} must contain text/plain", body.path(NAME)));
    }
    Ok(types)
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

fn read_segment_attributes(body: &Object<'_>, supported: &[String]) -> Valid<Option<Value>> {
    const NAME: &str = "SegmentAttributes";
    let Some(attributes) = body.object(NAME)? else { return Ok(None) };
    check_segment_attributes(&attributes, 0)?;
    let subtype = body.value(NAME).and_then(|all| all.pointer("/connect:Subtype/ValueString")).and_then(Value::as_str);
    let has = |kind: &str| supported.iter().any(|supported| supported == kind);
    if subtype == Some("connect:Guide") && !(has(INTERACTIVE) && has(INTERACTIVE_RESPONSE)) {
        return bad_request(format!(
            "connect:Guide needs {INTERACTIVE} and {INTERACTIVE_RESPONSE} in SupportedMessagingContentTypes"
        ));
    }
    Ok(body.value(NAME).cloned())
}

fn check_segment_attributes(attributes: &Object<'_>, depth: usize) -> Valid<()> {
    for (path, name, value) in attributes.entries() {
        // "Attribute keys can include only alphanumeric, -, and _", but for Connect's own, such as connect:Subtype.
        let key = name.strip_prefix("connect:").unwrap_or(name);
        if !is_attribute_key(key) || name.len() > 128 {
            return bad_parameter(format!("{path}: names have 1 to 128 letters, digits, dashes and underscores"));
        }
        check_segment_value(&Object::new(path, value)?, depth)?;
    }
    Ok(())
}

fn check_segment_value(value: &Object<'_>, depth: usize) -> Valid<()> {
    const TEXT: Length = chars(0, 1024);
    if depth > 8 {
        return bad_request(format!("{} is nested too deeply", value.path("")));
    }
    let mut found = value.string("ValueString", TEXT)?.is_some();
    found |= value.string("ValueArn", TEXT)?.is_some();
    found |= value.integer("ValueInteger", i64::from(i32::MIN), i64::from(i32::MAX))?.is_some();
    if let Some(map) = value.object("ValueMap")? {
        check_segment_attributes(&map, depth + 1)?;
        found = true;
    }
    for (path, item) in value.list("ValueList", 0, usize::MAX)?.unwrap_or_default() {
        check_segment_value(&Object::new(path, item)?, depth + 1)?;
        found = true;
    }
    let empty_list = value.value("ValueList").is_some();
    if found || empty_list { Ok(()) } else { bad_request(format!("{} has no value", value.path("ValueString"))) }
}

fn read_words(body: &Object<'_>, name: &str, (min, max): (usize, usize), words: &[&str]) -> Valid<Vec<String>> {
    let items = body.list(name, min, max)?.unwrap_or_default();
    items.into_iter().map(|(path, item)| word(&path, item, words).map(str::to_owned)).collect()
}

/// A `ChatStreamingConfiguration`: "the ARN of the standard Amazon SNS topic".
fn read_streaming(body: &Object<'_>, name: &str) -> Valid<Option<String>> {
    let Some(streaming) = body.object(name)? else { return Ok(None) };
    let arn = streaming.required_string("StreamingEndpointArn", chars(1, 350))?;
    let parts: Vec<_> = arn.split(':').collect();
    let standard_topic = matches!(parts.as_slice(),
        ["arn", _, "sns", region, account, topic]
            if !region.is_empty() && !account.is_empty() && !topic.is_empty() && !topic.ends_with(".fifo"));
    if !standard_topic {
        return bad_parameter(format!("{} must be a standard SNS topic", streaming.path("StreamingEndpointArn")));
    }
    Ok(Some(arn.to_owned()))
}

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
            let instance_id = state.config().instance_ids.first().cloned();
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
