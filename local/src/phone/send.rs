//! The providers' send APIs, as far as `send-reply` uses them: the account's credentials are checked, a text reaches the
//! phone, and answers and errors have the provider's form. Sources: the head of each `shared/src/sms/<provider>.rs`.

use aws_lc_rs::{
    encoding::AsDer as _,
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey},
};
use axum::http::{HeaderMap, Method, header::AUTHORIZATION};
use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Channel, Text,
    account::{Account, Provider},
    e164, segments,
    webhook::der,
};

/// A call of the send API.
pub(super) struct Call<'a> {
    pub(super) account: &'a Account,
    pub(super) method: &'a Method,
    /// Below the account's `send_base_url`.
    pub(super) path: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// Status, headers and body.
pub(super) type Answer = (u16, Vec<(&'static str, String)>, Value);

/// What a call asks for.
struct Order {
    from: String,
    to: String,
    text: String,
    channel: Channel,
}

impl Call<'_> {
    /// The text, if it is one, and the answer.
    pub(super) fn answer(&self) -> (Option<Text>, Answer) {
        let order = match self.order() {
            Ok(order) => order,
            Err(status) => return (None, self.refused(status)),
        };
        let (id, answer) = self.accepted(&order);
        let text = Text {
            id,
            account: self.account.name.clone(),
            channel: order.channel,
            from_phone: false,
            phone: e164(&order.to),
            business: e164(&order.from),
            segments: segments(order.channel, &order.text),
            text: order.text,
            status: None,
            time: format!("{:.3}", Timestamp::now()),
            changed: 0,
        };
        (Some(text), answer)
    }

    /// What the call asks for, or the status of why not.
    fn order(&self) -> Result<Order, u16> {
        if self.method != Method::POST {
            return Err(405);
        }
        let account = self.account;
        let (order, is_known) = match account.provider {
            Provider::Twilio => {
                let sid = account.text("account_sid").unwrap_or_default();
                self.at(&format!("/2010-04-01/Accounts/{sid}/Messages.json"))?;
                let api_key = (account.text("api_key_sid"), account.text("api_key_secret"));
                let is_known = account.list("auth_tokens").iter().any(|token| self.is_basic(sid, token))
                    || matches!(api_key, (Some(key), Some(secret)) if self.is_basic(key, secret));
                (self.twilio(), is_known)
            }
            Provider::Signalwire => {
                let project = account.text("project_id").unwrap_or_default();
                self.at(&format!("/api/laml/2010-04-01/Accounts/{project}/Messages.json"))?;
                (self.twilio(), account.text("api_token").is_some_and(|token| self.is_basic(project, token)))
            }
            Provider::Telnyx => {
                self.at("/v2/messages")?;
                let body = self.json();
                (order(&body, ["from", "to", "text"], Channel::Sms), self.is_bearer("api_key"))
            }
            Provider::Vonage => {
                self.at("/sms/json")?;
                let body = if self.body.starts_with(b"{") { self.json() } else { self.form() };
                let is =
                    |name: &str| account.text(name).is_some_and(|known| body.get(name).is_some_and(|v| v == known));
                (order(&body, ["from", "to", "text"], Channel::Sms), is("api_key") && is("api_secret"))
            }
            Provider::VonageMessages => {
                self.at("/v1/messages")?;
                let body = self.json();
                let channel =
                    if body.get("channel").is_some_and(|c| c == "whatsapp") { Channel::Whatsapp } else { Channel::Sms };
                (order(&body, ["from", "to", "text"], channel), self.is_vonage_token())
            }
            Provider::Meta => {
                let id =
                    self.path.strip_suffix("/messages").and_then(|path| path.rsplit('/').next()).unwrap_or_default();
                // Any version of the API: `/v25.0/{phone_number_id}/messages`.
                if self.path.split('/').count() != 4 || !account.list("phone_number_ids").contains(&id) {
                    return Err(404);
                }
                (whatsapp(&self.json(), id), self.is_bearer("access_token"))
            }
            Provider::AwsSns => (self.aws()?, self.authorization().starts_with("AWS4-HMAC-SHA256 Credential=")),
        };
        match order {
            _ if !is_known => Err(401),
            Some(order) if !order.text.trim().is_empty() && !order.to.is_empty() && !order.from.is_empty() => Ok(order),
            _ => Err(400),
        }
    }

    fn twilio(&self) -> Option<Order> {
        let body = self.form();
        let is_whatsapp = body.get("To").and_then(Value::as_str).is_some_and(|to| to.starts_with("whatsapp:"));
        order(&body, ["From", "To", "Body"], if is_whatsapp { Channel::Whatsapp } else { Channel::Sms })
    }

    /// `SendTextMessage` (JSON 1.0), or `SendWhatsAppMessage` (REST JSON), whose message is Meta's in base64.
    fn aws(&self) -> Result<Option<Order>, u16> {
        let body = self.json();
        if self.path == "/v1/whatsapp/send" {
            let id = body.get("originationPhoneNumberId").and_then(Value::as_str).unwrap_or_default();
            let message =
                body.get("message").and_then(Value::as_str).and_then(|text| BASE64_STANDARD.decode(text).ok());
            let message: Option<Value> = message.and_then(|bytes| serde_json::from_slice(&bytes).ok());
            return Ok(message.and_then(|message| whatsapp(&message, id)));
        }
        self.at("/")?;
        match self.header("x-amz-target") {
            "PinpointSMSVoiceV2.SendTextMessage" => {
                Ok(order(&body, ["OriginationIdentity", "DestinationPhoneNumber", "MessageBody"], Channel::Sms))
            }
            _ => Err(404),
        }
    }

    fn accepted(&self, order: &Order) -> (String, Answer) {
        let uuid = Uuid::new_v4();
        let id = match self.account.provider {
            Provider::Twilio => format!("SM{}", uuid.simple()),
            Provider::Vonage => format!("{:016X}", uuid.as_u128() >> 64),
            Provider::Meta => format!("wamid.{}", BASE64_STANDARD.encode(uuid.as_bytes())),
            Provider::Signalwire | Provider::Telnyx | Provider::VonageMessages | Provider::AwsSns => uuid.to_string(),
        };
        let parts = segments(order.channel, &order.text);
        let (status, body) = match self.account.provider {
            Provider::Twilio | Provider::Signalwire => (
                201,
                json!({ "sid": id, "status": "queued", "direction": "outbound-api", "num_segments": parts.to_string(),
                        "from": order.from, "to": order.to, "error_code": null, "error_message": null }),
            ),
            Provider::Telnyx => (
                200,
                json!({ "data": { "id": id, "record_type": "message", "direction": "outbound", "parts": parts,
                                  "to": [{ "phone_number": order.to, "status": "queued" }], "errors": [] } }),
            ),
            Provider::Vonage => {
                let message = json!({ "to": order.to, "message-id": id, "status": "0", "remaining-balance": "3.14",
                                      "message-price": "0.03", "network": "12345" });
                let messages = vec![message; parts];
                (200, json!({ "message-count": parts.to_string(), "messages": messages }))
            }
            Provider::VonageMessages => (202, json!({ "message_uuid": id })),
            Provider::Meta => (
                200,
                json!({ "messaging_product": "whatsapp", "contacts": [{ "input": order.to, "wa_id": order.to }],
                        "messages": [{ "id": id }] }),
            ),
            Provider::AwsSns if order.channel == Channel::Whatsapp => (200, json!({ "messageId": id })),
            Provider::AwsSns => (200, json!({ "MessageId": id })),
        };
        (id, (status, self.content_type(), body))
    }

    /// The provider's answer of this status to a call that it did not carry out.
    pub(super) fn refused(&self, status: u16) -> Answer {
        let mut headers = self.content_type();
        if status == 429 {
            headers.push(("retry-after", "1".to_owned()));
        }
        let words = match status {
            400 => "Bad request",
            401 => "Authenticate",
            404 => "Not found",
            405 => "Method not allowed",
            429 => "Too many requests",
            _ => "Internal error",
        };
        let mut answered = status;
        let body = match self.account.provider {
            // Twilio's own codes are 20000 and the status, but for a bad request and for credentials.
            Provider::Twilio | Provider::Signalwire => {
                let code = match status {
                    400 => 21_602,
                    401 => 20_003,
                    status => 20_000 + u32::from(status),
                };
                json!({ "code": code, "message": words, "status": status,
                        "more_info": format!("https://www.twilio.com/docs/errors/{code}") })
            }
            Provider::Telnyx => {
                let code = match status {
                    400 => "10015",
                    401 => "10009",
                    404 => "10005",
                    429 => "10011",
                    _ => "10007",
                };
                json!({ "errors": [{ "code": code, "title": words, "detail": words }] })
            }
            // It answers 200, whatever went wrong in a request that it could read.
            Provider::Vonage => {
                let code = match status {
                    400 => Some(("2", "Missing parameters")),
                    401 => Some(("4", "Invalid credentials")),
                    429 => Some(("1", "Throughput Rate Exceeded - please wait [ 1000 ] and retry")),
                    _ => None,
                };
                match code {
                    Some((code, text)) => {
                        answered = 200;
                        json!({ "message-count": "1", "messages": [{ "status": code, "error-text": text }] })
                    }
                    None => json!({ "error": words }),
                }
            }
            Provider::VonageMessages => {
                let code = match status {
                    400 => "1150",
                    401 => "1120",
                    429 => "1020",
                    _ => "1000",
                };
                json!({ "type": format!("https://developer.vonage.com/api-errors/messages#{code}"), "title": words,
                        "detail": words, "instance": Uuid::new_v4().to_string() })
            }
            Provider::Meta => {
                let code = match status {
                    400 | 404 => 100,
                    401 => 190,
                    429 => 130_429,
                    _ => 131_000,
                };
                json!({ "error": { "message": words, "type": "OAuthException", "code": code, "fbtrace_id": "A0000000000" } })
            }
            Provider::AwsSns => {
                let is_social = self.path == "/v1/whatsapp/send";
                let kind = match (status, is_social) {
                    (400, _) => "ValidationException",
                    (401, _) => {
                        answered = 403;
                        "AccessDeniedException"
                    }
                    (404, _) => "ResourceNotFoundException",
                    (429, true) => "ThrottledRequestException",
                    (429, false) => "ThrottlingException",
                    (_, true) => "InternalServiceException",
                    (_, false) => "InternalServerException",
                };
                headers.push(("x-amzn-errortype", kind.to_owned()));
                json!({ "__type": kind, "message": words, "Message": words })
            }
        };
        (answered, headers, body)
    }

    fn content_type(&self) -> Vec<(&'static str, String)> {
        let content_type = match self.account.provider {
            Provider::AwsSns if self.path == "/" => "application/x-amz-json-1.0",
            _ => "application/json",
        };
        vec![("content-type", content_type.to_owned())]
    }

    fn at(&self, path: &str) -> Result<(), u16> {
        if self.path == path { Ok(()) } else { Err(404) }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn authorization(&self) -> &str {
        self.header(AUTHORIZATION.as_str())
    }

    fn is_basic(&self, user: &str, password: &str) -> bool {
        self.authorization() == format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")))
    }

    fn is_bearer(&self, field: &str) -> bool {
        self.account.text(field).is_some_and(|token| self.authorization() == format!("Bearer {token}"))
    }

    /// A JWT of the application's, made with its private key.
    /// <https://developer.vonage.com/en/getting-started/concepts/authentication>
    fn is_vonage_token(&self) -> bool {
        let Some(token) = self.authorization().strip_prefix("Bearer ") else { return false };
        let Some((signed, signature)) = token.rsplit_once('.') else { return false };
        let part = |index: usize| {
            let decoded = BASE64_URL_SAFE_NO_PAD.decode(signed.split('.').nth(index)?).ok()?;
            serde_json::from_slice::<Value>(&decoded).ok()
        };
        let claims = part(1).unwrap_or_default();
        let key = self.account.text("private_key").and_then(|pem| RsaKeyPair::from_pkcs8(&der(pem).ok()?).ok());
        let public = key.and_then(|key| Some(key.public_key().as_der().ok()?.as_ref().to_vec()));
        let is_signed = public.is_some_and(|public| {
            let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
            let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
            key.verify(signed.as_bytes(), &signature).is_ok()
        });
        let now = Timestamp::now().as_second();
        let seconds = |name: &str| claims.get(name).and_then(Value::as_i64);
        is_signed
            && part(0).is_some_and(|header| header.get("alg").is_some_and(|algorithm| algorithm == "RS256"))
            && claims.get("application_id").and_then(Value::as_str) == self.account.text("application_id")
            && claims.get("jti").is_some_and(Value::is_string)
            && seconds("iat").is_some_and(|at| at <= now + 60)
            && seconds("exp").is_none_or(|until| until > now)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(self.body).unwrap_or_default()
    }

    fn form(&self) -> Value {
        form_urlencoded::parse(self.body)
            .map(|(name, value)| (name.into_owned(), json!(value)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

fn order(body: &Value, [from, to, text]: [&str; 3], channel: Channel) -> Option<Order> {
    let field = |name: &str| Some(body.get(name)?.as_str()?.to_owned());
    Some(Order { from: field(from)?, to: field(to)?, text: field(text)?, channel })
}

/// Meta's message: `to` is a number, `recipient` a user who shows none.
fn whatsapp(message: &Value, from: &str) -> Option<Order> {
    let is_text = message.get("messaging_product")? == "whatsapp" && message.get("type")? == "text";
    let to = message.get("to").or_else(|| message.get("recipient"))?.as_str()?.to_owned();
    let text = message.pointer("/text/body")?.as_str()?.to_owned();
    is_text.then(|| Order { from: from.to_owned(), to, text, channel: Channel::Whatsapp })
}
