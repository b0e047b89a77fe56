//! The normal form of a message: what every provider's webhook is read into, and what travels in a queue item.

use std::{borrow::Cow, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use super::channel::{Channel, FromKind};
use crate::{
    error::{Error, Result},
    mend,
    sms::lines,
};

/// What the customer wants of our sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum OptOut {
    /// No more messages.
    Stop,
    /// Messages again.
    Start,
    /// The carrier's help text, which the provider has sent.
    Help,
}

/// What a customer does beside writing, where a channel tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// The customer is writing.
    Typing,
    /// The customer leaves: the chat ends.
    End,
}

impl Act {
    /// The word of the normal form.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Typing => "typing",
            Self::End => "end",
        }
    }
}

/// A picture, a recording, a file. One of `url` and `id` is there, or neither where all that is known is that it came. Who
/// may open a URL is the provider's rule ([`crate::sms::contract::Facts::media_links_open`]).
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What to ask the provider's API for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The file's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Media {
    /// The layout of an MMS, which says nothing to a reader.
    fn is_layout(&self) -> bool {
        let typed = self.content_type.as_deref().is_some_and(|content_type| {
            content_type
                .split(';')
                .next()
                .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/smil"))
        });
        let path = self.url.as_deref().and_then(|url| url.split(['?', '#']).next());
        let named = |name: Option<&str>| name.is_some_and(|name| name.to_ascii_lowercase().ends_with(".smil"));
        typed || named(path) || named(self.name.as_deref())
    }
}

impl fmt::Debug for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Media")
            .field("content_type", &self.content_type)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// A place that the customer sent.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// The place's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
}

/// The advertisement or post that led a customer here.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referral {
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// What stands above it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headline: Option<String>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl Referral {
    /// None where nothing is known of it. Blank texts count as absent.
    pub fn of(source_id: Option<&str>, headline: Option<&str>, url: Option<&str>) -> Option<Self> {
        let filled = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let referral = Self { source_id: filled(source_id), headline: filled(headline), url: filled(url) };
        (referral != Self::default()).then_some(referral)
    }
}

/// Which part of a long message this is, where the provider leaves the joining to us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concat {
    /// The same for all parts of one message.
    #[serde(rename = "ref")]
    pub reference: String,
    /// How many parts.
    pub total: u16,
    /// Which one, from 1.
    pub part: u16,
}

/// A customer's message. Field for field the `normalised` of the test vectors; `provider` and `account` are the
/// payload's own words, not the names in the settings.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who brought it.
    pub provider: Cow<'static, str>,
    /// The network.
    pub channel: Channel,
    /// The provider's id of the message: the same for every delivery of it.
    pub message_id: String,
    /// The customer's address.
    pub from: String,
    /// What that address is; absent for a phone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_kind: Option<FromKind>,
    /// Our address.
    pub to: String,
    /// The text, as it was written; empty where there is none. Lines of ours may follow it: see [`Self::describe`].
    pub text: String,
    /// The text begins with a line of ours, not with the customer's words.
    #[serde(default, skip_serializing_if = "is_false")]
    pub described: bool,
    /// Media, in the sender's order.
    #[serde(default)]
    pub media: Vec<Media>,
    /// When the provider got it: RFC 3339 in UTC. Never invented.
    #[serde(default)]
    pub received_at: Option<String>,
    /// How many parts it was sent in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segments: Option<u32>,
    /// Its encoding, in the provider's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// The keyword that the provider found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyword: Option<String>,
    /// STOP, START or HELP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opt_out: Option<OptOut>,
    /// No words: what the customer does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Act>,
    /// The provider's id of our account or number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The sender pool that our number is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messaging_service: Option<String>,
    /// The id of the message that this one answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_reply_to: Option<String>,
    /// What a tapped button carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub button_payload: Option<String>,
    /// A place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The advertisement that led the customer here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referral: Option<Referral>,
    /// Part of a long message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concat: Option<Concat>,
    /// The name that the customer shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile_name: Option<String>,
    /// Everyone it was sent to, where that is more than us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_all: Option<Vec<String>>,
    /// Further ids of the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alt_ids: Option<Vec<String>>,
    /// The provider's id of the delivery's event, which is not the message's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// The SNS message that it came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sns_message_id: Option<String>,
    /// The provider's own id of `to`, where replies are sent from that. Not part of the normal form: it travels in
    /// [`crate::inbound::Inbound`].
    #[serde(skip)]
    pub reply_from: Option<String>,
    /// What the provider signed for this message only, where its signature leaves the text out. Not part of the normal form:
    /// see [`crate::inbound::Inbound::once`].
    #[serde(skip)]
    pub signed_once: Option<String>,
}

