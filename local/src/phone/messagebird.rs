//! MessageBird's classic API.

use aws_lc_rs::digest;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    contract::{Answer, Call, CustomerText, FORM, Post, Provider, SendRequest, Signature, authorised, meaning},
    keys::sha256,
    text::e164,
    text::{Channel, digits},
};

/// How long a token is valid, in seconds.
const VALIDITY: i64 = 60;

pub(super) struct Messagebird;

impl Provider for Messagebird {
    fn name(&self) -> &'static str {
        "messagebird"
    }

    fn title(&self) -> &'static str {
        "MessageBird"
    }

    fn channels(&self) -> &'static [Channel] {
        &[Channel::Sms]
    }

    fn content_type(&self) -> &'static str {
        FORM
    }

    fn bodies(&self, text: &CustomerText<'_>) -> Result<Vec<String>, String> {
        let time = format!("{:.0}", text.now).replace('Z', "+00:00");
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("id", &self.message_id())
            .append_pair("recipient", digits(&text.to))
            .append_pair("originator", digits(&text.from))
            .append_pair("body", text.text)
            .append_pair("createdDatetime", &time)
            .finish();
        Ok(vec![body])
    }

    /// A JWT that holds the hashes of the URL and the body. <https://developers.messagebird.com/api/#verifying-http-requests>
    fn sign(&self, post: Post<'_>) -> Result<Signature, String> {
        let key = post.account.current("signing_keys")?;
        let hash = |content: &str| hex::encode(digest::digest(&digest::SHA256, content.as_bytes()));
        let now = post.now.as_second();
        let claims = json!({
            "iss": "MessageBird", "nbf": now, "iat": now, "exp": now + VALIDITY, "jti": Uuid::new_v4().to_string(),
            "url_hash": hash(post.url), "payload_hash": hash(&post.body),
        });
        let [header, claims] = [json!({ "alg": "HS256", "typ": "JWT" }), claims]
            .map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{header}.{claims}");
        let signature = BASE64_URL_SAFE_NO_PAD.encode(sha256(key, &signed));
        Ok(post.with_header("messagebird-signature-jwt", format!("{signed}.{signature}")))
    }

    fn read(&self, call: &Call<'_>) -> Result<SendRequest, u16> {
        call.at("/messages")?;
        authorised(is_access_key(call))?;
        let body = call.json();
        let field = |place: &str| body.pointer(place).and_then(Value::as_str).map(str::to_owned).ok_or(400_u16);
        let from = field("/originator")?;
        Ok(SendRequest {
            business: e164(&from),
            from,
            to: field("/recipients/0")?,
            text: field("/body")?,
            choices: Vec::new(),
            channel: Channel::Sms,
        })
    }

    fn look(&self, call: &Call<'_>, _: &str) -> Result<Value, u16> {
        call.at("/balance")?;
        authorised(is_access_key(call))?;
        Ok(json!({ "payment": "prepaid", "type": "euros", "amount": 12.5 }))
    }

    fn message_id(&self) -> String {
        Uuid::new_v4().simple().to_string()
    }

    fn taken(&self, request: &SendRequest, id: &str) -> Answer {
        let href = format!("https://rest.messagebird.com/messages/{id}");
        let recipient = json!({ "recipient": request.to, "status": "sent" });
        Answer::json(
            201,
            json!({ "id": id, "href": href, "direction": "mt", "type": "sms", "originator": request.from,
                    "recipients": { "totalCount": 1, "totalSentCount": 1, "items": [recipient] } }),
        )
    }

    fn refused(&self, _: &Call<'_>, status: u16) -> Answer {
        let code = match status {
            400 => 9,
            401 => 2,
            404 => 20,
            405 => 98,
            _ => 99,
        };
        let error = json!({ "code": code, "description": meaning(status), "parameter": null });
        Answer::json(status, json!({ "errors": [error] }))
    }
}

/// The access key of the settings, as MessageBird and Bird want it.
pub(super) fn is_access_key(call: &Call<'_>) -> bool {
    call.account.text("access_key").is_some_and(|key| call.authorization() == format!("AccessKey {key}"))
}
