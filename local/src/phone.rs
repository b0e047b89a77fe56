//! A telephone, and the providers between it and the bridge: texts from it become signed webhooks ([`webhook`]), and
//! texts to it come in by the providers' send APIs ([`send`]).
//!
//! The accounts are those of the bridge's own settings document. Each one's send API is at `/_phone/<account>`, its
//! `send_base_url`.

mod account;
mod send;
mod webhook;

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{ConnectInfo, Path, Request, State as Shared},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::any,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use self::account::Account;
pub use self::webhook::Signed;
use crate::{
    Bridge,
    connection::Peer,
    fault::{Effect, Fault},
    operation::Operation,
    server::{self, MAX_BODY, Service},
    state::Versions,
};

/// No provider is this patient (Twilio's 15 s are the most), but none has to wait until the function is built.
const WEBHOOK: Duration = Duration::from_secs(60);

/// How a text travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// SMS.
    #[default]
    Sms,
    /// WhatsApp.
    Whatsapp,
}

/// What someone writes on the phone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Writing {
    /// The account whose number it goes to, by its name in the settings.
    pub account: String,
    /// SMS where the account has it, unless said otherwise.
    pub channel: Option<Channel>,
    /// The phone's number.
    pub from: String,
    /// The account's number.
    pub to: String,
    /// The text.
    pub text: String,
}

/// A text that came to the phone or went from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Text {
    /// The provider's id of it.
    pub id: String,
    /// The account it went through.
    pub account: String,
    /// How it travelled.
    pub channel: Channel,
    /// The phone wrote it.
    pub from_phone: bool,
    /// The phone's number.
    pub phone: String,
    /// The account's number, or its id at Meta.
    pub business: String,
    /// The text.
    pub text: String,
    /// How many SMS it takes (3GPP TS 23.038: 160 or 153 septets, 70 or 67 UCS-2 units); 1 on WhatsApp.
    pub segments: usize,
    /// What the bridge answered to a webhook; `None`: nothing yet; 0: nothing, and nothing will come.
    pub status: Option<u16>,
    /// When.
    pub time: String,
    #[serde(skip)]
    changed: u64,
}

/// Accounts and texts.
#[derive(Debug)]
pub(crate) struct Phone {
    bridge: Option<Bridge>,
    accounts: Vec<Account>,
    texts: Vec<Text>,
    versions: Versions,
}

impl Phone {
    pub(crate) fn new(bridge: Option<Bridge>, versions: Versions) -> Self {
        let accounts = bridge.as_ref().map(|bridge| Account::all(&bridge.settings)).unwrap_or_default();
        Self { bridge, accounts, texts: Vec::new(), versions }
    }

    /// What the page asks first: where the bridge is, and which accounts there are.
    pub(crate) fn described(&self) -> Value {
        let accounts: Vec<_> = self.accounts.iter().map(Account::described).collect();
        json!({ "functions": self.bridge.as_ref().map(|bridge| &bridge.functions), "accounts": accounts })
    }

    pub(crate) fn texts(&self) -> &[Text] {
        &self.texts
    }

    pub(crate) fn changed_since(&self, version: u64) -> Vec<Text> {
        self.texts.iter().filter(|text| text.changed > version).cloned().collect()
    }

    pub(crate) fn forget(&mut self) {
        self.texts.clear();
    }

    /// The webhooks of a text: one, or one for each part where the provider leaves joining to us.
    pub(crate) fn write(&self, writing: &Writing) -> Result<Vec<Signed>, String> {
        let bridge = self.bridge.as_ref().ok_or("the stand-in was not told of a bridge")?;
        let account = self.account(&writing.account)?;
        let channel = account.channel(writing.channel)?;
        if writing.text.trim().is_empty() {
            return Err("the text is empty".to_owned());
        }
        for (name, number) in [("from", &writing.from), ("to", &writing.to)] {
            let digits = number.strip_prefix('+').unwrap_or(number);
            // No country's code begins with a 0: that is how numbers are dialled inside a country.
            let is_number = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
            if !(3..=15).contains(&digits.len()) || !is_number {
                return Err(format!("{name} must be a telephone number with its country's code, such as +14155550123"));
            }
        }
        webhook::make(account, channel, writing, &bridge.public_base_url, Timestamp::now())
    }

    fn account(&self, name: &str) -> Result<&Account, String> {
        self.accounts.iter().find(|account| account.name == name).ok_or_else(|| "there is no such account".to_owned())
    }

    fn keep(&mut self, mut text: Text) {
        text.changed = self.versions.next();
        self.texts.push(text);
    }

    fn answered(&mut self, id: &str, status: u16) {
        let version = self.versions.next();
        if let Some(text) = self.texts.iter_mut().rev().find(|text| text.id == id) {
            text.status = Some(status);
            text.changed = version;
        }
    }
}

