//! A customer's message on its way from the webhook to Connect: what stands in the queue.

use crate::{
    digest::hash,
    error::{Error, Kind, Result},
    json,
    settings::Account,
    sms::{
        message::{Act, FromKind, Message, OptOut},
        number::Number,
        providers::ProviderId,
    },
};
use serde::{Deserialize, Serialize};

/// The version of the item's shape.
pub(crate) const VERSION: u8 = 1;

/// No webhook names a customer by more ids.
const IDS: usize = 6;

/// One message with all that its delivery needs: `deliver-message` reads no settings. Not `Debug`: it holds what a
/// customer wrote.
#[derive(Clone, Deserialize, Serialize)]
pub struct Inbound {
    v: u8,
    /// The account's name in the settings.
    pub account: String,
    /// The account's provider, as in the settings: the message's own `provider` is the payload's word.
    pub provider: ProviderId,
    /// The message.
    pub message: Message,
    /// What the settings say of our address.
    #[serde(default, skip_serializing_if = "Number::is_empty")]
    pub number: Number,
    /// Hash of what the provider signed for this message only, where its signature leaves the body out: it must not come
    /// with another message (see [`Message::signed_once`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once: Option<String>,
    /// What replies are sent from, where that is not our address: see [`Message::reply_from`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_from: Option<String>,
}

impl Inbound {
    /// A message that the account's secret has proved.
    pub fn new(account: &Account, mut message: Message) -> Self {
        let number = account.number(&message.to).cloned().unwrap_or_default();
        let provider = account.provider();
        Self {
            v: VERSION,
            account: account.name.clone(),
            provider,
            number,
            once: message.signed_once.take().map(|nonce| once(provider, &nonce)),
            reply_from: message.reply_from.clone(),
            message,
        }
    }

    /// The text of a queue item.
    pub fn to_item(&self) -> Result<String> {
        serde_json::to_string(self).map_err(Error::internal)
    }

    /// Reads a queue item. The error repeats nothing of it.
    pub fn from_item(item: &str) -> Result<Self> {
        let mut item: Self = json::parse(item.as_bytes())
            .map_err(|_| Error::new(Kind::Validation, "The queue item is no message of this bridge"))?;
        item.message.reply_from.clone_from(&item.reply_from);
        match item.v {
            VERSION => Ok(item),
            _ => Err(Error::new(Kind::Validation, "The queue item is of another version of the bridge")),
        }
    }

    /// One customer at one of our addresses, whose messages stay in order. The account's name is not part of it: an owner may
    /// change that, and conversations and opt-outs must outlive the change.
    pub fn group_id(&self) -> String {
        self.group_of(self.customer())
    }

    /// The groups of all ids by which the webhook names the customer: [`Self::group_id`] first, each once.
    pub fn group_ids(&self) -> Vec<String> {
        let mut groups = vec![self.group_id()];
        for id in self.ids().take(IDS) {
            let group = self.group_of(id);
            if !groups.contains(&group) {
                groups.push(group);
            }
        }
        groups
    }

    /// WhatsApp's id of the user, where the webhook names it: a number may be shown or not. Else the address.
    fn customer(&self) -> &str {
        let user_id = self.ids().find(|id| FromKind::of(id) == Some(FromKind::Bsuid));
        user_id.unwrap_or(&self.message.from)
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        let others = self.message.alt_ids.iter().flatten();
        std::iter::once(&self.message.from).chain(others).map(String::as_str)
    }

    fn group_of(&self, customer: &str) -> String {
        hash(&[self.provider.as_str(), &self.message.to, customer])
    }

    /// The FIFO queue's `MessageGroupId`: the customer's group, or beside it that of the customer's opt-outs, which must not
    /// wait behind earlier messages.
    pub fn queue_group_id(&self) -> String {
        match self.message.opt_out {
            Some(OptOut::Stop | OptOut::Start) => hash(&["opt-out", &self.group_id()]),
            Some(OptOut::Help) | None => self.group_id(),
        }
    }

