//! The table of providers, one line each. To add one, see `docs/development.md`.

pub mod aws_sns;
pub mod bandwidth;
pub mod bird;
pub mod infobip;
pub mod messagebird;
pub mod meta;
pub mod plivo;
pub mod signalwire;
pub mod sinch;
pub mod telnyx;
pub mod twilio;
pub mod vonage;
pub mod vonage_messages;
pub mod webhook;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::{
    error::{Error, Kind, Result},
    fields::Fields,
    sms::contract::{Facts, Provider},
};

/// Calls a macro with the table: a line for each provider, `Name => folder`. The stand-in and the tests make their own tables
/// of it.
#[macro_export]
macro_rules! for_each_provider {
    ($macro:ident) => {
        $macro! {
            Twilio => twilio,
            Signalwire => signalwire,
            Telnyx => telnyx,
            Vonage => vonage,
            VonageMessages => vonage_messages,
            AwsSns => aws_sns,
            Meta => meta,
            Infobip => infobip,
            Messagebird => messagebird,
            Bird => bird,
            Bandwidth => bandwidth,
            Sinch => sinch,
            Plivo => plivo,
            Webhook => webhook,
        }
    };
}

macro_rules! providers {
    ($($id:ident => $module:ident,)*) => {
        /// A provider; [`Facts::name`] is its name in routes and settings.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "their names say all")]
        pub enum ProviderId { $($id,)* }

        impl ProviderId {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$id,)*];

            /// What is known of the provider.
            pub fn facts(self) -> &'static Facts {
                match self { $(Self::$id => &$module::FACTS,)* }
            }
        }

        /// What an account verifies webhooks and sends with.
        #[derive(Clone, Debug)]
        #[allow(missing_docs, reason = "their names say all")]
        pub enum Credentials { $($id($module::Credentials),)* }

        impl Credentials {
            /// Reads an account's fields.
            pub(crate) fn read(provider: ProviderId, fields: &Fields<'_>) -> Self {
                match provider { $(ProviderId::$id => Self::$id($module::Credentials::read(fields)),)* }
            }

            /// Whose they are.
            pub fn provider(&self) -> ProviderId {
                match self { $(Self::$id(_) => ProviderId::$id,)* }
            }
        }

        /// Each provider's code, by the contract.
        impl std::ops::Deref for Credentials {
            type Target = dyn Provider;

            fn deref(&self) -> &Self::Target {
                match self { $(Self::$id(credentials) => credentials,)* }
            }
        }
    };
}

for_each_provider!(providers);

impl ProviderId {
    /// The name in routes and settings.
    pub fn as_str(self) -> &'static str {
        self.facts().name
    }
}

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ProviderId {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.iter().find(|provider| provider.as_str() == name);
        found.copied().ok_or_else(|| Error::new(Kind::NotFound, "No such provider"))
    }
}

impl Serialize for ProviderId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ProviderId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
        name.parse().map_err(|_| D::Error::custom("no such provider"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::ProviderId;
    use crate::{
        error::Kind,
        sms::{contract::Answer, event::Event, message::Channel, segments::Limit},
        testing::accounts,
    };

    #[test]
    fn every_provider_has_a_name_for_routes_and_settings() {
        for provider in ProviderId::ALL {
            assert_eq!(provider.as_str().parse::<ProviderId>().unwrap(), *provider);
            assert_eq!(serde_json::to_value(provider).unwrap(), provider.as_str());
            assert_eq!(serde_json::from_value::<ProviderId>(json!(provider.as_str())).unwrap(), *provider);
        }
        for name in ["", "Twilio", "twilio ", "generic"] {
            assert_eq!(name.parse::<ProviderId>().unwrap_err().kind(), Kind::NotFound);
        }
    }

    #[test]
    fn answers_are_what_each_provider_expects() {
        let twilio = Answer::to(ProviderId::Twilio.facts(), &[]);
        assert_eq!((twilio.status.as_u16(), twilio.content_type), (200, "text/xml"));
        assert_eq!(twilio.body, r#"<?xml version="1.0" encoding="UTF-8"?><Response/>"#);
        assert_eq!(Answer::to(ProviderId::Telnyx.facts(), &[]).body, r#"{"success":true}"#);
        let meta = Answer::to(ProviderId::Meta.facts(), &[Event::Challenge("1158201444".into())]);
        assert_eq!((meta.content_type, meta.body.as_ref()), ("text/plain", "1158201444"));
    }

    #[test]
    fn limits_are_each_providers() {
        let limit = |account: Value, channel| accounts(json!([account]))[0].credentials.limit(channel);
        let sns = || json!({"provider": "aws-sns", "topic_arns": ["arn:aws:sns:us-east-1:123456789012:sms"]});
        assert_eq!(limit(sns(), Channel::Sms), Limit::Segments(9));
        assert_eq!(limit(sns(), Channel::Whatsapp), Limit::Characters(4096));
        let meta = json!({"provider": "meta", "app_secrets": ["s"]});
        assert_eq!(limit(meta, Channel::Whatsapp), Limit::Characters(4096));
        let telnyx = json!({"provider": "telnyx", "public_keys": ["A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="]});
        assert_eq!(limit(telnyx, Channel::Sms), Limit::Units(670));
        let twilio = json!({"provider": "twilio", "auth_tokens": ["t"]});
        assert_eq!(limit(twilio, Channel::Whatsapp), Limit::Units(1600));
    }
}
