//! An item of a chat as Connect streams it to SNS, and what of it is for the customer's phone (administrator guide, "SNS
//! payload" of message streaming).
//!
//! A queue that the topic feeds holds the SNS notification, or with raw delivery the item itself; the attributes are in
//! the one, or are the queue message's own.
//!
//! ```json
//! {"AbsoluteTime":"2024-03-20T09:36:56.174Z","Content":"Hello","ContentType":"text/plain","Id":"00c35ebd-…",
//!  "Type":"MESSAGE","ParticipantId":"…","DisplayName":"Ana","ParticipantRole":"AGENT","InitialContactId":"…",
//!  "ContactId":"…"}
//! ```

use std::collections::HashMap;

use aws_lambda_events::sqs::SqsMessage;
use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    chat::TYPING,
    choices::Prompt,
    digest::{hash, sha256_hex},
    error::{Error, Result},
    json,
    reply::text,
};

const CHAT_ENDED: &str = "application/vnd.amazonaws.connect.event.chat.ended";

/// Longer than any id of Connect's.
const ID_BYTES: usize = 256;

/// An item of a chat. Not `Debug`: it holds message text.
pub struct Streamed {
    /// The item's id: SNS may bring it more than once.
    pub id: String,
    /// The chat: a transfer gives it another `ContactId`, and leaves this one as it is.
    pub initial_contact_id: String,
    /// When it was written. SNS does not keep the order.
    pub time: Option<Timestamp>,
    /// Whether a bot or the flow said it.
    pub is_automatic: bool,
    said: Said,
    /// Tells it from every other item of the chat.
    deduplication: [String; 3],
}

/// What was said, not yet in words: [`Streamed::content`].
enum Said {
    Message { content_type: String, content: String },
    Attachments(Vec<AgentsFile>),
    Ended,
    AgentTypes,
    Nothing(&'static str),
}

/// A file that may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentsFile {
    /// Its id in the chat.
    pub id: String,
    /// Its name, as it was given.
    pub name: String,
    /// Its media type, as it was given.
    pub content_type: String,
}

