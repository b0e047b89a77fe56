//! What Meta and AWS End User Messaging Social share: the entry of a webhook, and the message of a send API.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    contract::{CustomerText, SendRequest},
    text::{Channel, Choice, digits, profile_name},
};

/// The id of a number that has none in the settings.
pub(super) const NUMBER_ID: &str = "106540352242922";
pub(super) const BUSINESS_ID: &str = "102290129340398";

pub(super) fn message_id() -> String {
    format!("wamid.{}", BASE64_STANDARD.encode(Uuid::new_v4().as_bytes()))
}

/// <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks>
pub(super) fn entry(text: &CustomerText<'_>) -> Value {
    let number_id = text.account.list("phone_number_ids").first().copied().unwrap_or(NUMBER_ID);
    let customer = digits(&text.from);
    json!({ "id": BUSINESS_ID, "changes": [{ "field": "messages", "value": {
        "messaging_product": "whatsapp",
        "metadata": { "display_phone_number": digits(&text.to), "phone_number_id": number_id },
        "contacts": [{ "profile": { "name": profile_name(&text.from) }, "wa_id": customer }],
        "messages": [message(text, customer)],
    } }] })
}

fn message(text: &CustomerText<'_>, customer: &str) -> Value {
    let (kind, content) = match text.choice {
        None => ("text", json!({ "body": text.text })),
        Some(choice) => {
            let mut reply = json!({ "id": choice.id, "title": choice.title });
            if let (Some(description), Some(reply)) = (&choice.description, reply.as_object_mut()) {
                reply.insert("description".to_owned(), json!(description));
            }
            let kind = if choice.in_list { "list_reply" } else { "button_reply" };
            ("interactive", json!({ "type": kind, kind: reply }))
        }
    };
    json!({ "from": customer, "id": message_id(), "timestamp": text.now.as_second().to_string(), "type": kind, kind: content })
}

/// The message object: `to` is a number, `recipient` a user who shows none.
pub(super) fn read(message: &Value, from: &str) -> Result<SendRequest, u16> {
    let is_whatsapp = message.get("messaging_product").is_some_and(|product| product == "whatsapp");
    let to = message.get("to").or_else(|| message.get("recipient")).and_then(Value::as_str);
    let (text, choices) = match message.get("type").and_then(Value::as_str) {
        Some("text") => (message.pointer("/text/body").and_then(Value::as_str).map(str::to_owned), Vec::new()),
        Some("interactive") => interactive(message.get("interactive").unwrap_or(&Value::Null))?,
        _ => return Err(400),
    };
    match (to, text) {
        (Some(to), Some(text)) if is_whatsapp => Ok(SendRequest {
            from: from.to_owned(),
            business: from.to_owned(),
            to: to.to_owned(),
            text,
            choices,
            channel: Channel::Whatsapp,
        }),
        _ => Err(400),
    }
}

/// The words and the choices of a message with buttons or a list. What is beyond WhatsApp's limits is refused, as there.
pub(super) fn interactive(message: &Value) -> Result<(Option<String>, Vec<Choice>), u16> {
    let in_list = match message.get("type").and_then(Value::as_str) {
        Some("list") => true,
        Some("button") => false,
        _ => return Err(400),
    };
    let listed = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let replies: Vec<Value> = if in_list {
        let sections = listed(message.pointer("/action/sections"));
        sections.iter().flat_map(|section| listed(section.get("rows"))).collect()
    } else {
        let buttons = listed(message.pointer("/action/buttons"));
        buttons.iter().filter_map(|button| button.get("reply").cloned()).collect()
    };
    let (most, longest, longest_body) = if in_list { (10, 24, 4096) } else { (3, 20, 1024) };
    let of = |reply: &Value, name: &str| reply.get(name).and_then(Value::as_str).map(str::to_owned);
    let choices = replies.iter().map(|reply| {
        let (id, title, description) = (of(reply, "id")?, of(reply, "title")?, of(reply, "description"));
        let is_ok = (1..=longest).contains(&title.chars().count()) && (1..=200).contains(&id.len());
        let is_short = description.as_ref().is_none_or(|description| description.chars().count() <= 72);
        (is_ok && is_short).then_some(Choice { id, title, description, in_list })
    });
    let choices = choices.collect::<Option<Vec<_>>>().ok_or(400_u16)?;
    let parts = ["/header/text", "/body/text", "/footer/text"];
    let text = parts.iter().filter_map(|part| message.pointer(part)?.as_str()).collect::<Vec<_>>().join("\n");
    let body = message.pointer("/body/text").and_then(Value::as_str).map_or(0, |body| body.chars().count());
    let is_ok = (1..=most).contains(&choices.len()) && (1..=longest_body).contains(&body);
    if is_ok { Ok((Some(text), choices)) } else { Err(400) }
}
