//! Meta: the WhatsApp Cloud API.
//!
//! | limit | value | source |
//! |---|---|---|
//! | time to answer | not stated; third parties say 3 to 20 s | <https://socialhook.io/en/blog/whatsapp-webhook-setup-reference> |
//! | re-delivery | with growing pauses, up to 7 days; the same message may come twice | <https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks> |
//! | body | 3 MB | the same |
//! | answer | 200; a GET's is the challenge | <https://developers.facebook.com/docs/graph-api/webhooks/getting-started/> |
//! | message id | `wamid.` and base64 | <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages> |
//! | text we send | 4096 characters | <https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/text-messages> |
//!
//! One app has one URL for all of its numbers, so one POST may hold messages of several accounts, and statuses too:
//!
//! ```json
//! {"object":"whatsapp_business_account","entry":[{"id":"<WABA>","changes":[{"field":"messages","value":{
//!   "messaging_product":"whatsapp","metadata":{"display_phone_number":"12028831111","phone_number_id":"106540352242922"},
//!   "contacts":[{"profile":{"name":"Sheena Nelson"},"wa_id":"16505551234","user_id":"US.13491208655302741918"}],
//!   "messages":[{"from":"16505551234","id":"wamid.HBgL…","timestamp":"1789999999","type":"text",
//!                "text":{"body":"Hello agent"}}]}}]}]}
//! ```
//!
//! The URL is set up with a GET, which proves nothing but that its sender knows the verify token:
//! `?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=…`
//!
//! The signature covers the body's bytes and no time: a replay is stopped by the message id. Media come as ids, which
//! the Graph API exchanges for links that live five minutes.
//!
//! A text is sent so (<https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/text-messages>;
//! `recipient` in place of `to` for a user who shows no number), and answered 200 `{"messages":[{"id":"wamid.…"}],…}`, or
//! `{"error":{"message":"(#130429) Rate limit hit","type":"OAuthException","code":130429,"fbtrace_id":"…",…}}`. There is no
//! idempotency key. AWS End User Messaging Social takes the same body.
//!
//! ```text
//! POST https://graph.facebook.com/v25.0/106540352242922/messages      Bearer: access token
//! {"messaging_product":"whatsapp","recipient_type":"individual","text":{"body":"Hello","preview_url":false},
//!  "to":"16505551234","type":"text"}
//! ```

use std::borrow::Cow;

use aws_lc_rs::{constant_time, hmac};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::{
    choices::Prompt,
    error::{Error, Result},
    fields::Fields,
    json, mend,
    secret::Secret,
    sms::{
        contract::{Facts, Provider},
        event::{Event, Ignored},
        media::{File, FileUpload, MediaRequest, MediaSource, SendFile},
        message::{Channel, Media, Message},
        segments::Limit,
        send::{ApiCall, HttpRequest, Native, NotTaken, Outbound, Reason, Taken, code_at, misconfigured},
        signature::lower_hex,
        webhook::{Proof, Proved, Rejection, Webhook},
        whatsapp, whatsapp_menu,
    },
};

const SIGNATURE: &str = "x-hub-signature-256";
const SIGNATURE_PREFIX: &str = "sha256=";
const OBJECT: &str = "whatsapp_business_account";
/// Available until 29 July 2028: <https://developers.facebook.com/docs/graph-api/changelog>. v26.0 is the latest.
const API_VERSION: &str = "v25.0";
const HOST: &str = "https://graph.facebook.com";
/// Meta's own is a number; it comes back to whoever asked, so nothing but a short plain word does.
const CHALLENGE_LENGTH: usize = 128;

/// Meta sends up to 3 MB.
pub(super) const FACTS: Facts = Facts {
    max_body: 4 * 1024 * 1024,
    // Code 131050 is about marketing only.
    opt_outs_are_wishes: false,
    ..Facts::new("meta")
};

/// What a Meta app has.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Sign webhooks.
    pub app_secrets: Vec<Secret>,
    /// Proves a handshake; without it there is none.
    pub verify_token: Option<Secret>,
    /// Sends, and fetches media.
    pub access_token: Option<Secret>,
    /// Tells accounts of one app apart.
    pub phone_number_ids: Vec<String>,
}

