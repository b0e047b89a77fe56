//! The dialect that Twilio and SignalWire share: the form of a webhook and its signature, the call that creates a message,
//! and its answers.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{
    contract::{Answer, Call, CustomerText, SendRequest, meaning},
    keys::sha1,
    text::{Channel, digits, profile_name, segments},
};

/// The form of an incoming message. <https://www.twilio.com/docs/messaging/guides/webhook-request>
pub(super) fn form(text: &CustomerText<'_>, account_id: &str, id: &str) -> String {
    let is_whatsapp = text.channel == Channel::Whatsapp;
    let address = |number: &str| if is_whatsapp { format!("whatsapp:{number}") } else { number.to_owned() };
    let mut fields: BTreeMap<&str, String> = [
        ("AccountSid", account_id.to_owned()),
        ("ApiVersion", "2010-04-01".to_owned()),
        ("Body", text.text.to_owned()),
        ("From", address(&text.from)),
        ("MessageSid", id.to_owned()),
        ("NumMedia", "0".to_owned()),
        ("NumSegments", segments(text.channel, text.text).to_string()),
        ("SmsMessageSid", id.to_owned()),
        ("SmsSid", id.to_owned()),
        ("SmsStatus", "received".to_owned()),
        ("To", address(&text.to)),
    ]
    .into();
    if is_whatsapp {
        fields.insert("ProfileName", profile_name(&text.from));
        fields.insert("WaId", digits(&text.from).to_owned());
    }
    if let Some(choice) = text.choice {
        fields.insert("ButtonPayload", choice.id.clone());
        fields.insert("ButtonText", choice.title.clone());
        fields.insert("MessageType", "button".to_owned());
    }
    form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish()
}

/// Base64 HMAC-SHA1 over the URL and all parameters by name. <https://www.twilio.com/docs/usage/security>
pub(super) fn signature(secret: &str, url: &str, body: &str) -> String {
    let fields: BTreeMap<_, _> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let mut signed = url.to_owned();
    for (name, value) in &fields {
        signed.push_str(name);
        signed.push_str(value);
    }
    BASE64_STANDARD.encode(sha1(secret, &signed))
}

/// The form that creates a message.
pub(super) fn read(call: &Call<'_>) -> Result<SendRequest, u16> {
    let body = call.form();
    let is_whatsapp = body.get("To").and_then(Value::as_str).is_some_and(|to| to.starts_with("whatsapp:"));
    SendRequest::of(&body, ["From", "To", "Body"], if is_whatsapp { Channel::Whatsapp } else { Channel::Sms })
}

/// What an account (`….json`) and its numbers (`…/IncomingPhoneNumbers.json`) look like. `path` is the account's.
pub(super) fn look(call: &Call<'_>, path: &str, webhook: &str) -> Result<Value, u16> {
    match call.path.strip_prefix(path) {
        Some(".json") => Ok(json!({ "status": "active" })),
        Some("/IncomingPhoneNumbers.json") => {
            let number = json!({ "phone_number": "+12025550100", "sms_url": webhook, "sms_method": "POST" });
            Ok(json!({ "incoming_phone_numbers": [number] }))
        }
        _ => Err(404),
    }
}

pub(super) fn taken(request: &SendRequest, id: &str) -> Answer {
    let parts = segments(request.channel, &request.text).to_string();
    Answer::json(
        201,
        json!({ "sid": id, "status": "queued", "direction": "outbound-api", "num_segments": parts,
                "from": request.from, "to": request.to, "error_code": null, "error_message": null }),
    )
}

/// The codes are 20000 and the status, but for a bad request and for credentials.
pub(super) fn refused(status: u16) -> Answer {
    let code = match status {
        400 => 21_602,
        401 => 20_003,
        status => 20_000 + u32::from(status),
    };
    let more = format!("https://www.twilio.com/docs/errors/{code}");
    Answer::json(status, json!({ "code": code, "message": meaning(status), "status": status, "more_info": more }))
}
