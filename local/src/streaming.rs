//! Message streaming: a chat's items as Connect publishes them to an SNS topic (administrator guide, "SNS payload").
//!
//! Whoever wants the items subscribes: a test, or whatever publishes them to an SNS endpoint.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::contact::{Contact, Item};

/// An attribute of an SNS message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct MessageAttribute {
    /// Always `String`.
    #[serde(rename = "Type")]
    pub kind: &'static str,
    /// The value.
    pub value: String,
}

/// One publication: a contact with two streaming endpoints makes two of every item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct StreamedItem {
    /// The topic it goes to.
    pub topic_arn: String,
    /// JSON text: the item.
    pub message: String,
    /// `InitialContactId`, `ContactId`, `MessageVisibility`, `Type`, `AccountId`, `ContentType`, `InstanceId` and
    /// `ParticipantRole`, as far as the item has them.
    pub message_attributes: BTreeMap<&'static str, MessageAttribute>,
}

impl StreamedItem {
    pub(crate) fn new(contact: &Contact, item: &Item, topic_arn: &str, account_id: &str) -> Self {
        let mut attributes = BTreeMap::new();
        let mut put = |name: &'static str, value: String| {
            attributes.insert(name, MessageAttribute { kind: "String", value });
        };
        put("InitialContactId", contact.initial_id.clone());
        put("ContactId", item.contact_id.clone());
        put("MessageVisibility", text(&json!(item.visibility)));
        put("Type", text(&json!(item.item_type)));
        put("AccountId", account_id.to_owned());
        put("ContentType", item.content_type.clone());
        if let Some(instance_id) = &contact.instance_id {
            put("InstanceId", instance_id.clone());
        }
        if let Some(participant) = &item.participant {
            put("ParticipantRole", text(&json!(participant.role)));
        }
        Self {
            topic_arn: topic_arn.to_owned(),
            message: item.pushed_json(&contact.initial_id).to_string(),
            message_attributes: attributes,
        }
    }

    /// The item.
    pub fn item(&self) -> Value {
        serde_json::from_str(&self.message).unwrap_or_default()
    }

    /// The value of a message attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.message_attributes.get(name).map(|attribute| attribute.value.as_str())
    }

    /// What SNS puts into a subscribed queue's message: the notification as JSON, unsigned. Every call makes another
    /// `MessageId`, as SNS does for every publication.
    pub fn notification(&self) -> Value {
        json!({
            "Type": "Notification",
            "MessageId": Uuid::new_v4().to_string(),
            "TopicArn": self.topic_arn,
            "Message": self.message,
            "Timestamp": self.item().get("AbsoluteTime"),
            "MessageAttributes": self.message_attributes,
        })
    }
}

/// A unit variant's name.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A subscriber: all items streamed since it was made, none dropped.
#[derive(Debug)]
pub struct StreamSubscriber {
    items: mpsc::UnboundedReceiver<StreamedItem>,
}

impl StreamSubscriber {
    /// The next item; waits for it. `None`: the stand-in has stopped.
    pub async fn next(&mut self) -> Option<StreamedItem> {
        self.items.recv().await
    }

    /// The next item, if there is one already.
    pub fn try_next(&mut self) -> Option<StreamedItem> {
        self.items.try_recv().ok()
    }
}

/// Everyone who has subscribed.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    subscribers: Vec<mpsc::UnboundedSender<StreamedItem>>,
}

impl Streams {
    pub(crate) fn subscribe(&mut self) -> StreamSubscriber {
        let (sender, items) = mpsc::unbounded_channel();
        self.subscribers.push(sender);
        StreamSubscriber { items }
    }

    pub(crate) fn publish(&mut self, item: &StreamedItem) {
        self.subscribers.retain(|subscriber| subscriber.send(item.clone()).is_ok());
    }
}
