//! A webhook whose sender is known: verification against the accounts of the settings, and what the webhook says.

use std::{cmp::Reverse, fmt, sync::Arc};

use http::Method;

use crate::{
    error::{Error, Kind, Result},
    settings::Account,
    sms::{
        event::{Event, Ignored},
        message::Message,
        opt_out,
        webhook::{Proved, Rejection, Webhook},
    },
};

/// A webhook that a secret of one of our accounts has signed.
pub struct Verified<'a> {
    proved: Proved<'a>,
    /// Those whose secret matches, at least one, in the order of the settings.
    accounts: Vec<Arc<Account>>,
}

/// One part of a webhook, and the account that it belongs to.
pub type OfAccount = (Arc<Account>, Event);

impl Webhook {
    /// Verifies who sent it. `candidates` are [`crate::settings::Settings::candidates`].
    pub fn verify<'a>(&'a self, candidates: &'a [Arc<Account>]) -> Result<Verified<'a>> {
        if self.method != Method::POST && self.method != Method::GET {
            return Err(Error::new(Kind::MethodNotAllowed, "Webhooks are POST or GET"));
        }
        let mut closest = Rejection::Missing;
        let mut accounts = Vec::new();
        let mut proofs = Vec::new();
        for account in candidates {
            if self.body.len() > account.provider().facts().max_body {
                return Err(Error::new(Kind::Validation, "The body is too large"));
            }
            match self.prove(|webhook| account.credentials.verify(webhook), account.max_age_seconds) {
                Ok(proved) => {
                    proofs.push(proved.with_numbers(&account.numbers));
                    accounts.push(Arc::clone(account));
                }
                Err(rejection) => closest = closest.max(rejection),
            }
        }
        match proofs.into_iter().reduce(Proved::and) {
            Some(proved) => Ok(Verified { proved, accounts }),
            None => Err(closest.into()),
        }
    }

    /// The URL of the certificate that [`Self::verify`] needs in [`Webhook::certificate`], if it needs one: only once all
    /// checks that cost nothing have passed.
    pub fn certificate_url(&self, candidates: &[Arc<Account>]) -> Option<String> {
        candidates
            .iter()
            .filter(|account| self.body.len() <= account.provider().facts().max_body)
            .filter_map(|account| Some((account, account.credentials.certificate_url(self)?)))
            .find(|(account, (_, proof))| !proof.is_stale(self.now, account.max_age_seconds))
            .map(|(_, (url, _))| url)
    }
}

impl Verified<'_> {
    /// What it says, each part with its account.
    pub fn parse(&self) -> Result<Vec<OfAccount>> {
        let Some(first) = self.accounts.first() else { return Err(Error::internal("a webhook of no account")) };
        let events = finish(first.credentials.parse(&self.proved)?)?;
        let of_account = |mut event: Event| {
            let account = match &mut event {
                Event::Message(message) => {
                    let account = self.account_of(message).unwrap_or(first);
                    opt_out::recognise(message, &account.opt_out_words);
                    account
                }
                // All that verified it: which of them sent the text, the record of the text says.
                Event::Status(status) => {
                    status.accounts = self.accounts.iter().map(|account| account.name.clone()).collect();
                    first
                }
                Event::Ignored { .. } | Event::SubscriptionConfirmation { .. } | Event::Challenge(_) => first,
            };
            (Arc::clone(account), event)
        };
        Ok(events.into_iter().map(of_account).collect())
    }

    /// The account of one message. Accounts may share a secret (two numbers of one project, two numbers of one Meta
    /// app); then the one that the payload names wins, then the one that lists our number, then the first.
    fn account_of(&self, message: &Message) -> Option<&Arc<Account>> {
        self.accounts.iter().min_by_key(|account| Reverse(self.fit(account, message)))
    }

    fn fit(&self, account: &Account, message: &Message) -> (u8, u8) {
        let rank = |named: Option<bool>| match named {
            Some(true) => 2,
            None => 1,
            Some(false) => 0,
        };
        let lists_number = (!account.numbers.is_empty()).then(|| account.number(&message.to).is_some());
        (rank(account.credentials.is_named(&self.proved, message)), rank(lists_number))
    }

    /// How many seconds ago it was signed (negative: in the future), where the provider signs a time. For the log where
    /// the account allows any age.
    pub fn age_seconds(&self) -> Option<i64> {
        self.proved.age_seconds()
    }
}

impl fmt::Debug for Verified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("accounts", &self.accounts).finish_non_exhaustive()
    }
}

/// Applies the rules that hold for every provider. A malformed message must not hold up the others of a batch.
fn finish(mut events: Vec<Event>) -> Result<Vec<Event>> {
    let is_batch = events.len() > 1;
    for event in &mut events {
        let Event::Message(message) = event else { continue };
        match message.finish() {
            Ok(()) => {}
            Err(_) if is_batch => *event = Event::ignored(Ignored::Malformed),
            Err(error) => return Err(error),
        }
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::finish;
    use crate::sms::{
        event::{Event, Ignored},
        message::{Channel, Message},
    };

    #[test]
    fn a_malformed_message_holds_up_no_other() {
        let message =
            |id: &str| Event::from(Message::new("meta", Channel::Whatsapp, id, "+14155550100", "+12025550100"));
        let events = finish(vec![message("1"), message(""), message("3")]).unwrap();
        assert_eq!(events, [message("1"), Event::ignored(Ignored::Malformed), message("3")]);
        assert!(finish(vec![message("")]).is_err());
        assert!(finish(Vec::new()).unwrap().is_empty());
    }
}
