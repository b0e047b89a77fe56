//! The JSON that strangers send: read into a tree whose size is linear in the text's, within bounds on depth and lists.
//!
//! `serde_json::Value` would do but for its size: an object of one member costs it more than six hundred bytes.

mod known;

use std::fmt;

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Number, error::Category};

pub(crate) use self::known::{is_bounded, parse};
use crate::mend;

/// How many lists and objects may stand in one another.
pub(crate) const DEPTH: usize = 16;

/// How many items a list may have.
pub(crate) const ITEMS: usize = 100;

/// A JSON value.
#[derive(Clone)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(Number),
    Text(Box<str>),
    List(Box<[Self]>),
    Object(Members),
}

/// The members of an object: sorted by name, each name once.
#[derive(Clone, Default)]
pub(crate) struct Members(Box<[Member]>);

type Member = (Box<str>, Json);

impl Members {
    pub(crate) fn get(&self, name: &str) -> Option<&Json> {
        let at = self.0.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Json {
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::List(_) | Self::Object(_) => None,
        }
    }

    pub(crate) fn as_number(&self) -> Option<&Number> {
        match self {
            Self::Number(number) => Some(number),
            Self::Null | Self::Bool(_) | Self::Text(_) | Self::List(_) | Self::Object(_) => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Object(_) => None,
        }
    }

