//! What Meta and AWS End User Messaging Social share: the entry of a webhook, and the message of a send API.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    contract::{CustomerText, SendRequest},
    text::{Channel, digits, profile_name},
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
        "messages": [{
            "from": customer, "id": message_id(),
            "timestamp": text.now.as_second().to_string(), "type": "text", "text": { "body": text.text },
        }],
    } }] })
}

/// The message object: `to` is a number, `recipient` a user who shows none.
pub(super) fn read(message: &Value, from: &str) -> Result<SendRequest, u16> {
    let is_text = message.get("messaging_product").is_some_and(|product| product == "whatsapp")
        && message.get("type").is_some_and(|kind| kind == "text");
    let to = message.get("to").or_else(|| message.get("recipient")).and_then(Value::as_str);
    let text = message.pointer("/text/body").and_then(Value::as_str);
    match (to, text) {
        (Some(to), Some(text)) if is_text => Ok(SendRequest {
            from: from.to_owned(),
            business: from.to_owned(),
            to: to.to_owned(),
            text: text.to_owned(),
            channel: Channel::Whatsapp,
        }),
        _ => Err(400),
    }
}
