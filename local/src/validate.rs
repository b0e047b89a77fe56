//! Reading a JSON request under a service model's constraints. Every violation names the member.

use serde_json::{Map, Value};

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) kind: ViolationKind,
    pub(crate) message: String,
}

/// Connect tells the two apart (InvalidRequestException, InvalidParameterException); the Participant Service does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ViolationKind {
    /// The request as a whole: unreadable, a member missing or of the wrong type, members that exclude each other.
    Request,
    /// The value of a member is outside its constraint.
    Parameter,
}

/// What validation returns.
pub(crate) type Valid<T> = Result<T, Violation>;

pub(crate) fn bad_request<T>(message: impl Into<String>) -> Valid<T> {
    Err(Violation { kind: ViolationKind::Request, message: message.into() })
}

pub(crate) fn bad_parameter<T>(message: impl Into<String>) -> Valid<T> {
    Err(Violation { kind: ViolationKind::Parameter, message: message.into() })
}

/// A length constraint. The models count characters; message content is documented in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Length {
    min: usize,
    max: usize,
    bytes: bool,
}

/// Length in characters.
pub(crate) const fn chars(min: usize, max: usize) -> Length {
    Length { min, max, bytes: false }
}

/// Length in UTF-8 bytes.
pub(crate) const fn bytes(min: usize, max: usize) -> Length {
    Length { min, max, bytes: true }
}

/// Checks a string's length.
pub(crate) fn check_length(path: &str, text: &str, length: Length) -> Valid<()> {
    let Length { min, max, bytes } = length;
    let (count, unit) = if bytes { (text.len(), "bytes") } else { (text.chars().count(), "characters") };
    if count < min || count > max {
        return bad_parameter(format!("{path} must have {min} to {max} {unit}"));
    }
    Ok(())
}

/// A string, by its path.
pub(crate) fn string<'a>(path: &str, value: &'a Value, length: Length) -> Valid<&'a str> {
    let Value::String(text) = value else { return bad_request(format!("{path} must be a string")) };
    check_length(path, text, length)?;
    Ok(text)
}

/// One of some words, by its path.
pub(crate) fn word<'a>(path: &str, value: &'a Value, words: &[&str]) -> Valid<&'a str> {
    let Value::String(text) = value else { return bad_request(format!("{path} must be a string")) };
    if !words.contains(&text.as_str()) {
        return bad_parameter(format!("{path} must be one of {}", words.join(", ")));
    }
    Ok(text)
}

/// A JSON object of the request, with its path. `null` counts as absent, and unknown members are ignored: rest-json.
#[derive(Clone, Debug)]
pub(crate) struct Object<'a> {
    path: String,
    members: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    /// The request's body.
    pub(crate) fn root(body: &'a Value) -> Valid<Self> {
        Self::new(String::new(), body)
    }

    pub(crate) fn new(path: String, value: &'a Value) -> Valid<Self> {
        let Value::Object(members) = value else {
            let name = if path.is_empty() { "The body" } else { &path };
            return bad_request(format!("{name} must be a JSON object"));
        };
        Ok(Self { path, members })
    }

    /// The path of a member, as messages name it.
    pub(crate) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// A member.
    pub(crate) fn value(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// Every member with its path.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (String, &'a str, &'a Value)> {
        self.members.iter().map(|(name, value)| (self.path(name), name.as_str(), value))
    }

    pub(crate) fn string(&self, name: &str, length: Length) -> Valid<Option<&'a str>> {
        self.value(name).map(|value| string(&self.path(name), value, length)).transpose()
    }

    pub(crate) fn owned(&self, name: &str, length: Length) -> Valid<Option<String>> {
        Ok(self.string(name, length)?.map(str::to_owned))
    }

    pub(crate) fn required_string(&self, name: &str, length: Length) -> Valid<&'a str> {
        self.required(name, self.string(name, length)?)
    }

    pub(crate) fn word(&self, name: &str, words: &[&str]) -> Valid<Option<&'a str>> {
        self.value(name).map(|value| word(&self.path(name), value, words)).transpose()
    }

    pub(crate) fn integer(&self, name: &str, min: i64, max: i64) -> Valid<Option<i64>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let path = self.path(name);
        let Some(number) = value.as_i64() else { return bad_request(format!("{path} must be an integer")) };
        if number < min || number > max {
            return bad_parameter(format!("{path} must be {min} to {max}"));
        }
        Ok(Some(number))
    }

    pub(crate) fn boolean(&self, name: &str) -> Valid<Option<bool>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let Some(value) = value.as_bool() else {
            return bad_request(format!("{} must be true or false", self.path(name)));
        };
        Ok(Some(value))
    }

    pub(crate) fn object(&self, name: &str) -> Valid<Option<Self>> {
        self.value(name).map(|value| Self::new(self.path(name), value)).transpose()
    }

    /// The items of a list, each with its path. No bound: `usize::MAX`.
    pub(crate) fn list(&self, name: &str, min: usize, max: usize) -> Valid<Option<Vec<(String, &'a Value)>>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let path = self.path(name);
        let Value::Array(items) = value else { return bad_request(format!("{path} must be a list")) };
        if items.len() < min || items.len() > max {
            return bad_parameter(format!("{path} must have {min} to {max} items"));
        }
        Ok(Some(items.iter().enumerate().map(|(index, item)| (format!("{path}[{index}]"), item)).collect()))
    }

    /// Turns an absent member into a violation.
    pub(crate) fn required<T>(&self, name: &str, value: Option<T>) -> Valid<T> {
        match value {
            Some(value) => Ok(value),
            None => bad_request(format!("{} is required", self.path(name))),
        }
    }
}
