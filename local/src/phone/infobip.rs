//! Infobip.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    contract::{Answer, Call, CustomerText, Post, Provider, SendRequest, Signature, authorised, meaning},
    text::e164,
    text::{Channel, digits, segments},
};

pub(super) struct Infobip;

impl Provider for Infobip {
    fn name(&self) -> &'static str {
        "infobip"
    }

    fn title(&self) -> &'static str {
        "Infobip"
    }

    fn channels(&self) -> &'static [Channel] {
        &[Channel::Sms]
    }

    /// <https://www.infobip.com/docs/api/channels/sms/inbound-sms/receive-inbound-sms-messages>
    fn bodies(&self, text: &CustomerText<'_>) -> Result<Vec<String>, String> {
        let keyword = text.text.split_whitespace().next().unwrap_or_default().to_uppercase();
        // No colon in its offset.
        let time = format!("{:.3}", text.now).replace('Z', "+0000");
        let item = json!({
            "messageId": self.message_id(), "from": digits(&text.from), "to": digits(&text.to), "text": text.text,
            "cleanText": text.text, "keyword": keyword, "receivedAt": time,
            "smsCount": segments(text.channel, text.text), "price": { "pricePerMessage": 0, "currency": "EUR" },
        });
        Ok(vec![json!({ "results": [item], "messageCount": 1, "pendingMessageCount": 0 }).to_string()])
    }

    /// Nothing is signed: the profile of a subscription has a name and a password.
    fn sign(&self, post: Post<'_>) -> Result<Signature, String> {
        let user = post.account.text("username").ok_or("the account has no username")?;
        let password = post.account.current("passwords")?;
        let credentials = BASE64_STANDARD.encode(format!("{user}:{password}"));
        Ok(post.with_header("authorization", format!("Basic {credentials}")))
    }

    fn read(&self, call: &Call<'_>) -> Result<SendRequest, u16> {
        call.at("/sms/3/messages")?;
        let key = call.account.text("api_key");
        authorised(key.is_some_and(|key| call.authorization() == format!("App {key}")))?;
        let body = call.json();
        let field = |place: &str| body.pointer(place).and_then(Value::as_str).map(str::to_owned).ok_or(400_u16);
        let from = field("/messages/0/sender")?;
        Ok(SendRequest {
            business: e164(&from),
            from,
            to: field("/messages/0/destinations/0/to")?,
            text: field("/messages/0/content/text")?,
            choices: Vec::new(),
            channel: Channel::Sms,
        })
    }

    /// A number of 18 digits.
    fn look(&self, call: &Call<'_>, _: &str) -> Result<Value, u16> {
        call.at("/account/1/balance")?;
        let key = call.account.text("api_key");
        authorised(key.is_some_and(|key| call.authorization() == format!("App {key}")))?;
        Ok(json!({ "balance": 12.5, "currency": "EUR" }))
    }

    fn message_id(&self) -> String {
        format!("{:018}", Timestamp::now().as_nanosecond() % 1_000_000_000_000_000_000)
    }

    fn taken(&self, request: &SendRequest, id: &str) -> Answer {
        let status = json!({ "groupId": 1, "groupName": "PENDING", "id": 26, "name": "PENDING_ACCEPTED",
                             "description": "Message sent to next instance" });
        Answer::json(200, json!({ "messages": [{ "messageId": id, "status": status, "destination": request.to }] }))
    }

    fn refused(&self, _: &Call<'_>, status: u16) -> Answer {
        let code = format!("E{status}");
        let error = json!({ "errorCode": code, "description": meaning(status), "action": "", "violations": [], "resources": [] });
        Answer::json(status, error)
    }
}
