//! Form parameters, which several providers send and sign.

use std::borrow::Cow;

use serde_json::Value;

use crate::error::{Error, Kind};

/// Parameters in the order of their arrival, decoded. Blank and repeated ones are kept, since they are signed.
pub(crate) struct Form<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    is_utf8: bool,
}

impl<'a> Form<'a> {
    /// Decodes a form body or a query. Bytes that are no UTF-8 become U+FFFD, as in the frameworks that the providers'
    /// SDKs are used with; [`Self::require_utf8`] tells.
    pub(crate) fn read(input: &'a [u8]) -> Self {
        let pairs: Vec<_> = form_urlencoded::parse(input).collect();
        let replaced: usize = pairs.iter().map(|(name, value)| replacements(name) + replacements(value)).sum();
        let is_utf8 = replaced == 0 || replaced <= written_replacements(input);
        Self { pairs, is_utf8 }
    }

    /// The parameters that a JSON object's own texts, numbers and booleans make; what is nested is left out.
    pub(crate) fn from_json(object: &'a serde_json::Map<String, Value>) -> Self {
        let pairs = object
            .iter()
            .filter_map(|(name, value)| {
                let value = match value {
                    Value::String(text) => Cow::Borrowed(text.as_str()),
                    Value::Number(number) => Cow::Owned(number.to_string()),
                    Value::Bool(flag) => Cow::Borrowed(if *flag { "true" } else { "false" }),
                    Value::Null | Value::Array(_) | Value::Object(_) => return None,
                };
                Some((Cow::Borrowed(name.as_str()), value))
            })
            .collect();
        Self { pairs, is_utf8: true }
    }

    /// Fails where bytes had to be replaced. Called after verification only: before it, a wrong byte is a wrong
    /// signature.
    pub(crate) fn require_utf8(self) -> Result<Self, Error> {
        if self.is_utf8 { Ok(self) } else { Err(Error::new(Kind::Validation, "The parameters are not UTF-8")) }
    }

    /// The first value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref())
    }

    /// The first value of a parameter, if it is more than white space.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.trim().is_empty())
    }

    /// A parameter that must be there and filled.
    pub(crate) fn required(&self, name: &'static str) -> Result<&str, Error> {
        self.filled(name).ok_or_else(|| Error::invalid(name, "is missing"))
    }

    /// All parameters, in the order of their arrival.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }
}

fn replacements(text: &str) -> usize {
    text.matches(char::REPLACEMENT_CHARACTER).count()
}

/// How many U+FFFD the sender wrote itself.
fn written_replacements(input: &[u8]) -> usize {
    let escaped = input.windows(9).filter(|window| window.eq_ignore_ascii_case(b"%EF%BF%BD")).count();
    let raw = input.windows(3).filter(|window| *window == "\u{FFFD}".as_bytes()).count();
    escaped + raw
}

#[cfg(test)]
mod tests {
    use super::Form;

    #[test]
    fn blank_and_repeated_parameters_are_kept() {
        let form = Form::read(b"a=1&b=&a=2&c&d=+x%2B");
        let pairs: Vec<_> = form.pairs().collect();
        assert_eq!(pairs, [("a", "1"), ("b", ""), ("a", "2"), ("c", ""), ("d", " x+")]);
        assert_eq!(form.get("a"), Some("1"));
        assert_eq!(form.filled("b"), None);
        assert!(form.required("b").is_err());
    }

    #[test]
    fn invalid_utf8_is_told_from_a_replacement_character() {
        for (input, valid) in [
            (&b"a=x"[..], true),
            (b"a=%EF%BF%BD", true),
            (b"a=%ef%bf%bd", true),
            ("a=\u{FFFD}".as_bytes(), true),
            (b"a=%FF", false),
            (b"a=\xff", false),
            (b"%FF=a", false),
            (b"a=%EF%BF%BD%FF", false),
            (b"a=%ED%A0%80", false),
        ] {
            assert_eq!(Form::read(input).require_utf8().is_ok(), valid, "{input:?}");
        }
    }
}
