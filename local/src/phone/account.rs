//! An account of the settings document.

use std::fmt;

use serde_json::Value;

/// An account, and the secrets that it shares with the bridge.
#[derive(Clone)]
pub(super) struct Account {
    pub(super) name: String,
    settings: Value,
}

/// Without the settings, which are secrets.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Account {
    /// The account, and its provider's name.
    pub(super) fn read(settings: &Value) -> Option<(Self, &str)> {
        let provider = settings.get("provider")?.as_str()?;
        let name = settings.get("name").and_then(Value::as_str).unwrap_or(provider);
        Some((Self { name: name.to_owned(), settings: settings.clone() }, provider))
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
