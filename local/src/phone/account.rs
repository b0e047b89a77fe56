//! An account of the settings document, as its provider knows it.

use serde_json::{Value, json};

use super::Channel;

/// The providers that the phone stands in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Provider {
    Twilio,
    Signalwire,
    Telnyx,
    Vonage,
    VonageMessages,
    AwsSns,
    Meta,
}

impl Provider {
    fn named(name: &str) -> Option<(Self, &'static str, &'static [Channel])> {
        const SMS: &[Channel] = &[Channel::Sms];
        const BOTH: &[Channel] = &[Channel::Sms, Channel::Whatsapp];
        Some(match name {
            "twilio" => (Self::Twilio, "Twilio", BOTH),
            "signalwire" => (Self::Signalwire, "SignalWire", SMS),
            "telnyx" => (Self::Telnyx, "Telnyx", SMS),
            "vonage" => (Self::Vonage, "Vonage SMS", SMS),
            "vonage-messages" => (Self::VonageMessages, "Vonage Messages", BOTH),
            "aws-sns" => (Self::AwsSns, "AWS End User Messaging", BOTH),
            "meta" => (Self::Meta, "Meta", &[Channel::Whatsapp]),
            _ => return None,
        })
    }
}

/// An account, and the secrets that it shares with the bridge.
#[derive(Clone)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) provider: Provider,
    title: &'static str,
    channels: &'static [Channel],
    /// The provider's name in the settings, and in the path of a webhook.
    pub(super) slug: String,
    settings: Value,
}

/// Without the settings, which are secrets.
impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("name", &self.name).field("provider", &self.provider).finish_non_exhaustive()
    }
}

impl Account {
    /// All that the phone can stand in for.
    pub(super) fn all(settings: &Value) -> Vec<Self> {
        let accounts = settings.get("accounts").and_then(Value::as_array);
        accounts.into_iter().flatten().filter_map(Self::read).collect()
    }

    fn read(settings: &Value) -> Option<Self> {
        let slug = settings.get("provider")?.as_str()?;
        let (provider, title, channels) = Provider::named(slug)?;
        let name = settings.get("name").and_then(Value::as_str).unwrap_or(slug);
        Some(Self {
            name: name.to_owned(),
            provider,
            title,
            channels,
            slug: slug.to_owned(),
            settings: settings.clone(),
        })
    }

    pub(super) fn described(&self) -> Value {
        json!({ "name": self.name, "provider": self.title, "channels": self.channels })
    }

    pub(super) fn channel(&self, asked: Option<Channel>) -> Result<Channel, String> {
        match (asked, self.channels) {
            (None, [first, ..]) => Ok(*first),
            (Some(channel), channels) if channels.contains(&channel) => Ok(channel),
            _ => Err(format!("{} has no such channel", self.title)),
        }
    }

    /// A text of the settings.
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.settings.get(field)?.as_str()
    }

    /// All texts of a list of the settings.
    pub(super) fn list(&self, field: &str) -> Vec<&str> {
        let items = self.settings.get(field).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// The secret that signs: the first of a rotation list is the current one.
    pub(super) fn current(&self, field: &str) -> Result<&str, String> {
        let first = self.list(field).first().copied();
        first.ok_or_else(|| format!("the account has no {field}, so its webhooks can't be signed"))
    }
}
