//! The networks that messages come over, and what a sender's address looks like.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::error::Result;

/// The network that a message came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Text.
    Sms,
    /// Text with media.
    Mms,
    /// WhatsApp.
    Whatsapp,
    /// Rich communication services.
    Rcs,
    /// One of the owner's own, by the name that the settings give it.
    Own(ChannelName),
}

/// The name of a channel of the owner's own: 1 to 32 of `a-z 0-9 _ -`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelName(&'static str);

impl ChannelName {
    /// Keeps each name once, for as long as the program runs: the settings have few.
    fn of(name: &str) -> Option<Self> {
        static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let is_name = (1..=32).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte));
        // What a widget's chats are called.
        if !is_name || name == "web" {
            return None;
        }
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = known.get(name).copied().unwrap_or_else(|| Box::leak(name.to_owned().into_boxed_str()));
        known.insert(kept);
        Some(Self(kept))
    }
}

impl Channel {
    /// The channel of this name, be it a network's or the owner's own. `None`: it is no name of a channel.
    pub fn named(name: &str) -> Option<Self> {
        let networks = [Self::Sms, Self::Mms, Self::Whatsapp, Self::Rcs];
        let network = networks.into_iter().find(|channel| channel.as_str() == name);
        network.or_else(|| ChannelName::of(name).map(Self::Own))
    }

    /// The word for contact attributes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Mms => "mms",
            Self::Whatsapp => "whatsapp",
            Self::Rcs => "rcs",
            Self::Own(ChannelName(name)) => name,
        }
    }

    /// Whether it is text messaging of the phone network, where STOP and START have their meaning.
    pub fn is_text_messaging(self) -> bool {
        matches!(self, Self::Sms | Self::Mms)
    }
}

impl Serialize for Channel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Channel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = Cow::<str>::deserialize(deserializer)?;
        Self::named(&name).ok_or_else(|| D::Error::custom("no such channel"))
    }
}

/// What a sender's address is. A phone number in E.164 form is the rule and is left out of the normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FromKind {
    /// A phone number.
    Phone,
    /// WhatsApp's id of a user for one business (`US.13491208655302741918`): such a sender may have no phone number.
    Bsuid,
    /// A short code.
    Shortcode,
    /// A name.
    Alpha,
}

impl FromKind {
    /// Tells an address by its looks. `None` is a phone number.
    pub fn of(address: &str) -> Option<Self> {
        let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match address.strip_prefix('+') {
            Some(digits) if all_digits(digits) => None,
            Some(_) => Some(Self::Alpha),
            None if all_digits(address) && address.len() < 8 => Some(Self::Shortcode),
            None if all_digits(address) => None,
            None if is_bsuid(address) => Some(Self::Bsuid),
            None => Some(Self::Alpha),
        }
    }
}

/// Two capitals (a country), a full stop, then letters and digits; a parent id has one part more.
fn is_bsuid(address: &str) -> bool {
    let Some((country, id)) = address.split_once('.') else { return false };
    country.len() == 2
        && country.bytes().all(|byte| byte.is_ascii_uppercase())
        && id.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}