/// What an item is to the customer's phone.
pub enum Content {
    /// Words to send.
    Text(String),
    /// Files to send, never none.
    Files(Vec<AgentsFile>),
    /// A message that can't be put into words.
    Unsendable,
    /// The chat has ended.
    Ended,
    /// An agent is typing.
    Typing,
    /// Nothing to send, and why.
    Nothing(&'static str),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Notification {
    message: String,
    #[serde(default)]
    message_attributes: HashMap<String, Attribute>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attribute {
    value: Option<String>,
}

/// All that an item may have. A null counts as absent.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    id: Option<String>,
    initial_contact_id: Option<String>,
    absolute_time: Option<String>,
    #[serde(rename = "Type")]
    kind: Option<String>,
    content_type: Option<String>,
    content: Option<String>,
    participant_role: Option<String>,
    attachments: Option<Vec<Attachment>>,
    message_metadata: Option<Metadata>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Attachment {
    attachment_id: Option<String>,
    content_type: Option<String>,
    attachment_name: Option<String>,
    status: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    message_completed: Option<bool>,
}

impl Streamed {
    /// Reads a queue message. The error repeats nothing of it.
    pub fn read(message: &SqsMessage) -> Result<Self> {
        let body = message.body.as_deref().unwrap_or_default().as_bytes();
        // An item has no `Message`.
        let (item, mut attributes): (Item, HashMap<String, String>) = match json::parse::<Notification>(body) {
            Ok(notification) => (
                json::parse(notification.message.as_bytes()).map_err(|_| wrong())?,
                notification
                    .message_attributes
                    .into_iter()
                    .filter_map(|(name, attribute)| Some((name, attribute.value?)))
                    .collect(),
            ),
            Err(_) => (
                json::parse(body).map_err(|_| wrong())?,
                message
                    .message_attributes
                    .iter()
                    .filter_map(|(name, attribute)| Some((name.clone(), attribute.string_value.clone()?)))
                    .collect(),
            ),
        };
        let initial_contact_id = item.initial_contact_id.clone().or_else(|| attributes.remove("InitialContactId"));
        let role = item.participant_role.clone().or_else(|| attributes.remove("ParticipantRole"));
        let visibility = attributes.remove("MessageVisibility");
        let time = item.absolute_time.as_deref().and_then(|time| time.parse().ok());
        let is_automatic = matches!(role.as_deref(), Some("SYSTEM" | "CUSTOM_BOT"));
        let given_id = item.id.clone();
        let deduplication = item.deduplication();
        let said = item.said(role.as_deref(), visibility.as_deref())?;
        // What is sent must be told from what was sent before. Receipts have no id of their own.
        let id = match (&said, given_id) {
            (Said::Nothing(_) | Said::AgentTypes | Said::Ended, None) => String::new(),
            (_, given) => named(given, "Id")?,
        };
        let initial_contact_id = match (&said, initial_contact_id) {
            (Said::Nothing(_), None) => String::new(),
            (_, given) => named(given, "InitialContactId")?,
        };
        Ok(Self { id, initial_contact_id, time, is_automatic, said, deduplication })
    }

    /// Whether `send-reply` has anything to do about it.
    pub fn is_forwarded(&self) -> bool {
        !matches!(self.said, Said::Nothing(_))
    }

    /// The outbound queue's `MessageGroupId`: one chat, whose items stay in order.
    pub fn group_id(&self) -> String {
        sha256_hex(&self.initial_contact_id)
    }

    /// The outbound queue's `MessageDeduplicationId`. An attachment is streamed under one id before and after its scan, and an
    /// event need not have an id.
    pub fn deduplication_id(&self) -> String {
        let [id, kind, status] = &self.deduplication;
        hash(&[&self.initial_contact_id, id, kind, status])
    }

    /// The message with choices that it is, if it is an interactive one.
    pub fn prompt(&self) -> Option<Prompt> {
        let Said::Message { content_type, content } = &self.said else { return None };
        text::prompt(content_type, content, || {
            let id = hash(&["menu", &self.initial_contact_id, &self.id]);
            id.get(..32).unwrap_or(&id).to_owned()
        })
    }

    /// What to do about it.
    pub fn content(&self) -> Content {
        match &self.said {
            Said::Message { content_type, content } => match text::of_message(content_type, content) {
                Some(text) if text.trim().is_empty() => Content::Nothing("empty"),
                Some(text) => Content::Text(text),
                None => Content::Unsendable,
            },
            Said::Attachments(files) => Content::Files(files.clone()),
            Said::Ended => Content::Ended,
            Said::AgentTypes => Content::Typing,
            Said::Nothing(why) => Content::Nothing(why),
        }
    }
}

fn wrong() -> Error {
    Error::invalid("The queue item", "is no item of a chat")
}

fn named(id: Option<String>, name: &'static str) -> Result<String> {
    id.filter(|id| (1..=ID_BYTES).contains(&id.len())).ok_or_else(|| Error::invalid(name, "is missing"))
}

impl Item {
    /// `Id` (else `AbsoluteTime`), type, and an attachment's status.
    fn deduplication(&self) -> [String; 3] {
        let id = self.id.as_ref().or(self.absolute_time.as_ref()).cloned().unwrap_or_default();
        let statuses = self.attachments.iter().flatten().filter_map(|attachment| attachment.status.as_deref());
        [id, self.kind.clone().unwrap_or_default(), statuses.collect::<Vec<_>>().join(",")]
    }

    /// "Forward messages to the end customer … where visibility is CUSTOMER or ALL, and the participant role is not
    /// CUSTOMER" (administrator guide). What tells no visibility is not sent: it may be between agents.
    fn said(self, role: Option<&str>, visibility: Option<&str>) -> Result<Said> {
        let content_type = self.content_type.unwrap_or_default();
        if content_type.eq_ignore_ascii_case(CHAT_ENDED) {
            return Ok(Said::Ended);
        }
        // All that Connect streams has one: without it, it is something else that came into this queue.
        let kind = self.kind.as_deref().ok_or_else(|| Error::invalid("Type", "is missing"))?;
        if kind == "Notification" {
            return Err(wrong());
        }
        if kind == "EVENT" && role == Some("AGENT") && content_type.eq_ignore_ascii_case(TYPING) {
            return Ok(Said::AgentTypes);
        }
        if !matches!(kind, "MESSAGE" | "ATTACHMENT") {
            return Ok(Said::Nothing("not a message"));
        }
        if role == Some("CUSTOMER") {
            return Ok(Said::Nothing("the customer's own"));
        }
        match visibility {
            Some("CUSTOMER" | "ALL") => (),
            Some(_) => return Ok(Said::Nothing("not for the customer")),
            None => return Err(Error::invalid("MessageVisibility", "is missing")),
        }
        if kind == "ATTACHMENT" {
            let attachments = self.attachments.unwrap_or_default().into_iter();
            // Connect says it once more when it has been scanned.
            let files: Vec<_> = attachments
                .filter(|attachment| attachment.status.as_deref().is_none_or(|status| status == "APPROVED"))
                .map(|attachment| AgentsFile {
                    id: attachment.attachment_id.unwrap_or_default(),
                    name: attachment.attachment_name.unwrap_or_else(|| "file".to_owned()),
                    content_type: attachment.content_type.unwrap_or_default(),
                })
                .collect();
            return Ok(if files.is_empty() {
                Said::Nothing("no approved attachment")
            } else {
                Said::Attachments(files)
            });
        }
        // Fragments of a bot's answer: the whole of it follows under the same id (amazon-connect-chatjs 5,
        // `PartialMessageUtil`).
        if self.message_metadata.is_some_and(|metadata| metadata.message_completed == Some(false)) {
            return Ok(Said::Nothing("a fragment"));
        }
        Ok(Said::Message { content_type, content: self.content.unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::error::Kind;

    /// Of the administrator guide, shortened.
    fn item(changes: &Value) -> Value {
        let mut item = json!({
            "AbsoluteTime": "2024-03-20T09:36:56.174Z", "Content": "Hello", "ContentType": "text/plain", "Id": "i-1",
            "Type": "MESSAGE", "ParticipantId": "p-1", "DisplayName": "Ana", "ParticipantRole": "AGENT",
            "InitialContactId": "c-1", "ContactId": "c-2",
        });
        for (name, value) in changes.as_object().unwrap() {
            item[name] = value.clone();
        }
        item
    }

    /// As the topic hands it over: within a notification, or raw.
    fn read(item: &Value, attributes: &[(&str, &str)], raw: bool) -> Result<Streamed> {
        let attributes: BTreeMap<_, _> = attributes.iter().copied().collect();
        let mut message = SqsMessage::default();
        if raw {
            message.body = Some(item.to_string());
            let attributes: Value = attributes
                .iter()
                .map(|(name, value)| ((*name).to_owned(), json!({ "stringValue": value, "dataType": "String" })))
                .collect::<serde_json::Map<_, _>>()
                .into();
            message.message_attributes = serde_json::from_value(attributes).unwrap();
        } else {
            let attributes: Value = attributes
                .iter()
                .map(|(name, value)| ((*name).to_owned(), json!({ "Type": "String", "Value": value })))
                .collect::<serde_json::Map<_, _>>()
                .into();
            let notification = json!({
                "Type": "Notification", "MessageId": "m-1", "TopicArn": "arn:aws:sns:us-east-1:123456789012:chat",
                "Message": item.to_string(), "Timestamp": "2024-03-20T09:36:56.200Z", "MessageAttributes": attributes,
            });
            message.body = Some(notification.to_string());
        }
        Streamed::read(&message)
    }

    fn content(item: &Value, attributes: &[(&str, &str)]) -> String {
        let [wrapped, raw] = [false, true].map(|raw| match read(item, attributes, raw) {
            Ok(streamed) => match streamed.content() {
                Content::Text(text) => format!("text: {text}"),
                Content::Files(files) => {
                    let shown = |file: &AgentsFile| format!("{} {} {}", file.id, file.name, file.content_type);
                    format!("files: {}", files.iter().map(shown).collect::<Vec<_>>().join(", "))
                }
                Content::Unsendable => "unsendable".to_owned(),
                Content::Ended => "ended".to_owned(),
                Content::Typing => "typing".to_owned(),
                Content::Nothing(why) => format!("nothing: {why}"),
            },
            Err(error) => {
                assert_eq!(error.kind(), Kind::Validation);
                format!("error: {}", error.message())
            }
        });
        assert_eq!(wrapped, raw);
        wrapped
    }

    const ALL: [(&str, &str); 1] = [("MessageVisibility", "ALL")];

    #[test]
    fn an_item_is_read_with_its_chat_and_time() {
        for raw in [false, true] {
            let streamed = read(&item(&json!({})), &ALL, raw).unwrap();
            assert_eq!((streamed.id.as_str(), streamed.initial_contact_id.as_str()), ("i-1", "c-1"));
            assert_eq!(streamed.time, Some("2024-03-20T09:36:56.174Z".parse().unwrap()));
            let elsewhere = [ALL[0], ("InitialContactId", "c-9"), ("ParticipantRole", "CUSTOMER")];
            let streamed = read(&item(&json!({ "InitialContactId": null })), &elsewhere, raw).unwrap();
            assert_eq!(streamed.initial_contact_id, "c-9");
        }
    }

    #[test]
    fn half_a_character_costs_no_reply() {
        let item = item(&json!({ "Content": "See you at 6 HERE" })).to_string().replace("HERE", r"\ud83d");
        let attributes = json!({ "MessageVisibility": { "Type": "String", "Value": "ALL" } });
        let notification = json!({ "Type": "Notification", "Message": item, "MessageAttributes": attributes });
        let mut wrapped = SqsMessage::default();
        wrapped.body = Some(notification.to_string());
        let mut raw = SqsMessage::default();
        raw.body = Some(item);
        raw.message_attributes =
            serde_json::from_value(json!({ "MessageVisibility": { "stringValue": "ALL", "dataType": "String" } }))
                .unwrap();
        for message in [wrapped, raw] {
            let Content::Text(text) = Streamed::read(&message).unwrap().content() else { panic!("no text") };
            assert_eq!(text, "See you at 6 \u{fffd}");
        }
    }

    #[test]
    fn only_what_is_for_the_customer_is_text() {
        for (label, changes, visibility, expected) in [
            ("an agent's", json!({}), Some("ALL"), "text: Hello"),
            ("for the customer only", json!({}), Some("CUSTOMER"), "text: Hello"),
            ("between agents", json!({}), Some("AGENT"), "nothing: not for the customer"),
            ("of no visibility", json!({}), None, "error: MessageVisibility is missing"),
            ("of an unknown one", json!({}), Some("SUPERVISOR"), "nothing: not for the customer"),
            ("the flow's", json!({ "ParticipantRole": "SYSTEM" }), Some("ALL"), "text: Hello"),
            ("a supervisor's", json!({ "ParticipantRole": "SUPERVISOR" }), Some("ALL"), "text: Hello"),
            ("a bot's", json!({ "ParticipantRole": "CUSTOM_BOT" }), Some("ALL"), "text: Hello"),
            ("the customer's", json!({ "ParticipantRole": "CUSTOMER" }), Some("ALL"), "nothing: the customer's own"),
            ("blank", json!({ "Content": " \n" }), Some("ALL"), "nothing: empty"),
            ("without content", json!({ "Content": null }), Some("ALL"), "nothing: empty"),
            ("JSON", json!({ "ContentType": "application/json", "Content": "{}" }), Some("ALL"), "unsendable"),
            (
                "typing",
                json!({ "Type": "EVENT", "ContentType": "application/vnd.amazonaws.connect.event.typing" }),
                Some("ALL"),
                "typing",
            ),
            (
                "the customer's typing",
                json!({ "Type": "EVENT", "ContentType": "application/vnd.amazonaws.connect.event.typing",
                        "ParticipantRole": "CUSTOMER" }),
                Some("ALL"),
                "nothing: not a message",
            ),
            (
                "left",
                json!({ "Type": "EVENT", "ContentType": "application/vnd.amazonaws.connect.event.participant.left" }),
                Some("ALL"),
                "nothing: not a message",
            ),
            ("a receipt", json!({ "Type": "MESSAGEMETADATA" }), Some("ALL"), "nothing: not a message"),
            (
                "a fragment",
                json!({ "ParticipantRole": "SYSTEM",
                        "MessageMetadata": { "MessageCompleted": false, "ChunkNumber": 1 } }),
                Some("ALL"),
                "nothing: a fragment",
            ),
            (
                "the whole of it",
                json!({ "ParticipantRole": "SYSTEM",
                        "MessageMetadata": { "MessageCompleted": true, "ChunkNumber": 3 } }),
                Some("ALL"),
                "text: Hello",
            ),
            ("with receipts asked for", json!({ "MessageMetadata": { "Receipts": [] } }), Some("ALL"), "text: Hello"),
        ] {
            let attributes: Vec<_> = visibility.map(|value| ("MessageVisibility", value)).into_iter().collect();
            assert_eq!(content(&item(&changes), &attributes), expected, "{label}");
        }
    }

    #[test]
    fn ids_of_the_outbound_queue_tell_items_and_chats_apart() {
        let ids = |changes: Value| {
            let streamed = read(&item(&changes), &ALL, false).unwrap();
            (streamed.group_id(), streamed.deduplication_id())
        };
        let (group, one) = ids(json!({}));
        // printf c-1 | sha256sum
        assert_eq!(group, "a6f7ef47ee8dc84af9056a3051ddc302f19581a96eb7e12f510fdf550326a399");
        assert_eq!((group.len(), one.len()), (64, 64));
        assert_eq!(ids(json!({})).1, one, "again");
        let approved = |status: &str| json!({ "Type": "ATTACHMENT", "Attachments": [{ "Status": status }] });
        let mut all = vec![one];
        for changes in [
            json!({ "Id": "i-2" }),
            json!({ "InitialContactId": "c-2" }),
            approved("IN_PROGRESS"),
            approved("APPROVED"),
        ] {
            all.push(ids(changes).1);
        }
        let ended =
            |time: &str| json!({ "Id": null, "Type": "EVENT", "ContentType": CHAT_ENDED, "AbsoluteTime": time });
        all.push(ids(ended("2024-03-20T09:36:56.174Z")).1);
        all.push(ids(ended("2024-03-20T09:36:57.174Z")).1);
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn the_end_of_a_chat_names_nobody() {
        let ended = json!({ "AbsoluteTime": "2024-03-20T09:36:56.174Z", "Id": "i-9", "Type": "EVENT",
                            "ContentType": "application/vnd.amazonaws.connect.event.chat.ended", "InitialContactId": "c-1" });
        assert_eq!(content(&ended, &[]), "ended");
        assert_eq!(content(&ended, &[("MessageVisibility", "ALL")]), "ended");
    }

    #[test]
    fn attachments_are_files_once_they_are_approved() {
        let attachment = |statuses: &[Option<&str>]| {
            let attachments: Vec<_> = statuses
                .iter()
                .map(|status| json!({ "AttachmentId": "a-1", "AttachmentName": "x.png", "ContentType": "image/png", "Status": status }))
                .collect();
            json!({ "Id": "i-1", "Type": "ATTACHMENT", "ParticipantRole": "AGENT", "InitialContactId": "c-1",
                    "Attachments": attachments })
        };
        let one = "files: a-1 x.png image/png";
        assert_eq!(content(&attachment(&[Some("APPROVED")]), &ALL), one);
        assert_eq!(content(&attachment(&[None]), &ALL), one);
        assert_eq!(content(&attachment(&[Some("APPROVED"), Some("REJECTED")]), &ALL), one);
        for statuses in [&[][..], &[Some("IN_PROGRESS")], &[Some("REJECTED")]] {
            assert_eq!(content(&attachment(statuses), &ALL), "nothing: no approved attachment", "{statuses:?}");
        }
    }

    #[test]
    fn what_is_no_item_is_refused_in_fixed_words() {
        let refusal = |body: &str| {
            let mut message = SqsMessage::default();
            message.body = Some(body.to_owned());
            Streamed::read(&message).err().map(|error| error.message().to_owned())
        };
        for body in ["", "Hello secret", "[]", "null", r#"{"Message":"secret"}"#, r#"{"Message":"[1]"}"#] {
            assert_eq!(refusal(body).as_deref(), Some("The queue item is no item of a chat"), "{body}");
        }
        // A customer's message in the wrong queue, and a notification whose message is no text.
        let inbound = r#"{"v":1,"account":"us","message":{"text":"secret"}}"#;
        for body in ["{}", r#"{"Message":"{}"}"#, r#"{"Message":{"Type":"MESSAGE"}}"#, inbound] {
            assert_eq!(refusal(body).as_deref(), Some("Type is missing"), "{body}");
        }
        let notification = r#"{"Type":"Notification","TopicArn":"arn:aws:sns:us-east-1:123456789012:chat"}"#;
        assert_eq!(refusal(notification).as_deref(), Some("The queue item is no item of a chat"));
        for (name, long) in [("Id", json!("")), ("Id", json!(null)), ("InitialContactId", json!("x".repeat(257)))] {
            let error = content(&item(&json!({ (name): long })), &ALL);
            assert_eq!(error, format!("error: {name} is missing"));
        }
    }
}
