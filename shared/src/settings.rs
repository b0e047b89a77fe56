//! The settings document: who may sign requests of the widget, and the accounts at SMS providers.
//!
//! ```json
//! { "widget": { "signing_keys": ["…"] },
//!   "accounts": [ { "name": "us", "provider": "twilio", "auth_tokens": ["current", "previous"],
//!                   "numbers": { "+12028831111": { "contact_flow_id": "…" } } } ] }
//! ```
//!
//! It is read by hand and not by derive, since serde's errors quote the value that they reject, and the values here are
//! secrets. So an error names accounts and fields, all of them at once, and never a value. A document with an error is
//! refused whole: its reader keeps the last good one. What does no harm is a warning ([`Settings::warnings`]), such as a
//! public key that can't be used beside others that can.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use serde_json::{Map, Value};

use crate::{
    error::{Error, Kind, Result},
    fields::{Fields, Findings},
    secret::Secret,
    sms::{
        message::plus,
        number::Number,
        opt_out,
        providers::{Credentials, ProviderId},
    },
    url::BaseUrl,
};

/// The shortest key that signs the widget's requests: as long as an HS256 tag (RFC 7518, 3.2).
const WIDGET_KEY_BYTES: usize = 32;

/// The whole document.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Absent: there are no keys that could sign the widget's requests.
    pub widget: Option<Widget>,
    /// In the order of the document, which decides ties.
    pub accounts: Vec<Arc<Account>>,
    warnings: Vec<String>,
}

/// How the widget's requests are signed.
#[derive(Clone, Debug)]
pub struct Widget {
    /// Any of them may match; never none. A key is the bytes of its text as written, never decoded.
    pub signing_keys: Vec<Secret>,
}

/// An account at a provider.
pub struct Account {
    /// Unique, and fit for a path.
    pub name: String,
    /// What it proves webhooks and sends with.
    pub credentials: Credentials,
    /// Our addresses that have settings of their own; the others use the default flow.
    pub numbers: BTreeMap<String, Number>,
    /// How old a signature may be; 0 is any age.
    pub max_age_seconds: u64,
    /// Texts that are an opt-out as a whole.
    pub opt_out_words: Vec<String>,
    /// Sends here instead of to the provider's own host.
    pub send_base_url: Option<BaseUrl>,
}

impl Account {
    /// Whose account it is.
    pub fn provider(&self) -> ProviderId {
        self.credentials.provider()
    }

    /// The settings of one of our addresses.
    pub fn number(&self, address: &str) -> Option<&Number> {
        self.numbers.get(address).or_else(|| self.numbers.get(&plus(address)))
    }
}

/// Our own numbers, too, stay out of logs.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("name", &self.name)
            .field("provider", &self.provider())
            .field("numbers", &self.numbers.len())
            .field("max_age_seconds", &self.max_age_seconds)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Reads the document.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        Self::read(json, read_accounts)
    }

    /// Reads what web chats need: the names at the top and `widget`. A mistake in an account never stops them.
    pub fn of_widget(json: &[u8]) -> Result<Self> {
        Self::read(json, |_, _| Vec::new())
    }

    fn read(json: &[u8], read_accounts: fn(Option<&Value>, &RefCell<Findings>) -> Vec<Arc<Account>>) -> Result<Self> {
        let document: Value = serde_json::from_slice(json).map_err(not_json)?;
        let Value::Object(document) = document else {
            return Err(refused(&["it must be a JSON object".to_owned()]));
        };
        let findings = RefCell::default();
        let fields = Fields::new(&document, "the document".to_owned(), &findings);
        let widget = fields.get("widget").map(|value| read_widget(value, &findings));
        let accounts = read_accounts(fields.get("accounts"), &findings);
        fields.refuse_unknown();
        drop(fields);
        let Findings { problems, warnings } = findings.into_inner();
        if !problems.is_empty() {
            return Err(refused(&problems));
        }
        Ok(Self { widget, accounts, warnings })
    }

    /// What the owner should mend, though the document works.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The account of a name.
    pub fn account(&self, name: &str) -> Option<&Arc<Account>> {
        self.accounts.iter().find(|account| account.name == name)
    }

    /// The account that a conversation goes on with: the one of its name, else, after a rename, the one of the provider that
    /// lists our address, else the provider's only one.
    pub fn account_for(&self, provider: ProviderId, name: &str, our_address: &str) -> Option<&Arc<Account>> {
        let of_provider = || self.accounts.iter().filter(|account| account.provider() == provider);
        let only = || of_provider().next().filter(|_| of_provider().count() == 1);
        of_provider()
            .find(|account| account.name == name)
            .or_else(|| of_provider().find(|account| account.number(our_address).is_some()))
            .or_else(only)
    }

    /// The accounts that a webhook may belong to: the one that its path names, else all of the provider.
    pub fn candidates(&self, provider: ProviderId, name: Option<&str>) -> Result<Vec<Arc<Account>>> {
        let candidates: Vec<_> = self
            .accounts
            .iter()
            .filter(|account| account.provider() == provider && name.is_none_or(|name| account.name == name))
            .cloned()
            .collect();
        if candidates.is_empty() { Err(Error::new(Kind::NotFound, "No such account")) } else { Ok(candidates) }
    }
}

/// Only where it is: the error's own text may quote the document.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn not_json(error: serde_json::Error) -> Error {
    refused(&[format!("it is not JSON: see line {}, column {}", error.line(), error.column())])
}

fn refused(problems: &[String]) -> Error {
    Error::new(Kind::SettingsUnavailable, "The settings can't be read")
        .caused_by(format!("settings: {}", problems.join("; ")))
}