impl Message {
    /// A message with what every message has; the rest is set by field. `from` and `to` come as they shall be kept
    /// (see [`plus`]).
    pub fn new(
        provider: &'static str,
        channel: Channel,
        message_id: impl Into<String>,
        from: impl Into<String>,
        to: impl Into<String>,
    ) -> Self {
        let from = from.into();
        Self {
            provider: Cow::Borrowed(provider),
            channel,
            message_id: message_id.into(),
            from_kind: FromKind::of(&from),
            from,
            to: to.into(),
            text: String::new(),
            described: false,
            media: Vec::new(),
            received_at: None,
            segments: None,
            encoding: None,
            keyword: None,
            opt_out: None,
            act: None,
            account: None,
            messaging_service: None,
            in_reply_to: None,
            button_payload: None,
            location: None,
            referral: None,
            concat: None,
            profile_name: None,
            to_all: None,
            alt_ids: None,
            event_id: None,
            sns_message_id: None,
            reply_from: None,
            signed_once: None,
        }
    }

    /// Adds a line that says what can't be shown as it is (see [`super::lines`]).
    pub fn describe(&mut self, line: &str) {
        if self.text.trim().is_empty() {
            line.clone_into(&mut self.text);
            self.described = true;
        } else {
            self.text.push('\n');
            self.text.push_str(line);
        }
    }

    /// Says that there is content in which nothing can be read, where that is so.
    pub(super) fn describe_unread(&mut self, content: &Value) {
        let is_nothing = match content {
            Value::Null => true,
            Value::String(text) => text.trim().is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
        };
        if self.is_blank() && !is_nothing {
            self.describe(&lines::unsupported(Some(content)));
        }
    }

    /// Whether there is nothing in it to show an agent.
    pub fn is_blank(&self) -> bool {
        self.text.trim().is_empty() && self.media.is_empty() && self.location.is_none() && self.button_payload.is_none()
    }

    /// What holds for every provider: texts that can travel ([`mend::text`]), no layout parts, and an id and two addresses.
    pub(crate) fn finish(&mut self) -> Result<()> {
        for text in [&mut self.message_id, &mut self.from, &mut self.to, &mut self.text] {
            mend::text(text);
        }
        for text in [
            &mut self.encoding,
            &mut self.keyword,
            &mut self.account,
            &mut self.messaging_service,
            &mut self.in_reply_to,
            &mut self.button_payload,
            &mut self.profile_name,
            &mut self.event_id,
            &mut self.sns_message_id,
        ]
        .into_iter()
        .flatten()
        {
            mend::text(text);
        }
        if let Some(location) = &mut self.location {
            [&mut location.name, &mut location.address].into_iter().flatten().for_each(mend::text);
        }
        if let Some(referral) = &mut self.referral {
            let texts = [&mut referral.source_id, &mut referral.headline, &mut referral.url];
            texts.into_iter().flatten().for_each(mend::text);
        }
        if let Some(concat) = &mut self.concat {
            mend::text(&mut concat.reference);
        }
        self.to_all.iter_mut().chain(&mut self.alt_ids).flatten().for_each(mend::text);
        for media in &mut self.media {
            [&mut media.url, &mut media.id, &mut media.content_type, &mut media.name]
                .into_iter()
                .flatten()
                .for_each(mend::text);
        }
        self.media.retain(|media| !media.is_layout());
        for (field, text) in [("message_id", &self.message_id), ("from", &self.from), ("to", &self.to)] {
            if text.trim().is_empty() {
                return Err(Error::invalid(field, "is missing"));
            }
        }
        Ok(())
    }
}

