//! The operations of the Participant Service. The bearer header is all the authentication there is: "The Amazon Connect
//! Participant Service APIs do not use Signature Version 4 authentication."

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    contact::{Item, ItemType, Participant, Visibility, event},
    error::ApiError,
    operation::Operation,
    state::{ChatKey, Direction, Draft, State},
    transcript::{self, Query, Start},
    validate::{Object, Valid, Violation, bad_parameter, bad_request, bytes, chars, word},
};

/// What a customer may send (SendMessage API reference, `ContentType`).
const MESSAGE_TYPES: [&str; 4] = [
    "text/plain",
    "text/markdown",
    "application/json",
    "application/vnd.amazonaws.connect.message.interactive.response",
];

/// What a customer may report (SendEvent API reference, `ContentType`).
const EVENT_TYPES: [&str; 4] = [event::TYPING, event::ACKNOWLEDGED, event::DELIVERED, event::READ];

/// Whether a message of this type may be sent in a chat that supports these; else why not.
pub(crate) fn check_content_type(content_type: &str, supported: &[String]) -> Result<(), &'static str> {
    if !MESSAGE_TYPES.contains(&content_type) {
        Err("is not a content type of messages")
    } else if !supported.iter().any(|supported| supported == content_type) {
        Err("is not among the chat's SupportedMessagingContentTypes")
    } else {
        Ok(())
    }
}

/// Whether an event may be sent. Receipts name their message: "supported in the form of a JSON string".
pub(crate) fn check_event_type(body: &Object<'_>, content_type: &str, content: Option<&str>) -> Valid<()> {
    if !EVENT_TYPES.contains(&content_type) {
        return bad_parameter(format!("{} is not a content type of events", body.path("ContentType")));
    }
    let receipt = content_type == event::DELIVERED || content_type == event::READ;
    if receipt && content.and_then(receipt_of).is_none() {
        return bad_parameter(format!("{} must be {{\"messageId\": …}}", body.path("Content")));
    }
    Ok(())
}

fn receipt_of(content: &str) -> Option<String> {
    let content: Value = serde_json::from_str(content).ok()?;
    Some(content.get("messageId")?.as_str()?.to_owned())
}

/// The Participant Service has one exception for every violation.
pub(crate) fn invalid(violation: Violation) -> ApiError {
    ApiError::validation(violation.message)
}

/// The chat of a connection token, which must be open: "AccessDeniedException … also: chat ended or wrong token".
pub(crate) fn authorize(state: &State, bearer: Option<&str>) -> Result<ChatKey, ApiError> {
    bearer
        .and_then(|token| state.find_connection(token))
        .filter(|key| state.chat(*key).is_some_and(|chat| !chat.contact.ended))
        .ok_or_else(ApiError::access_denied)
}

/// CreateParticipantConnection.
pub(crate) fn create_participant_connection(
    state: &mut State,
    bearer: Option<&str>,
    body: &Value,
) -> Result<Value, ApiError> {
    let key = bearer.and_then(|token| state.find_participant(token)).ok_or_else(ApiError::access_denied)?;
    let (types, connect) = read_connection(body).map_err(invalid)?;
    let streaming = state.chat(key).is_some_and(|chat| !chat.contact.streaming.is_empty());
    if connect && !streaming {
        return Err(ApiError::validation("ConnectParticipant is for contacts with message streaming"));
    }
    if connect {
        state.connect(key);
    }
    let mut answer = serde_json::Map::new();
    if types.contains(&"WEBSOCKET") {
        answer.insert("Websocket".to_owned(), state.websocket(key));
    }
    if types.contains(&"CONNECTION_CREDENTIALS") {
        answer.insert("ConnectionCredentials".to_owned(), state.connection_credentials(key));
    }
    Ok(Value::Object(answer))
}

fn read_connection(body: &Value) -> Valid<(Vec<&str>, bool)> {
    let body = Object::root(body)?;
    let items = body.list("Type", 1, usize::MAX)?.unwrap_or_default();
    let types = items
        .into_iter()
        .map(|(path, item)| word(&path, item, &["WEBSOCKET", "CONNECTION_CREDENTIALS", "WEBRTC_CONNECTION"]))
        .collect::<Valid<Vec<_>>>()?;
    if types.contains(&"WEBRTC_CONNECTION") {
        return bad_parameter("WEBRTC_CONNECTION is for calls");
    }
    let connect = body.boolean("ConnectParticipant")?.unwrap_or(false);
    if types.is_empty() && !connect {
        return bad_request("Type is required");
    }
    Ok((types, connect))
}

