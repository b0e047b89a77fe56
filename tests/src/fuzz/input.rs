//! What an input is made into: a whole document with some changes. So no mutation of it is wasted on broken JSON or on
//! names that nobody reads, and still nothing is out of reach, since any bytes can stand in the document's place.

use arbitrary::Arbitrary;
use serde_json::Value;

const MAX_EDITS: usize = 24;
const MAX_NODES: usize = 2_000;
const MAX_COPY: usize = 60;

/// A webhook to be made. Of no bytes at all: the template as it is, signed by its provider.
#[derive(Arbitrary, Debug)]
pub struct Input<'a> {
    pub signer: Signer,
    pub shape: Shape,
    /// Which of the provider's ways of signing or wrapping.
    pub way: u8,
    /// Seconds since it was signed.
    pub age: i16,
    pub query: Option<&'a str>,
    pub headers: Vec<(u8, &'a [u8])>,
    pub pairs: Vec<(&'a str, &'a str)>,
    pub document: Document<'a>,
}

/// Who signs.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    Provider,
    /// One who knows how, but not our secret.
    Stranger,
    Nobody,
}

/// How the parameters come, for those providers that leave the choice to the owner.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Form,
    Json,
    Query,
}

/// A template's JSON with changes, or any bytes.
#[derive(Arbitrary, Debug)]
pub struct Document<'a> {
    edits: Vec<Edit<'a>>,
    is_raw: bool,
    rest: &'a [u8],
}

#[derive(Arbitrary, Debug)]
struct Edit<'a> {
    /// The place, counted through the whole document.
    node: u16,
    change: Change<'a>,
}

#[derive(Arbitrary, Debug)]
enum Change<'a> {
    Replace(Leaf<'a>),
    /// Adds a member of a known name, or an item.
    Add(u16, Leaf<'a>),
    /// Adds a member of any name, or an item.
    AddNamed(&'a str, Leaf<'a>),
    /// Takes a member or an item away.
    Remove(u8),
}

#[derive(Arbitrary, Debug)]
enum Leaf<'a> {
    Text(&'a str),
    /// Some name or text of the template: the words that are read differently are among them.
    Word(u16),
    /// A copy of another place.
    Node(u16),
    Null,
    Flag(bool),
    Whole(i64),
    Real(f64),
    /// A number as text.
    Figures(f64),
    Lists(u8),
}

/// A document that is read as it is, and the words in it.
pub struct Template {
    value: Value,
    words: Vec<String>,
}

impl Template {
    pub fn new(value: Value, more_words: &[&str]) -> Self {
        let mut words = more_words.iter().map(|word| (*word).to_owned()).collect();
        collect_words(&value, &mut words);
        words.sort_unstable();
        words.dedup();
        Self { value, words }
    }

    /// The document.
    pub fn value(&self) -> &Value {
        &self.value
    }

    fn word(&self, index: u16) -> String {
        self.words[usize::from(index) % self.words.len()].clone()
    }
}

fn collect_words(value: &Value, words: &mut Vec<String>) {
    match value {
        Value::String(text) => words.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect_words(item, words)),
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            words.push(name.clone());
            collect_words(member, words);
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl<'a> Document<'a> {
    /// These bytes.
    pub fn of(bytes: &'a [u8]) -> Self {
        Self { edits: Vec::new(), is_raw: true, rest: bytes }
    }

    /// The template with the changes, whether or not there are bytes to stand in its place.
    pub fn edited(&self, template: &Template) -> Value {
        let mut value = template.value.clone();
        for edit in self.edits.iter().take(MAX_EDITS) {
            edit.apply(&mut value, template);
        }
        value
    }

    /// The bytes that stand in the document's place, if they do: all that is left of the input.
    pub fn raw(&self) -> Option<&[u8]> {
        self.is_raw.then_some(self.rest)
    }

    /// The bytes, or the edited document.
    pub fn bytes(&self, template: &Template) -> Vec<u8> {
        match self.raw() {
            Some(raw) => raw.to_vec(),
            None => self.edited(template).to_string().into_bytes(),
        }
    }
}

impl Edit<'_> {
    fn apply(&self, document: &mut Value, template: &Template) {
        let count = nodes(document);
        let leaf = |leaf: &Leaf<'_>, document: &Value| leaf.value(document, count, template);
        let (index, new) = match &self.change {
            Change::Replace(new) | Change::Add(_, new) | Change::AddNamed(_, new) => {
                (usize::from(self.node) % count, leaf(new, document))
            }
            Change::Remove(_) => (usize::from(self.node) % count, Value::Null),
        };
        if count + nodes(&new) > MAX_NODES {
            return;
        }
        let Some(place) = nth(document, &mut { index }) else { return };
        let name = match &self.change {
            Change::Add(word, _) => template.word(*word),
            Change::AddNamed(name, _) => (*name).to_owned(),
            Change::Replace(_) | Change::Remove(_) => String::new(),
        };
        match (place, &self.change) {
            (Value::Array(items), Change::Remove(at)) if !items.is_empty() => {
                items.remove(usize::from(*at) % items.len());
            }
            (Value::Object(members), Change::Remove(at)) if !members.is_empty() => {
                let name = members.keys().nth(usize::from(*at) % members.len()).cloned();
                name.and_then(|name| members.remove(&name));
            }
            (Value::Array(items), Change::Add(..) | Change::AddNamed(..)) => items.push(new),
            (Value::Object(members), Change::Add(..) | Change::AddNamed(..)) => {
                members.insert(name, new);
            }
            (place, _) => *place = new,
        }
    }
}

impl Leaf<'_> {
    fn value(&self, document: &Value, count: usize, template: &Template) -> Value {
        match self {
            Self::Text(text) => Value::from(*text),
            Self::Word(index) => template.word(*index).into(),
            Self::Node(index) => {
                let mut copy = document.clone();
                let found = nth(&mut copy, &mut (usize::from(*index) % count)).map(Value::take).unwrap_or_default();
                if nodes(&found) > MAX_COPY { Value::Null } else { found }
            }
            Self::Null => Value::Null,
            Self::Flag(flag) => Value::from(*flag),
            Self::Whole(number) => Value::from(*number),
            Self::Real(number) => Value::from(*number),
            Self::Figures(number) => Value::from(number.to_string()),
            Self::Lists(depth) => (0..*depth).fold(Value::Null, |inner, _| Value::Array(vec![inner])),
        }
    }
}

fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(nodes).sum(),
        Value::Object(members) => members.values().map(nodes).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// The place of an index, which is counted down.
fn nth<'v>(value: &'v mut Value, index: &mut usize) -> Option<&'v mut Value> {
    if *index == 0 {
        return Some(value);
    }
    *index -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| nth(item, index)),
        Value::Object(members) => members.values_mut().find_map(|member| nth(member, index)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}