/// Says which message it is and how it looks, and nothing of what a customer is or wrote.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("provider", &self.provider)
            .field("channel", &self.channel)
            .field("message_id", &self.message_id)
            .field("from_kind", &self.from_kind)
            .field("text_length", &self.text.len())
            .field("media", &self.media.len())
            .field("received_at", &self.received_at)
            .field("opt_out", &self.opt_out)
            .field("act", &self.act)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// Adds the '+' that some providers leave out: only to 8 to 15 digits, since short codes and names have none.
pub fn plus(address: &str) -> String {
    let is_bare = (8..=15).contains(&address.len()) && address.bytes().all(|byte| byte.is_ascii_digit());
    if is_bare { format!("+{address}") } else { address.to_owned() }
}

/// A time as the normal form writes it: UTC, with as many decimals as it needs.
pub fn utc(time: Timestamp) -> String {
    time.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Channel, Concat, FromKind, Location, Media, Message, OptOut, plus, utc};
    use crate::sms::event::{Event, Ignored};

    #[test]
    fn the_documentation_lists_what_is_ignored() {
        let documentation = include_str!("../../../docs/messages.md");
        for reason in Ignored::ALL {
            let row = format!("| {} | {} |", reason.as_str(), reason.meaning());
            assert!(documentation.contains(&row), "docs/messages.md lacks {row}");
        }
    }

    #[test]
    fn lines_of_ours_follow_the_customers_words() {
        let mut message = Message::new("twilio", Channel::Sms, "SM1", "+14155550100", "+12025550100");
        message.text = "Hi".into();
        message.describe("[contact] Ada");
        assert_eq!((message.text.as_str(), message.described), ("Hi\n[contact] Ada", false));
        message.text = " ".into();
        message.describe("[contact] Ada");
        assert_eq!((message.text.as_str(), message.described), ("[contact] Ada", true));
        let back: Message = serde_json::from_value(serde_json::to_value(&message).unwrap()).unwrap();
        assert_eq!(back, message);
    }

    #[test]
    fn what_can_not_be_read_is_told() {
        for (content, text) in [
            (json!(null), ""),
            (json!(" "), ""),
            (json!([]), ""),
            (json!(5), "[unsupported message]"),
            (json!({"card": {"title": "Sale"}}), "[unsupported message] Sale"),
            (json!(["a"]), "[unsupported message] a"),
        ] {
            let mut message = Message::new("twilio", Channel::Sms, "SM1", "+14155550100", "+12025550100");
            message.describe_unread(&content);
            assert_eq!((message.text.as_str(), message.described), (text, !text.is_empty()), "{content}");
            message.text = "Hi".into();
            message.describe_unread(&content);
            assert_eq!(message.text, "Hi", "{content}");
        }
    }

    #[test]
    fn a_channel_is_a_network_or_a_name() {
        for (name, channel) in [("sms", Channel::Sms), ("whatsapp", Channel::Whatsapp), ("rcs", Channel::Rcs)] {
            assert_eq!(Channel::named(name), Some(channel));
        }
        let longest = "a".repeat(32);
        for name in ["line", "in-app_2", "0", &longest] {
            let channel = Channel::named(name).unwrap();
            assert!(matches!(channel, Channel::Own(_)) && channel == Channel::named(name).unwrap(), "{name}");
            let json = serde_json::to_value(channel).unwrap();
            assert_eq!(json, name);
            assert_eq!(serde_json::from_value::<Channel>(json).unwrap(), channel);
        }
        for name in ["", "web", "LINE", "a b", "é", &format!("{longest}a")] {
            assert_eq!(Channel::named(name), None, "{name}");
            assert!(serde_json::from_value::<Channel>(json!(name)).is_err(), "{name}");
        }
    }

    #[test]
    fn plus_is_added_to_bare_numbers_only() {
        for (address, expected) in [
            ("14155550100", "+14155550100"),
            ("12345678", "+12345678"),
            ("123456789012345", "+123456789012345"),
            ("1234567", "1234567"),
            ("1234567890123456", "1234567890123456"),
            ("+14155550100", "+14155550100"),
            ("ACME", "ACME"),
            ("1415555010x", "1415555010x"),
            ("", ""),
        ] {
            assert_eq!(plus(address), expected);
        }
    }

    #[test]
    fn addresses_are_told_by_their_looks() {
        for (address, kind) in [
            ("+14155550100", None),
            ("14155550100", None),
            ("12345", Some(FromKind::Shortcode)),
            ("US.13491208655302741918", Some(FromKind::Bsuid)),
            ("US.ENT.11815799212886844830", Some(FromKind::Bsuid)),
            ("ACME", Some(FromKind::Alpha)),
            ("us.123", Some(FromKind::Alpha)),
            ("US.", Some(FromKind::Alpha)),
            ("A.B", Some(FromKind::Alpha)),
            ("+", Some(FromKind::Alpha)),
        ] {
            assert_eq!(FromKind::of(address), kind, "{address}");
        }
    }

    #[test]
    fn debug_shows_no_customer() {
        let mut message = Message::new("twilio", Channel::Whatsapp, "SM1", "+14155550100", "+12025550100");
        message.text = "my secret text".into();
        message.profile_name = Some("Zoë".into());
        message.alt_ids = Some(vec!["US.1".into()]);
        message.media = vec![Media { url: Some("https://media.example/1".into()), ..Media::default() }];
        message.location = Some(Location { latitude: 1.5, longitude: 2.5, name: Some("Home".into()), address: None });
        message.button_payload = Some("yes-please".into());
        let shown = format!("{message:?} {:?} {:?}", message.media, Event::from(message.clone()));
        for hidden in
            ["4155550100", "2025550100", "secret", "Zoë", "US.1", "media.example", "Home", "yes-please", "1.5"]
        {
            assert!(!shown.contains(hidden), "{hidden} in {shown}");
        }
        assert!(!format!("{:?}", Event::Challenge("1158201444".into())).contains("1158201444"));
    }

    #[test]
    fn absent_fields_are_left_out_and_come_back() {
        let mut message = Message::new("twilio", Channel::Sms, "SM1", "+14155550100", "+12025550100");
        message.opt_out = Some(OptOut::Stop);
        let value = serde_json::to_value(&message).unwrap();
        assert_eq!(
            value,
            json!({"provider": "twilio", "channel": "sms", "message_id": "SM1", "from": "+14155550100",
                   "to": "+12025550100", "text": "", "media": [], "received_at": null, "opt_out": "STOP"})
        );
        assert_eq!(serde_json::from_value::<Message>(value).unwrap(), message);
    }

    #[test]
    fn finishing_strips_and_checks() {
        let mut message = Message::new("twilio", Channel::Mms, "SM\x001", "+14155550100", "+12025550100");
        message.text = "a\0b\u{ffff}".into();
        message.profile_name = Some("\0Z".into());
        message.concat = Some(Concat { reference: "7\0".into(), total: 2, part: 1 });
        message.media = vec![
            Media { url: Some("https://m.example/0.smil?x".into()), ..Media::default() },
            Media {
                url: Some("https://m.example/1".into()),
                content_type: Some("Application/SMIL; a=b".into()),
                ..Media::default()
            },
            Media { url: Some("https://m.example/2.jpg".into()), ..Media::default() },
        ];
        message.finish().unwrap();
        assert_eq!((message.message_id.as_str(), message.text.as_str()), ("SM1", "ab\u{fffd}"));
        assert_eq!(message.profile_name.as_deref(), Some("Z"));
        assert_eq!(message.concat.map(|concat| concat.reference).as_deref(), Some("7"));
        assert_eq!(message.media.len(), 1);
        assert!(Message::new("twilio", Channel::Sms, "\0", "+1", "+2").finish().is_err());
        assert!(Message::new("twilio", Channel::Sms, "1", " ", "+2").finish().is_err());
    }

    #[test]
    fn times_have_the_decimals_they_need() {
        assert_eq!(utc("2026-09-21T14:13:18.000+00:00".parse().unwrap()), "2026-09-21T14:13:18Z");
        assert_eq!(utc("2026-09-21T16:13:19.012+02:00".parse().unwrap()), "2026-09-21T14:13:19.012Z");
    }
}