    /// The FIFO queue's `MessageDeduplicationId`, and what every other token of this message is derived from: the
    /// provider's id of it. An event's or delivery's id would differ between two deliveries of one message.
    pub fn deduplication_id(&self) -> String {
        let mut parts = vec![self.provider.as_str(), &self.message.to, &self.message.message_id];
        // Named by other ids than messages are, which may be the same.
        parts.extend(self.message.act.map(Act::as_str));
        hash(&parts)
    }

    /// A `ClientToken` of Connect for one purpose: the same whenever the message is delivered again.
    pub fn client_token(&self, purpose: &[&str]) -> String {
        let id = [self.provider.as_str(), &self.message.to, &self.message.message_id];
        hash(&[&id, purpose].concat())
    }

    /// Which set of parts this message belongs to: the same for all of them, and for no other customer's. `None` where it
    /// is whole.
    pub fn parts_key(&self) -> Option<String> {
        let concat = self.message.concat.as_ref().filter(|concat| concat.total > 1)?;
        Some(hash(&[&self.group_id(), &concat.reference, &concat.total.to_string()]))
    }
}

/// Of a nonce, which a provider uses once, whichever account the message is for. A repeat of the message may carry it again;
/// another message that does is a forgery.
pub(crate) fn once(provider: ProviderId, nonce: &str) -> String {
    hash(&[provider.as_str(), nonce])
}

/// The queue item, in a group of its own, that comes back for parts of a message: see [`flush_key`].
pub fn flush_item(key: &str) -> String {
    serde_json::json!({ "v": VERSION, "flush": key }).to_string()
}