/// Writes a text: its webhooks are posted to the bridge. The answer to the last one, or to the first that failed.
pub(crate) async fn post(service: &Service, writing: Writing) -> Result<Value, String> {
    let (webhooks, functions, id) = {
        let mut phone = service.phone();
        let webhooks = phone.write(&writing)?;
        let functions = phone.bridge.as_ref().map(|bridge| bridge.functions.clone()).unwrap_or_default();
        let channel = phone.account(&writing.account)?.channel(writing.channel)?;
        let id = Uuid::new_v4().to_string();
        phone.keep(Text {
            id: id.clone(),
            segments: segments(channel, &writing.text),
            account: writing.account,
            channel,
            from_phone: true,
            phone: e164(&writing.from),
            business: e164(&writing.to),
            text: writing.text,
            status: None,
            time: format!("{:.3}", Timestamp::now()),
            changed: 0,
        });
        (webhooks, functions, id)
    };
    let mut answer = json!({});
    for webhook in webhooks {
        let request = service.http().post(format!("{functions}{}", webhook.path)).timeout(WEBHOOK);
        let request = webhook.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let response = request.body(webhook.body).send().await.map_err(|error| {
            service.phone().answered(&id, 0);
            format!("the bridge can't be reached: {}", server::innermost(&error))
        })?;
        let status = response.status();
        let body = response.text().await.unwrap_or_default();
        service.phone().answered(&id, status.as_u16());
        answer = json!({ "id": id, "status": status.as_u16(), "body": body });
        if !status.is_success() {
            break;
        }
    }
    Ok(answer)
}

pub(crate) fn router() -> Router<Arc<Service>> {
    Router::new()
        .route("/_phone/{account}", any(send_api))
        .route("/_phone/{account}/", any(send_api))
        .route("/_phone/{account}/{*path}", any(send_api))
}

/// A call of any account's send API: record, fault plan, text.
async fn send_api(
    Shared(service): Shared<Arc<Service>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(path): Path<Vec<(String, String)>>,
    request: Request,
) -> Response {
    let part =
        |name: &str| path.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap_or_default();
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let Ok(account) = service.phone().account(&part("account")).cloned() else {
        return (StatusCode::NOT_FOUND, Json(json!({ "error": "there is no such account" }))).into_response();
    };
    let fault = service.take_fault(Operation::SendText);
    let number = service.record().begin(server::call(Some(Operation::SendText), &parts, &body, &peer, fault.as_ref()));
    let fault = fault.unwrap_or_else(|| Fault::delay(Duration::ZERO));
    tokio::select! {
        () = tokio::time::sleep(fault.wait()) => (),
        () = service.stopped() => return server::reset(&peer),
    }
    let path = format!("/{}", part("path"));
    let call =
        send::Call { account: &account, method: &parts.method, path: &path, headers: &parts.headers, body: &body };
    let answer = fault.takes_effect().then(|| {
        let (text, answer) = call.answer();
        if let Some(text) = text {
            service.phone().keep(text);
        }
        answer
    });
    let (status, headers, body) = match (fault.effect(), answer) {
        (Effect::Pass, Some(answer)) => answer,
        (Effect::Error(error), _) => call.refused(error.status),
        (Effect::Reset, _) => return server::reset(&peer),
        (Effect::Pass, None) | (Effect::Hang, _) => {
            service.stopped().await;
            return server::reset(&peer);
        }
    };
    service.record().answered(number, status, None);
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// `+14155550123` of whatever the providers make of it: `14155550123`, `whatsapp:+14155550123`. Others stay as they are.
fn e164(address: &str) -> String {
    let bare = address.trim().strip_prefix("whatsapp:").unwrap_or(address.trim());
    let is_number = bare.len() > 6 && bare.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { format!("+{bare}") } else { bare.to_owned() }
}

/// How many SMS a text takes.
fn segments(channel: Channel, text: &str) -> usize {
    if channel == Channel::Whatsapp {
        return 1;
    }
    let (units, alone, joined) = match text.chars().map(septets).sum::<Option<usize>>() {
        Some(septets) => (septets, 160, 153),
        None => (text.encode_utf16().count(), 70, 67),
    };
    if units <= alone { 1 } else { units.div_ceil(joined) }
}

/// The septets of a character of GSM-7 (3GPP TS 23.038, 6.2.1).
fn septets(character: char) -> Option<usize> {
    const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿\
                         abcdefghijklmnopqrstuvwxyzäöñüà";
    const EXTENDED: &str = "\u{c}^{}\\[~]|€";
    if BASIC.contains(character) { Some(1) } else { EXTENDED.contains(character).then_some(2) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_text() {
        let of = |text: &str| segments(Channel::Sms, text);
        assert_eq!((of("a"), of(&"a".repeat(160)), of(&"a".repeat(161)), of(&"a".repeat(307))), (1, 1, 2, 3));
        assert_eq!((of(&"€".repeat(80)), of(&"€".repeat(81))), (1, 2));
        assert_eq!((of(&"😀".repeat(35)), of(&"😀".repeat(36)), of("ç")), (1, 2, 1));
        assert_eq!(segments(Channel::Whatsapp, &"a".repeat(4000)), 1);
    }

    #[test]
    fn numbers_are_told_apart_from_other_addresses() {
        for (address, expected) in [
            ("14155550123", "+14155550123"),
            ("+14155550123", "+14155550123"),
            ("whatsapp:+14155550123", "+14155550123"),
            ("whatsapp:US.1349", "US.1349"),
            ("12345", "12345"),
        ] {
            assert_eq!(e164(address), expected);
        }
    }
}
