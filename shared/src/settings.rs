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
//! refused whole: its reader keeps the last good one. What does no harm is a warning ([`Settings::warnings`]): an
//! unknown field (a misspelt one, mostly), and a public key that can't be used beside others that can.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use serde_json::{Map, Value};

use crate::{
    error::{Error, Kind, Result},
    secret::Secret,
    sms::{
        message::plus,
        opt_out,
        provider::{Credentials, Provider},
        url::BaseUrl,
    },
};

/// The whole document.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Absent: requests of the widget are not signed.
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

/// What one of our addresses has for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Number {
    /// The flow of new chats.
    pub contact_flow_id: Option<String>,
    /// The destination on the `integration-event` route.
    pub destination_id: Option<String>,
    /// What an agent sees of a customer without a profile name.
    pub display_name: Option<String>,
    /// Contact attributes of new chats.
    pub attributes: BTreeMap<String, String>,
}

impl Account {
    /// Whose account it is.
    pub fn provider(&self) -> Provider {
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
        let document: Value = serde_json::from_slice(json).map_err(|error| {
            // Only where it is: the error's own text may quote the document.
            refused(&[format!("it is not JSON: see line {}, column {}", error.line(), error.column())])
        })?;
        let Value::Object(document) = document else {
            return Err(refused(&["it must be a JSON object".to_owned()]));
        };
        let findings = RefCell::default();
        let widget = document.get("widget").map(|value| read_widget(value, &findings));
        let accounts = read_accounts(document.get("accounts"), &findings);
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

    /// The accounts that a webhook may belong to: the one that its path names, else all of the provider.
    pub fn candidates(&self, provider: Provider, name: Option<&str>) -> Result<Vec<Arc<Account>>> {
        let candidates: Vec<_> = self
            .accounts
            .iter()
            .filter(|account| account.provider() == provider && name.is_none_or(|name| account.name == name))
            .cloned()
            .collect();
        if candidates.is_empty() { Err(Error::new(Kind::NotFound, "No such account")) } else { Ok(candidates) }
    }
}

fn refused(problems: &[String]) -> Error {
    Error::new(Kind::SettingsUnavailable, "The settings can't be read")
        .caused_by(format!("settings: {}", problems.join("; ")))
}

#[derive(Default)]
struct Findings {
    problems: Vec<String>,
    warnings: Vec<String>,
}

fn read_widget(value: &Value, findings: &RefCell<Findings>) -> Widget {
    let empty = Map::new();
    let fields = Fields::new(value.as_object().unwrap_or(&empty), "widget".to_owned(), findings);
    if !value.is_object() {
        fields.refuse("must be an object, or left out");
        return Widget { signing_keys: Vec::new() };
    }
    let signing_keys = fields.secrets("signing_keys");
    fields.require_one_of(&["signing_keys"]);
    fields.warn_of_unknown();
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
        Some(provider) => match provider.parse::<Provider>() {
            Ok(provider) => provider,
            Err(_) => {
                fields.problem("provider", "is unknown");
                return None;
            }
        },
    };
    let Some(credentials) = Credentials::read(provider, &fields) else {
        // Its webhooks are answered 404. The other accounts go on.
        fields.warn("provider", "is not supported by this version: the account is left out");
        return None;
    };
    let max_age_seconds = fields.whole_number("max_age_seconds");
    if max_age_seconds.is_some_and(|age| age > 0) && !provider.signs_a_time() {
        fields.warn("max_age_seconds", "has no effect: this provider signs no time");
    }
    let account = Account {
        name: name.unwrap_or_else(|| provider.as_str().to_owned()),
        credentials,
        numbers: read_numbers(&fields),
        max_age_seconds: max_age_seconds.unwrap_or_else(|| provider.default_max_age()),
        opt_out_words: fields
            .texts("opt_out_words")
            .unwrap_or_else(|| opt_out::DEFAULT_WORDS.map(str::to_owned).to_vec()),
        send_base_url: fields.url("send_base_url"),
    };
    fields.warn_of_unknown();
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
        of_number.warn_of_unknown();
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

/// The fields of one object of the document, read by name. What is wrong is noted, and reading goes on, so that an owner
/// is told everything at once; the document is then refused.
pub(crate) struct Fields<'a> {
    object: &'a Map<String, Value>,
    /// Where it stands, for the owner.
    place: String,
    findings: &'a RefCell<Findings>,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Fields<'a> {
    fn new(object: &'a Map<String, Value>, place: String, findings: &'a RefCell<Findings>) -> Self {
        Self { object, place, findings, known: RefCell::default() }
    }

    fn get(&self, name: &'static str) -> Option<&'a Value> {
        self.known.borrow_mut().push(name);
        self.object.get(name)
    }

    fn refuse(&self, rule: &str) {
        self.findings.borrow_mut().problems.push(format!("{} {rule}", self.place));
    }

    /// Notes an error: the document will be refused. `rule` is fixed words.
    pub(crate) fn problem(&self, name: &str, rule: &str) {
        self.findings.borrow_mut().problems.push(format!("{}: {name} {rule}", self.place));
    }

    /// Notes what the owner should mend, though the account works.
    pub(crate) fn warn(&self, name: &str, rule: &str) {
        self.findings.borrow_mut().warnings.push(format!("{}: {name} {rule}", self.place));
    }

    fn warn_of_unknown(&self) {
        let known = self.known.borrow();
        for name in self.object.keys().filter(|name| !known.contains(&name.as_str())) {
            // A name that is no plain word may be a value in the wrong place.
            let is_word = name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            self.warn(if is_word { name } else { "a field" }, "is unknown and has no effect");
        }
    }

    /// An optional text, also from a whole number, as some ids look like one. Null is absent.
    pub(crate) fn text(&self, name: &'static str) -> Option<String> {
        match self.get(name)? {
            Value::Null => None,
            Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            Value::Number(number) if number.is_u64() => Some(number.to_string()),
            // As clients of the widget do, templates write what they don't have as an empty text.
            Value::String(_) => {
                self.warn(name, "is empty and counts as absent");
                None
            }
            _ => {
                self.problem(name, "must be a text");
                None
            }
        }
    }

    /// An optional secret, kept as it is written. Null is absent, and so is an empty text, as in [`Self::text`]: without
    /// it less can be done, and nothing is let in.
    pub(crate) fn secret(&self, name: &'static str) -> Option<Secret> {
        match self.get(name)? {
            Value::Null => None,
            Value::String(text) if text.trim().is_empty() => {
                self.warn(name, "is empty and counts as absent");
                None
            }
            value => self.to_secret(name, value),
        }
    }

    fn to_secret(&self, name: &str, value: &Value) -> Option<Secret> {
        match value.as_str() {
            Some(text) if !text.trim().is_empty() => {
                if text.trim() != text && !text.starts_with("-----BEGIN") {
                    self.warn(name, "begins or ends with white space");
                }
                Some(Secret::new(text))
            }
            Some(_) => {
                self.problem(name, "has an empty secret");
                None
            }
            None => {
                self.problem(name, "must be a text");
                None
            }
        }
    }

    /// A rotation list. Absent is an empty list, for [`Self::require_one_of`] to judge; a list that is there and empty is
    /// an error, since it would look like one that accepts nothing, or anything.
    pub(crate) fn secrets(&self, name: &'static str) -> Vec<Secret> {
        match self.get(name) {
            None => Vec::new(),
            Some(Value::Array(values)) if !values.is_empty() => values
                .iter()
                .enumerate()
                .filter_map(|(index, value)| self.to_secret(&format!("{name}[{index}]"), value))
                .collect(),
            Some(_) => {
                self.problem(name, "must be a list of at least one text");
                Vec::new()
            }
        }
    }

    /// A rotation list of keys that have to be read, such as public keys. One that can't be is told as a warning and
    /// left out, so that it doesn't disable the others; it is an error if none is left.
    pub(crate) fn keys<K>(&self, name: &'static str, read: impl Fn(&str) -> Option<K>) -> Vec<K> {
        let texts = self.secrets(name);
        let mut keys = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            match read(text.expose()) {
                Some(key) => keys.push(key),
                None => self.warn(&format!("{name}[{index}]"), "is no usable key"),
            }
        }
        if keys.is_empty() && !texts.is_empty() {
            self.problem(name, "has no usable key");
        }
        keys
    }

    /// An optional key that has to be read. One that can't be is told as a warning: the account does without.
    pub(crate) fn key<K>(&self, name: &'static str, read: impl FnOnce(&str) -> Option<K>) -> Option<K> {
        let key = read(self.secret(name)?.expose());
        if key.is_none() {
            self.warn(name, "is no usable key");
        }
        key
    }

    /// Secrets that a webhook names by an id.
    pub(crate) fn secrets_by_id(&self, name: &'static str) -> BTreeMap<String, Secret> {
        match self.get(name) {
            None => BTreeMap::new(),
            Some(Value::Object(values)) if !values.is_empty() => values
                .iter()
                .enumerate()
                .filter_map(|(index, (id, value))| {
                    let place = format!("{name}[{index}]");
                    if id.trim().is_empty() {
                        self.problem(&place, "has an empty id");
                    }
                    Some((id.trim().to_owned(), self.to_secret(&place, value)?))
                })
                .collect(),
            Some(_) => {
                self.problem(name, "must be an object of at least one text");
                BTreeMap::new()
            }
        }
    }

    /// A list of texts; it may be empty, its texts may not.
    pub(crate) fn texts(&self, name: &'static str) -> Option<Vec<String>> {
        match self.get(name)? {
            Value::Null => None,
            Value::Array(values) => {
                let texts: Vec<_> = values
                    .iter()
                    .filter_map(|value| value.as_str().map(str::trim).filter(|text| !text.is_empty()))
                    .map(str::to_owned)
                    .collect();
                if texts.len() != values.len() {
                    self.problem(name, "must be a list of texts that are not empty");
                }
                Some(texts)
            }
            _ => {
                self.problem(name, "must be a list of texts");
                None
            }
        }
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&self, name: &'static str, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(name)?;
        let word = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if word.is_none() {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.problem(name, &format!("must be one of {}", words.join(", ")));
        }
        word
    }

    fn whole_number(&self, name: &'static str) -> Option<u64> {
        let value = self.get(name).filter(|value| !value.is_null())?;
        let number = value.as_u64();
        if number.is_none() {
            self.problem(name, "must be a whole number");
        }
        number
    }

    fn object(&self, name: &'static str) -> Option<&'a Map<String, Value>> {
        let value = self.get(name).filter(|value| !value.is_null())?;
        let object = value.as_object();
        if object.is_none() {
            self.problem(name, "must be an object");
        }
        object
    }

    fn url(&self, name: &'static str) -> Option<BaseUrl> {
        let text = self.text(name)?;
        match BaseUrl::parse(&text) {
            Ok(url) => Some(url),
            Err(rule) => {
                self.problem(name, &rule.to_string());
                None
            }
        }
    }

    /// Notes an error if none of the fields is there.
    pub(crate) fn require_one_of(&self, names: &[&str]) {
        if !names.iter().any(|name| self.object.contains_key(*name)) {
            self.problem(&names.join(" or "), "is required");
        }
    }

    /// Notes what keeps an account from sending, if one of `wanting` shows that it is meant to.
    pub(crate) fn warn_of_missing(&self, wanting: &[&str], needed: &[&str]) {
        if wanting.iter().any(|name| self.has(name)) {
            for name in needed.iter().filter(|name| !self.has(name)) {
                self.warn(name, "is missing, so the account can't send");
            }
        }
    }

    /// Whether the field is there, with whatever value but null.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.object.get(name).is_some_and(|value| !value.is_null())
    }
}

#[cfg(test)]
mod tests;