/// What was answered to this ClientToken before: once said is said.
pub(crate) fn replay(state: &State, key: ChatKey, operation: Operation, client_token: Option<&str>) -> Option<Value> {
    state.chat(key)?.replies.get(&(operation, client_token?.to_owned())).cloned()
}

pub(crate) fn remember(
    state: &mut State,
    key: ChatKey,
    operation: Operation,
    client_token: Option<&str>,
    answer: &Value,
) {
    if let (Some(chat), Some(client_token)) = (state.chat_mut(key), client_token) {
        chat.replies.insert((operation, client_token.to_owned()), answer.clone());
    }
}

/// The ClientToken, where it is one.
pub(crate) fn client_token<'a>(body: &Object<'a>) -> Valid<Option<&'a str>> {
    Ok(body.string("ClientToken", chars(0, 500))?.filter(|token| !token.is_empty()))
}

/// SendMessage. The bearer is checked first, so a repeat of a message that was taken is refused like any other once the
/// chat has ended. A customer who is not connected may send: the references don't say otherwise. But no participant is connected to
/// read it ([`Contact::connected`](crate::Contact::connected)), and the chat ends after five minutes.
pub(crate) fn send_message(state: &mut State, bearer: Option<&str>, body: &Value) -> Result<Value, ApiError> {
    const OPERATION: Operation = Operation::SendMessage;
    let key = authorize(state, bearer)?;
    let chat = state.chat(key).ok_or_else(ApiError::access_denied)?;
    let (customer, supported) = (chat.contact.customer(), chat.contact.supported_content_types.clone());
    let read = || {
        let body = Object::root(body)?;
        let content_type = body.required_string("ContentType", chars(1, 100))?;
        let content = body.required_string("Content", bytes(1, 16_384))?;
        if let Err(why) = check_content_type(content_type, &supported) {
            return bad_parameter(format!("ContentType {why}"));
        }
        Ok((content_type, content, client_token(&body)?))
    };
    let (content_type, content, token) = read().map_err(invalid)?;
    if let Some(answer) = replay(state, key, OPERATION, token) {
        return Ok(answer);
    }
    let item = state.add(key, Draft::message(customer, content_type, content)).ok_or_else(ApiError::access_denied)?;
    let answer = sent(&item);
    remember(state, key, OPERATION, token, &answer);
    Ok(answer)
}

/// SendEvent. `connection.acknowledged` is taken and does nothing: it "is no longer maintained since December 31, 2024".
pub(crate) fn send_event(state: &mut State, bearer: Option<&str>, body: &Value) -> Result<Value, ApiError> {
    const OPERATION: Operation = Operation::SendEvent;
    let key = authorize(state, bearer)?;
    let customer = state.chat(key).ok_or_else(ApiError::access_denied)?.contact.customer();
    let read = || {
        let body = Object::root(body)?;
        let content_type = body.required_string("ContentType", chars(1, 100))?;
        let content = body.string("Content", bytes(1, 16_384))?;
        check_event_type(&body, content_type, content)?;
        Ok((content_type, content, client_token(&body)?))
    };
    let (content_type, content, token) = read().map_err(invalid)?;
    if let Some(answer) = replay(state, key, OPERATION, token) {
        return Ok(answer);
    }
    let item = add_event(state, key, customer, content_type, content.map(str::to_owned));
    let answer = sent(&item.ok_or_else(ApiError::access_denied)?);
    remember(state, key, OPERATION, token, &answer);
    Ok(answer)
}

fn sent(item: &Item) -> Value {
    json!({ "Id": item.id, "AbsoluteTime": item.absolute_time })
}

