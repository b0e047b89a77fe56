//! The fields of the settings document: read by name, with everything that is wrong noted at once.

use std::{cell::RefCell, collections::BTreeMap};

use serde_json::{Map, Value};

use crate::{secret::Secret, url::BaseUrl};

/// What is wrong with the document.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) problems: Vec<String>,
    pub(crate) warnings: Vec<String>,
}

/// The fields of one object of the document, read by name. What is wrong is noted, and reading goes on, so that an owner
/// is told everything at once; the document is then refused.
pub(crate) struct Fields<'a> {
    object: &'a Map<String, Value>,
    /// Where it stands, for the owner.
    pub(crate) place: String,
    pub(crate) findings: &'a RefCell<Findings>,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(object: &'a Map<String, Value>, place: String, findings: &'a RefCell<Findings>) -> Self {
        Self { object, place, findings, known: RefCell::default() }
    }

    pub(crate) fn get(&self, name: &'static str) -> Option<&'a Value> {
        self.known.borrow_mut().push(name);
        self.object.get(name)
    }

    pub(crate) fn refuse(&self, rule: &str) {
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

    /// An unknown name is most likely a misspelt one, whose setting would silently have no effect.
    pub(crate) fn refuse_unknown(&self) {
        let known = self.known.borrow();
        for name in self.object.keys().filter(|name| !known.contains(&name.as_str())) {
            // A name that is no plain word may be a value in the wrong place.
            let is_word = name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            self.problem(if is_word { name } else { "a field" }, "is unknown");
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

    pub(crate) fn whole_number(&self, name: &'static str) -> Option<u64> {
        let value = self.get(name).filter(|value| !value.is_null())?;
        let number = value.as_u64();
        if number.is_none() {
            self.problem(name, "must be a whole number");
        }
        number
    }

    pub(crate) fn object(&self, name: &'static str) -> Option<&'a Map<String, Value>> {
        let value = self.get(name).filter(|value| !value.is_null())?;
        let object = value.as_object();
        if object.is_none() {
            self.problem(name, "must be an object");
        }
        object
    }

    pub(crate) fn url(&self, name: &'static str) -> Option<BaseUrl> {
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