    pub(crate) fn as_object(&self) -> Option<&Members> {
        match self {
            Self::Object(members) => Some(members),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::List(_) => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

/// What an object may do that has a name twice.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeated {
    /// The last one counts, as in a browser.
    LastCounts,
    /// It is refused: of such an object, two readers may see two things.
    Refused,
}

/// Why a text can't be read.
pub(crate) struct Broken {
    /// Where, as `serde_path_to_error` writes it.
    pub(crate) path: String,
    /// A sentence's end, such as "is not valid JSON: …". It holds no part of the text.
    pub(crate) rule: String,
}

impl Broken {
    fn new(path: String, error: &serde_json::Error) -> Self {
        // What ends too early lacks its end, wherever that is.
        let path = if error.is_eof() { String::new() } else { path };
        let rule = match error.classify() {
            // Our own words.
            Category::Data => error.to_string(),
            Category::Syntax | Category::Eof | Category::Io => format!("is not valid JSON: {error}"),
        };
        // What ends too early lacks its end, wherever that is.
        let path = if error.is_eof() { String::new() } else { path };
        Self { path, rule }
    }
}

/// Reads one value. Escapes that are not Unicode are repaired ([`mend::json`]); bytes that are not UTF-8 are no JSON.
pub(crate) fn read(text: &[u8], repeated: Repeated) -> Result<Json, Broken> {
    let mended = std::str::from_utf8(text).map(|_| mend::json(text));
    let mut reader = serde_json::Deserializer::from_slice(mended.as_ref().map_or(text, |mended| mended.as_bytes()));
    let mut track = serde_path_to_error::Track::new();
    let tracked = serde_path_to_error::Deserializer::new(&mut reader, &mut track);
    let value = Bounded { depth: 0, repeated }
        .deserialize(tracked)
        .map_err(|error| Broken::new(track.path().to_string(), &error))?;
    reader.end().map_err(|error| Broken::new(String::new(), &error))?;
    Ok(value)
}

#[derive(Clone, Copy)]
struct Bounded {
    depth: usize,
    repeated: Repeated,
}

impl Bounded {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == DEPTH {
            return Err(E::custom("is nested deeper than 16 levels"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Bounded {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            if list.len() == ITEMS {
                return Err(A::Error::custom("is a list of more than 100 items"));
            }
            grow(&mut list);
            list.push(item);
        }
        Ok(Json::List(list.into()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let inner = self.inner()?;
        let mut members: Vec<Member> = Vec::new();
        let mut is_unique = true;
        while let Some(name) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(inner)?;
            if members.len() == members.capacity() {
                is_unique &= sort(&mut members);
                grow(&mut members);
            }
            members.push((name.into(), value));
        }
        is_unique &= sort(&mut members);
        if !is_unique && self.repeated == Repeated::Refused {
            return Err(A::Error::custom("has a name twice"));
        }
        Ok(Json::Object(Members(members.into())))
    }
}

/// Makes room by half, where `Vec` would double.
fn grow<T>(list: &mut Vec<T>) {
    if list.len() + list.len() / 4 >= list.capacity() {
        list.reserve_exact(1 + list.len() / 2);
    }
}

/// Sorts by name and leaves the last member of each; whether there was one of each only.
fn sort(members: &mut Vec<Member>) -> bool {
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    let before = members.len();
    members.dedup_by(|later, kept| {
        let is_same = later.0 == kept.0;
        if is_same {
            std::mem::swap(later, kept);
        }
        is_same
    });
    members.len() == before
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &Json) -> String {
        match value {
            Json::Null => "null".to_owned(),
            Json::Bool(value) => value.to_string(),
            Json::Number(number) => number.to_string(),
            Json::Text(text) => format!("{text:?}"),
            Json::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(",")),
            Json::Object(members) => {
                let members: Vec<_> = members.iter().map(|(name, value)| format!("{name}:{}", shown(value))).collect();
                format!("{{{}}}", members.join(","))
            }
        }
    }

    fn outcome(text: &str, repeated: Repeated) -> String {
        match read(text.as_bytes(), repeated) {
            Ok(value) => shown(&value),
            Err(broken) => format!("{} {}", broken.path, broken.rule),
        }
    }

    #[test]
    fn values_are_read_and_the_last_of_a_name_counts() {
        let text = r#"{"b":[1,-2,1.5,true,null,"é\n"],"a":1,"c":{},"a":{"x":2},"a":3}"#;
        assert_eq!(outcome(text, Repeated::LastCounts), r#"{a:3,b:[1,-2,1.5,true,null,"é\n"],c:{}}"#);
        let error = outcome(text, Repeated::Refused);
        assert!(error.contains("has a name twice"), "{error}");
        assert_eq!(outcome(r#"{"b":{"a":1},"a":{"a":2}}"#, Repeated::Refused), "{a:{a:2},b:{a:1}}");
        let many: Vec<_> = (0..500).map(|n| format!(r#""{}":{n}"#, n % 7)).collect();
        let last = outcome(&format!("{{{}}}", many.join(",")), Repeated::LastCounts);
        assert_eq!(last, "{0:497,1:498,2:499,3:493,4:494,5:495,6:496}");
    }

    #[test]
    fn depth_and_lists_are_bounded() {
        let nested = |depth: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert!(read(nested(16).as_bytes(), Repeated::LastCounts).is_ok());
        let error = outcome(&nested(17), Repeated::LastCounts);
        assert!(error.starts_with("a[0]") && error.contains("is nested deeper than 16 levels"), "{error}");
        let list = |items: usize| format!(r#"{{"a":[{}]}}"#, vec!["0"; items].join(","));
        assert!(read(list(100).as_bytes(), Repeated::LastCounts).is_ok());
        let error = outcome(&list(101), Repeated::LastCounts);
        assert!(error.starts_with('a') && error.contains("is a list of more than 100 items"), "{error}");
    }

    #[test]
    fn lone_surrogates_are_mended_and_pairs_are_kept() {
        for (text, expected) in [
            (r#""\ud83d\ude00""#, "😀"),
            (r#""\uD83D\uDE00!""#, "😀!"),
            (r#""a\ud83d""#, "a\u{fffd}"),
            (r#""\ud83db""#, "\u{fffd}b"),
            (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\ud83d\n""#, "\u{fffd}\n"),
            (r#""\\ud83d""#, r"\ud83d"),
            (r#""\\\ud83d""#, "\\\u{fffd}"),
            (r#""\u00e9\ufffd""#, "é\u{fffd}"),
        ] {
            assert_eq!(outcome(text, Repeated::LastCounts), format!("{expected:?}"), "{text}");
        }
        for text in [r#""\ud83""#, r#""\ud8zz""#, r#""\u+123""#, r"\ud83d", r#""\"#] {
            assert!(read(text.as_bytes(), Repeated::LastCounts).is_err(), "{text}");
        }
        // A name, too.
        assert_eq!(outcome(r#"{"\udc00":1}"#, Repeated::LastCounts), "{\u{fffd}:1}");
    }
}