fn read_widget(value: &Value, findings: &RefCell<Findings>) -> Widget {
    let empty = Map::new();
    let fields = Fields::new(value.as_object().unwrap_or(&empty), "widget".to_owned(), findings);
    if !value.is_object() {
        fields.refuse("must be an object, or left out");
        return Widget { signing_keys: Vec::new() };
    }
    let signing_keys = fields.secrets("signing_keys");
    for (index, _) in signing_keys.iter().enumerate().filter(|(_, key)| key.expose().len() < WIDGET_KEY_BYTES) {
        fields.problem(&format!("signing_keys[{index}]"), "must be at least 32 bytes long");
    }
    fields.require_one_of(&["signing_keys"]);
    fields.refuse_unknown();
    Widget { signing_keys }
}

fn read_accounts(value: Option<&Value>, findings: &RefCell<Findings>) -> Vec<Arc<Account>> {
    let values = match value {
        None => return Vec::new(),
        Some(Value::Array(values)) => values,
        Some(_) => {
            findings.borrow_mut().problems.push("accounts must be a list".to_owned());
            return Vec::new();
        }
    };
    let mut names = BTreeSet::new();
    let mut accounts = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let place = format!("accounts[{index}]");
        let Value::Object(object) = value else {
            findings.borrow_mut().problems.push(format!("{place} must be an object"));
            continue;
        };
        if let Some(account) = read_account(object, &place, findings) {
            if !names.insert(account.name.clone()) {
                // A name that is none may be a secret in the wrong place.
                let name = if is_path_safe(&account.name) { account.name.as_str() } else { "" };
                let problem = format!("{place}: its name {name:?} is another account's");
                findings.borrow_mut().problems.push(problem);
            }
            accounts.push(Arc::new(account));
        }
    }
    accounts
}

fn read_account(object: &Map<String, Value>, place: &str, findings: &RefCell<Findings>) -> Option<Account> {
    let place = match object.get("name").and_then(Value::as_str).filter(|name| is_path_safe(name)) {
        Some(name) => format!("{place} ({name})"),
        None => place.to_owned(),
    };
    let fields = Fields::new(object, place, findings);
    let name = fields.get("name").map(|name| name.as_str().unwrap_or_default().to_owned());
    if name.as_ref().is_some_and(|name| !is_path_safe(name)) {
        fields.problem("name", "must be 1 to 64 of A-Z a-z 0-9 . _ ~ - and not begin with a full stop");
    }
    let provider = match fields.text("provider") {
        None => {
            fields.problem("provider", "is required");
            return None;
        }
        Some(provider) => match provider.parse::<ProviderId>() {
            Ok(provider) => provider,
            Err(_) => {
                let known: Vec<_> = ProviderId::ALL.iter().map(|provider| provider.as_str()).collect();
                fields.problem("provider", &format!("must be one of {}", known.join(", ")));
                return None;
            }
        },
    };
    let facts = provider.facts();
    let credentials = Credentials::read(provider, &fields);
    let max_age_seconds = fields.whole_number("max_age_seconds");
    if max_age_seconds.is_some_and(|age| age > 0) && !facts.signs_a_time {
        fields.warn("max_age_seconds", "has no effect: this provider signs no time");
    }
    // Names of the contract whose features are to come.
    if fields.object("window_template").is_some() {
        fields.warn("window_template", "has no effect in this version");
    }
    let send_base_url = fields.url("send_base_url");
    if send_base_url.is_some() && !facts.takes_send_base_url {
        fields.warn("send_base_url", "has no effect: this provider's accounts have a send_url");
    }
    let account = Account {
        name: name.unwrap_or_else(|| provider.as_str().to_owned()),
        credentials,
        numbers: read_numbers(&fields),
        max_age_seconds: max_age_seconds.unwrap_or(facts.max_age_seconds),
        opt_out_words: fields
            .texts("opt_out_words")
            .unwrap_or_else(|| opt_out::DEFAULT_WORDS.map(str::to_owned).to_vec()),
        send_base_url: send_base_url.filter(|_| facts.takes_send_base_url),
    };
    fields.refuse_unknown();
    Some(account)
}

fn is_path_safe(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte))
}

/// A number is named by its place among the others and not by itself.
fn read_numbers(fields: &Fields<'_>) -> BTreeMap<String, Number> {
    let mut numbers = BTreeMap::new();
    let Some(objects) = fields.object("numbers") else { return numbers };
    for (index, (address, value)) in objects.iter().enumerate() {
        let place = format!("{}: numbers[{index}]", fields.place);
        let empty = Map::new();
        let of_number = Fields::new(value.as_object().unwrap_or(&empty), place, fields.findings);
        if !value.is_object() {
            of_number.refuse("must be an object");
        }
        let number = Number {
            contact_flow_id: of_number.text("contact_flow_id"),
            destination_id: of_number.text("destination_id"),
            display_name: of_number.text("display_name"),
            attributes: read_attributes(&of_number),
        };
        of_number.refuse_unknown();
        let address = plus(address.trim());
        if address.is_empty() {
            of_number.refuse("has an empty address");
        }
        if numbers.insert(address, number).is_some() {
            of_number.refuse("is there twice");
        }
    }
    numbers
}

/// Connect's rule for names; its limit on the sum is checked with all that a chat starts with.
fn read_attributes(fields: &Fields<'_>) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    for (name, value) in fields.object("attributes").into_iter().flatten() {
        let is_name =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        match value.as_str() {
            Some(text) if is_name => {
                attributes.insert(name.clone(), text.to_owned());
            }
            _ => fields.problem("attributes", "must have names of A-Z a-z 0-9 _ - and texts as values"),
        }
    }
    attributes
}

#[cfg(test)]
mod tests;
