//! Form parameters, which several providers send and sign.

use std::borrow::Cow;

use serde_json::Value;

use crate::error::Error;

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