impl Credentials {
    pub(super) fn read(fields: &Fields<'_>) -> Self {
        let credentials = Self {
            app_secrets: fields.secrets("app_secrets"),
            verify_token: fields.secret("verify_token"),
            access_token: fields.secret("access_token"),
            phone_number_ids: fields.texts("phone_number_ids").unwrap_or_default(),
        };
        fields.require_one_of(&["app_secrets"]);
        credentials
    }
}

impl Credentials {
    /// The request that sends this message.
    fn message(&self, outbound: &Outbound<'_>, message: &Value) -> Result<ApiCall> {
        self.post(outbound, "messages", message.to_string()).map(ApiCall::Http)
    }

    /// A request of our number's: the one that the customer wrote to, else the account's only one.
    fn post(&self, outbound: &Outbound<'_>, what: &str, body: String) -> Result<HttpRequest> {
        let token = self.access_token.as_ref().ok_or_else(|| misconfigured("access_token is missing"))?;
        let only = match self.phone_number_ids.as_slice() {
            [id] => Some(id.as_str()),
            _ => None,
        };
        let id =
            outbound.from_id.or(only).ok_or_else(|| misconfigured("which of phone_number_ids sends is not known"))?;
        if !is_id(id) {
            return Err(misconfigured("the number's id can't stand in a URL"));
        }
        let request = HttpRequest::json(HOST, format!("/{API_VERSION}/{id}/{what}"), &Value::Null);
        HttpRequest { body, ..request }.bearer(token.expose())
    }
}

