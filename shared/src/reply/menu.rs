//! How a message with choices is shown: by the channel's own means, beside a numbered text, or as that text alone.

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    choices::Menu,
    reply::Reply,
    settings::Account,
    sms::{
        segments::{self, Limit},
        send::Native,
    },
    store::{menus::SentMenu, replies::Part},
};

/// What a customer is shown of a reply beside its text.
pub(super) struct Shown {
    native: Option<Native>,
    /// None: the reply is no interactive message, and leaves an open menu as it is.
    menu: Option<Menu>,
}

impl Shown {
    /// A reply that was begun as a text goes on as one.
    pub(super) fn of(reply: &Reply<'_>, account: &Account) -> Self {
        let Some(prompt) = &reply.prompt else { return Self { native: None, menu: None } };
        let native = account.credentials.choices(reply.addressee.channel, prompt).filter(|native| match native {
            Native::Instead(_) => reply.part == Part::default(),
            Native::Beside(_) => !prompt.choices.is_empty(),
        });
        let is_numbered = !matches!(native, Some(Native::Instead(_)));
        let menu = prompt.menu(reply.id.contact_id, Timestamp::now().as_millisecond(), is_numbered);
        Self { native, menu: Some(menu) }
    }

    /// The next part of what is left of the text, and what follows it.
    pub(super) fn next<'t>(&self, rest: &'t str, limit: Limit) -> Option<(&'t str, &'t str)> {
        match self.native {
            Some(Native::Instead(_)) => (!rest.is_empty()).then_some((rest, "")),
            Some(Native::Beside(_)) | None => segments::first(rest, limit),
        }
    }

    /// What goes with a part, or in its place.
    pub(super) fn choices(&self, is_last: bool) -> Option<&Value> {
        match &self.native {
            Some(Native::Instead(value)) => Some(value),
            Some(Native::Beside(value)) if is_last => Some(value),
            Some(Native::Beside(_)) | None => None,
        }
    }

    /// What is to be remembered once the customer has it.
    pub(super) fn menu(&self) -> Option<SentMenu<'_>> {
        self.menu.as_ref().map(|menu| SentMenu { menu, has_ids: self.native.is_some() })
    }
}