/// Adds someone's event. A receipt reaches the others as metadata of the message it names.
pub(crate) fn add_event(
    state: &mut State,
    key: ChatKey,
    participant: Participant,
    content_type: &str,
    content: Option<String>,
) -> Option<Item> {
    let message_id = content.as_deref().and_then(receipt_of);
    let name = match content_type {
        event::DELIVERED => Some("DeliveredTimestamp"),
        event::READ => Some("ReadTimestamp"),
        _ => None,
    };
    let draft = match (name, message_id) {
        (Some(name), Some(message_id)) => Draft {
            item_type: ItemType::MessageMetadata,
            content_type: event::METADATA.to_owned(),
            content: None,
            visibility: Visibility::All,
            metadata: Some(json!({
                "MessageId": message_id,
                "Receipts": [{
                    name: format!("{:.3}", Timestamp::now()),
                    "RecipientParticipantId": participant.id,
                }],
            })),
            participant: None,
            attachments: Vec::new(),
        },
        _ => Draft { content, ..Draft::event(Some(participant), content_type) },
    };
    state.add(key, draft)
}

/// DisconnectParticipant: the customer leaves, and the chat is over. A repeat by the same ClientToken is answered as
/// the first was.
pub(crate) fn disconnect_participant(state: &mut State, bearer: Option<&str>, body: &Value) -> Result<Value, ApiError> {
    const OPERATION: Operation = Operation::DisconnectParticipant;
    let token = Object::root(body).and_then(|body| client_token(&body)).map_err(invalid)?;
    let known = bearer.and_then(|token| state.find_connection(token));
    if let Some(answer) = known.and_then(|key| replay(state, key, OPERATION, token)) {
        return Ok(answer);
    }
    let key = authorize(state, bearer)?;
    let customer = state.chat(key).ok_or_else(ApiError::access_denied)?.contact.customer();
    state.end(key, "CUSTOMER_DISCONNECT", Some(customer));
    let answer = json!({});
    remember(state, key, OPERATION, token, &answer);
    Ok(answer)
}

/// GetTranscript.
pub(crate) fn get_transcript(state: &mut State, bearer: Option<&str>, body: &Value) -> Result<Value, ApiError> {
    let key = authorize(state, bearer)?;
    let (contact_id, query) = read_query(body).map_err(invalid)?;
    let chat = state.chat_mut(key).ok_or_else(ApiError::access_denied)?;
    // "The contactId from the current contact chain for which transcript is needed."
    if contact_id.is_some_and(|id| !chat.contact.ids.iter().any(|known| known == id)) {
        return Err(ApiError::access_denied());
    }
    let (items, next) = transcript::read(chat, &query).map_err(invalid)?;
    let items: Vec<_> = items.iter().map(Item::transcript_json).collect();
    let mut answer = json!({ "InitialContactId": chat.contact.initial_id, "Transcript": items });
    if let (Some(next), Value::Object(members)) = (next, &mut answer) {
        members.insert("NextToken".to_owned(), json!(next));
    }
    Ok(answer)
}

fn read_query(body: &Value) -> Valid<(Option<&str>, Query)> {
    let body = Object::root(body)?;
    let count = |number: Option<i64>| number.and_then(|number| usize::try_from(number).ok());
    let direction = body.word("ScanDirection", &["FORWARD", "BACKWARD"])?.map(|word| match word {
        "FORWARD" => Direction::Forward,
        _ => Direction::Backward,
    });
    let mut query = Query {
        max_results: count(body.integer("MaxResults", 0, 100)?),
        next_token: body.owned("NextToken", chars(1, 1000))?,
        direction,
        // "Default: DESCENDING."
        ascending: body.word("SortOrder", &["DESCENDING", "ASCENDING"])? == Some("ASCENDING"),
        start: None,
    };
    // chatjs sends an empty one where it has none.
    if let Some(position) = body.object("StartPosition")? {
        let id = position.owned("Id", chars(1, 256))?.map(Start::Id);
        let most_recent = count(position.integer("MostRecent", 0, 100)?).map(Start::MostRecent);
        let time = match position.string("AbsoluteTime", chars(1, 100))? {
            None => None,
            Some(time) => match time.parse::<Timestamp>() {
                Ok(time) => Some(Start::Time(format!("{time:.3}"))),
                Err(_) => return bad_parameter(format!("{} must be an ISO 8601 time", position.path("AbsoluteTime"))),
            },
        };
        query.start = id.or(time).or(most_recent);
    }
    Ok((body.string("ContactId", chars(1, 256))?, query))
}