impl Provider for Credentials {
    /// <https://developers.facebook.com/docs/graph-api/webhooks/getting-started/>: `sha256=` and hex of HMAC(app secret,
    /// body). Meta writes what is not ASCII as `\u00e4`, so only the bytes that came will do.
    fn verify(&self, webhook: &Webhook) -> Result<Proof, Rejection> {
        let proof = Proof { signed_at: None };
        if webhook.method == Method::GET {
            let handshake = Handshake::read(webhook)?;
            // None, too, may be a token that the owner has only just written.
            let token = self.verify_token.as_ref().ok_or(Rejection::Mismatch)?;
            return constant_time::verify_slices_are_equal(token.expose().as_bytes(), handshake.token.as_bytes())
                .map(|()| proof)
                .map_err(|_| Rejection::Mismatch);
        }
        let signature = webhook
            .header(SIGNATURE)?
            .strip_prefix(SIGNATURE_PREFIX)
            .and_then(lower_hex)
            .filter(|signature| !signature.is_empty())
            .ok_or(Rejection::Malformed)?;
        let is_made = self
            .app_secrets
            .iter()
            .map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes()))
            .any(|key| hmac::verify(&key, &webhook.body, &signature).is_ok());
        if is_made { Ok(proof) } else { Err(Rejection::Mismatch) }
    }

    /// <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages>
    fn parse(&self, proved: &Proved<'_>) -> Result<Vec<Event>> {
        let webhook = proved.webhook();
        if webhook.method == Method::GET {
            return Ok(vec![Event::Challenge(Handshake::read(webhook)?.challenge.into_owned())]);
        }
        let text = mend::json(&webhook.body);
        if !json::is_bounded(text.as_bytes()) {
            return Err(Error::invalid("body", "is nested too deep, has too long lists, or too many values"));
        }
        let body: Body<'_> = whatsapp::read(&text, "body")?;
        if body.object != OBJECT {
            return Ok(vec![Event::ignored(Ignored::Channel)]);
        }
        let entries: Vec<&RawValue> = whatsapp::read(body.entry.map_or("", RawValue::get), "entry")?;
        whatsapp::read_entries(&entries, "meta")
    }

    fn is_named(&self, _: &Proved<'_>, message: &Message) -> Option<bool> {
        if self.phone_number_ids.is_empty() {
            return None;
        }
        Some(self.phone_number_ids.contains(message.account.as_ref()?))
    }

    fn limit(&self, _: Channel) -> Limit {
        whatsapp::LIMIT
    }

    fn choices(&self, channel: Channel, prompt: &Prompt) -> Option<Native> {
        (channel == Channel::Whatsapp).then(|| whatsapp_menu::interactive(prompt)).flatten().map(Native::Instead)
    }

    /// The request that sends a text: from the number that the customer wrote to, else from the account's only one.
    fn request(&self, outbound: &Outbound<'_>) -> Result<ApiCall> {
        self.message(outbound, &whatsapp::message(outbound))
    }

    /// <https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media>: an id is good
    /// for 7 days, and the URL that it is exchanged for, which needs the token too, for 5 minutes.
    fn medium(&self, media: &Media, number_id: Option<&str>) -> Result<Option<MediaSource>> {
        let (Some(id), Some(token)) = (media.id.as_deref().filter(|id| is_id(id)), &self.access_token) else {
            return Ok(None);
        };
        let number = number_id.filter(|id| is_id(id)).map(|id| format!("?phone_number_id={id}")).unwrap_or_default();
        let request = MediaRequest::open(format!("{HOST}/{API_VERSION}/{id}{number}"))
            .at_hosts(["graph.facebook.com", "lookaside.fbsbx.com"])
            .authorized(&format!("Bearer {}", token.expose()));
        Ok(Some(MediaSource::Lookup(request)))
    }

    /// Uploaded, since Meta fetches a link whenever it comes to it.
    fn send_file(&self, outbound: &Outbound<'_>, file: &File<'_>) -> Result<SendFile> {
        let Some(id) = file.id else {
            return Ok(SendFile::Upload(FileUpload::Form {
                request: self.post(outbound, "media", String::new())?,
                fields: vec![("messaging_product", "whatsapp".to_owned()), ("type", file.content_type.to_owned())],
                file_field: "file",
                id_at: "/id",
            }));
        };
        self.message(outbound, &whatsapp::file_message(outbound, file, id)).map(SendFile::Call)
    }

    /// What the answer means, by the codes of
    /// <https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes>: "build your app's error
    /// handling logic around code values".
    fn read_answer(&self, status: StatusCode, body: &[u8]) -> Result<Taken, NotTaken> {
        NotTaken::read(status, code_at(body, "/error/code"), |code| match code {
            // "User's number has stopped marketing messages": a reply is none, but who gets this is not to be texted.
            "131050" => Some(Reason::OptedOut),
            // "API Too Many Calls", "Rate limit issues", "Rate limit hit", "Spam rate limit hit", "(Business Account,
            // Consumer Account) pair rate limit hit", "Account register deregister rate limit exceeded".
            "4" | "80007" | "130429" | "131048" | "133016" => Some(Reason::Throttled),
            // Between this sender and this customer.
            "131056" => Some(Reason::ThrottledHere),
            // "API Service" (down or overloaded), "Service unavailable", "Account in maintenance mode", "Server Temporarily
            // Unavailable".
            "2" | "131016" | "131057" | "133004" => Some(Reason::Unavailable),
            // "AuthException", "API Method" (capability or permissions), "Permission Denied", "Parameter value is not valid"
            // (the number was deleted), "Access token has expired", "Temporarily blocked for policies violations", "Access
            // denied", "Account has been locked", "Business eligibility payment issue", "Phone number not registered".
            "0" | "3" | "10" | "33" | "190" | "368" | "131005" | "131031" | "131042" | "133010" => {
                Some(Reason::Misconfigured)
            }
            // "API Permission": 200 to 299.
            code if code.len() == 3 && code.starts_with('2') => Some(Reason::Misconfigured),
            // "Re-engagement message": more than 24 hours after the customer's last.
            "131047" => Some(Reason::WindowClosed),
            _ => None,
        })
        .map(|()| Taken::at(body, "/messages/0/id"))
    }
}

/// What may stand in a path.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// What a GET asks.
struct Handshake<'a> {
    token: Cow<'a, str>,
    challenge: Cow<'a, str>,
}

impl<'a> Handshake<'a> {
    fn read(webhook: &'a Webhook) -> Result<Self, Rejection> {
        let query = webhook.query.as_deref().unwrap_or_default();
        let one = |name: &str| {
            let mut values =
                form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key == name).map(|(_, value)| value);
            let value = values.next().filter(|value| !value.is_empty()).ok_or(Rejection::Missing)?;
            if values.next().is_some() { Err(Rejection::Malformed) } else { Ok(value) }
        };
        let (mode, token, challenge) = (one("hub.mode")?, one("hub.verify_token")?, one("hub.challenge")?);
        let is_plain = challenge.len() <= CHALLENGE_LENGTH
            && challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
        if mode == "subscribe" && is_plain { Ok(Self { token, challenge }) } else { Err(Rejection::Malformed) }
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    object: String,
    #[serde(borrow)]
    entry: Option<&'a RawValue>,
}

#[cfg(test)]
mod tests;
