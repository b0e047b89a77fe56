//! A telephone, and the providers between it and the bridge: texts from it become signed webhooks ([`sign`], [`webhook`]),
//! and texts to it come in by the providers' send APIs ([`send`]). The accounts are those of the bridge's own settings
//! document.
//!
//! A provider is a file of its own, which implements [`contract::Provider`].

mod account;
pub(crate) mod contract;
mod cxml;
mod keys;
pub(crate) mod send;
pub(crate) mod sign;
pub(crate) mod text;
pub(crate) mod texts;
pub(crate) mod webhook;
mod whatsapp;

pub(crate) mod aws_sns;
mod meta;
mod signalwire;
mod telnyx;
mod twilio;
mod vonage;
mod vonage_messages;

use self::contract::Provider;

macro_rules! table {
    ($($name:ident => $file:ident,)*) => {
        /// The providers that the phone stands in for: all that the bridge knows.
        const PROVIDERS: &[&dyn Provider] = &[$(&$file::$name,)*];
    };
}

shared::for_each_provider!(table);

/// The provider of this name in the settings.
fn provider(name: &str) -> Option<&'static dyn Provider> {
    PROVIDERS.iter().copied().find(|provider| provider.name() == name)
}