/// The key of the parts that a queue item is to flush, if it is such an item.
pub fn flush_key(item: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct FlushItem {
        v: u8,
        flush: String,
    }
    serde_json::from_str(item).ok().filter(|item: &FlushItem| item.v == VERSION).map(|item| item.flush)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{settings::Settings, sms::message::Channel};

    fn inbound(message_id: &str, from: &str) -> Inbound {
        let numbers = json!({ "+12025550100": { "contact_flow_id": "sales", "attributes": { "brand": "acme" } } });
        let account = json!({ "name": "us", "provider": "twilio", "auth_tokens": ["t"], "numbers": numbers });
        let settings = json!({ "accounts": [account] }).to_string();
        let settings = Settings::from_json(settings.as_bytes()).unwrap();
        let message = Message::new("twilio", Channel::Sms, message_id, from, "+12025550100");
        Inbound::new(&settings.accounts[0], message)
    }

    #[test]
    fn an_item_comes_back_as_it_went() {
        let item = inbound("SM1", "+14155550100").to_item().unwrap();
        let value: serde_json::Value = serde_json::from_str(&item).unwrap();
        assert_eq!(
            value,
            json!({ "v": 1, "account": "us", "provider": "twilio",
                    "message": { "provider": "twilio", "channel": "sms", "message_id": "SM1", "from": "+14155550100",
                                 "to": "+12025550100", "text": "", "media": [], "received_at": null },
                    "number": { "contact_flow_id": "sales", "attributes": { "brand": "acme" } } })
        );
        assert_eq!(Inbound::from_item(&item).unwrap().to_item().unwrap(), item);
    }

    #[test]
    fn what_is_no_item_is_refused() {
        let newer = inbound("SM1", "+14155550100").to_item().unwrap().replace(r#""v":1"#, r#""v":2"#);
        for item in ["", "{}", "null", "[]", r#"{"v":1}"#, &newer] {
            assert_eq!(Inbound::from_item(item).err().map(|error| error.kind()), Some(Kind::Validation), "{item}");
        }
    }

    #[test]
    fn ids_tell_messages_and_customers_apart_and_show_neither() {
        let one = inbound("SM1", "+14155550100");
        let two = inbound("SM2", "+14155550100");
        let other = inbound("SM1", "+14155550199");
        assert_eq!(one.group_id(), two.group_id());
        assert_ne!(one.group_id(), other.group_id());
        assert_ne!(one.deduplication_id(), two.deduplication_id());
        for id in [one.group_id(), one.deduplication_id()] {
            assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        }
    }

    #[test]
    fn a_customer_is_known_by_the_users_id_where_it_is_named() {
        let named = |from: &str, others: &[&str]| {
            let mut inbound = inbound("SM1", from);
            inbound.message.alt_ids = Some(others.iter().map(|id| (*id).to_owned()).collect());
            inbound
        };
        let (user, number) = (inbound("SM1", "US.134"), inbound("SM1", "+14155550100"));
        let both = named("+14155550100", &["US.134"]);
        assert_eq!(both.group_id(), user.group_id());
        assert_eq!(both.group_ids(), [user.group_id(), number.group_id()]);
        assert_eq!(named("US.134", &["+14155550100", "US.134"]).group_ids(), both.group_ids());
        assert_eq!(named("+14155550100", &["+14155550100"]).group_ids(), number.group_ids());
        assert_eq!(number.group_ids(), [number.group_id()]);
        let many: Vec<_> = (0..100).map(|id| format!("US.{id}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert_eq!(named("+14155550100", &many).group_ids().len(), IDS);
    }

    #[test]
    fn an_act_is_no_repeat_of_a_message() {
        let message = inbound("1", "user-7");
        let [mut typing, mut end] = [message.clone(), message.clone()];
        typing.message.act = Some(Act::Typing);
        end.message.act = Some(Act::End);
        let ids = [&message, &typing, &end].map(Inbound::deduplication_id);
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
        assert_eq!(end.queue_group_id(), message.queue_group_id(), "the last words come first");
        assert_eq!(Inbound::from_item(&end.to_item().unwrap()).unwrap().message.act, Some(Act::End));
    }

    #[test]
    fn a_renamed_account_keeps_its_conversations_and_opt_outs_pass_earlier_messages() {
        let one = inbound("SM1", "+14155550100");
        let mut renamed = one.clone();
        renamed.account = "sales".to_owned();
        let ids = |inbound: &Inbound| (inbound.group_id(), inbound.deduplication_id(), inbound.client_token(&["chat"]));
        assert_eq!(ids(&one), ids(&renamed));
        assert_eq!(one.queue_group_id(), one.group_id());
        for (wish, apart) in [(OptOut::Stop, true), (OptOut::Start, true), (OptOut::Help, false)] {
            renamed.message.opt_out = Some(wish);
            assert_eq!(renamed.queue_group_id() != one.group_id(), apart, "{wish:?}");
            assert_eq!(renamed.group_id(), one.group_id(), "{wish:?}");
        }
    }

    #[test]
    fn a_flush_item_is_no_message_and_no_message_is_one() {
        let item = flush_item("key");
        assert_eq!(flush_key(&item).as_deref(), Some("key"));
        assert!(Inbound::from_item(&item).is_err());
        assert_eq!(flush_key(&inbound("SM1", "+14155550100").to_item().unwrap()), None);
        assert_eq!(flush_key(r#"{"v":2,"flush":"key"}"#), None);
    }

    #[test]
    fn tokens_of_a_message_differ_by_purpose_and_not_by_delivery() {
        let (one, two) = (inbound("SM1", "+14155550100"), inbound("SM2", "+14155550100"));
        assert_eq!(one.client_token(&["chat", "0"]), inbound("SM1", "+14155550100").client_token(&["chat", "0"]));
        for other in
            [one.client_token(&["chat", "1"]), one.client_token(&["message"]), two.client_token(&["chat", "0"])]
        {
            assert_ne!(one.client_token(&["chat", "0"]), other);
        }
    }

    #[test]
    fn a_nonce_is_hashed_and_is_the_same_for_all_accounts() {
        let signed = |account: &str, nonce: &str| {
            let settings = json!({ "accounts": [{ "name": account, "provider": "plivo", "auth_tokens": ["t"] }] });
            let settings = Settings::from_json(settings.to_string().as_bytes()).unwrap();
            let mut message = Message::new("plivo", Channel::Sms, "1", "+14155550100", "+12025550100");
            message.signed_once = Some(nonce.to_owned());
            Inbound::new(&settings.accounts[0], message)
        };
        let one = signed("a", "nonce");
        assert!(!one.to_item().unwrap().contains("nonce"));
        assert_eq!(one.once, signed("b", "nonce").once);
        assert_ne!(one.once, signed("a", "another").once);
        assert_eq!(Inbound::from_item(&one.to_item().unwrap()).unwrap().once, one.once);
    }
}
