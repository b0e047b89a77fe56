//! Form parameters, which several providers send and sign.

use std::borrow::Cow;

use serde_json::Value;

use crate::{error::Error, sms::webhook::Rejection};

/// How many parameters a form may have; a message has some forty at most.
pub(crate) const PARAMETERS: usize = 250;

/// The longest name of a parameter.
const NAME_BYTES: usize = 64;

/// Whether a provider would name a parameter so: letters, digits, `-`, `_` and `.`, beginning with a letter or `_`. Where names and
/// values are signed without a separator, any other name may be part of a shifted value.
pub(crate) fn is_name(name: &str) -> bool {
    name.len() <= NAME_BYTES
        && name.starts_with(|first: char| first.is_alphabetic() || first == '_')
        && name.chars().all(|character| character.is_alphanumeric() || "-_.".contains(character))
}

/// Refuses what is no provider's form before it costs memory.
pub(crate) fn check(input: &[u8]) -> Result<(), Rejection> {
    let mut count = 0;
    for (name, _) in form_urlencoded::parse(input) {
        count += 1;
        if count > PARAMETERS || !is_name(&name) {
            return Err(Rejection::Malformed);
        }
    }
    Ok(())
}

/// Parameters in the order of their arrival, decoded. Blank and repeated ones are kept, since they are signed.
pub(crate) struct Form<'a> {
    pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> Form<'a> {
    /// Decodes a form body or a query. Bytes that are no UTF-8 become U+FFFD, as in the frameworks that the providers'
    /// SDKs are used with: a signature over decoded parameters is one over these.
    pub(crate) fn read(input: &'a [u8]) -> Self {
        Self { pairs: form_urlencoded::parse(input).collect() }
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
        Self { pairs }
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

#[cfg(test)]
mod tests {
    use super::{Form, PARAMETERS, Rejection, check};

    #[test]
    fn what_no_provider_sends_is_refused() {
        for (input, is_form) in [
            (&b""[..], true),
            (b"Body=Hello&MediaUrl0=x&api-key=1&concat_ref.x=2&&From=", true),
            (b"=x", false),
            (b"Body+Hello=x", false),
            (b"Body%2B1415=x", false),
            (b"1=x", false),
            ("Bödy=x".as_bytes(), true),
            ("👋=x".as_bytes(), false),
            (b"%FF=x", false),
        ] {
            assert_eq!(check(input), if is_form { Ok(()) } else { Err(Rejection::Malformed) }, "{input:?}");
        }
        assert!(check(&b"a&".repeat(PARAMETERS)).is_ok());
        assert!(check(&b"a&".repeat(PARAMETERS + 1)).is_err());
        assert!(check(format!("{}=x", "a".repeat(65)).as_bytes()).is_err());
    }

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
    fn bytes_that_are_no_text_are_replaced() {
        for (input, expected) in [
            (&b"a=x%FFy"[..], "x\u{fffd}y"),
            (b"a=x\xffy", "x\u{fffd}y"),
            (b"a=%EF%BF%BD", "\u{fffd}"),
            (b"a=%E9t%C3%A9", "\u{fffd}té"),
            (b"a=%ED%A0%BD", "\u{fffd}\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(Form::read(input).get("a"), Some(expected), "{input:?}");
        }
    }
}
