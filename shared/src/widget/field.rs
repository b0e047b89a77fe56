//! Values of a request, read by name. What is wrong is an error that names the way to it, which is put together for the
//! error only: a stranger's names may be long, and many.

use std::{collections::BTreeSet, ops::RangeInclusive};

use serde_json::Number;

use crate::{
    error::{Error, Result},
    json::{Json, Members},
};

/// The way to a value: its name, its place where it is an item of a list, and the way to what it stands in.
#[derive(Clone, Copy)]
struct Path<'a> {
    parent: Option<&'a Self>,
    name: &'a str,
    item: Option<usize>,
}

impl Path<'_> {
    fn shown(&self) -> String {
        let mut shown = self.parent.map(Path::shown).unwrap_or_default();
        if !shown.is_empty() && (self.item.is_none() || !self.name.is_empty()) {
            shown.push('.');
        }
        shown.push_str(&shorten(self.name));
        if let Some(item) = self.item {
            shown.push_str(&format!("[{item}]"));
        }
        shown
    }
}

/// A value and the way to it.
pub(super) struct Field<'a> {
    path: Path<'a>,
    pub(super) value: &'a Json,
}

/// A JSON object and the way to it. A member that is null counts as absent.
pub(super) struct Object<'a> {
    path: Path<'a>,
    members: &'a Members,
}

impl<'a> Field<'a> {
    /// A request's body.
    pub(super) fn body(value: &'a Json) -> Self {
        Self { path: Path { parent: None, name: "", item: None }, value }
    }

    /// That it breaks a rule.
    pub(super) fn invalid(&self, rule: impl std::fmt::Display) -> Error {
        let path = self.path.shown();
        Error::invalid(if path.is_empty() { "body".to_owned() } else { path }, rule)
    }

    pub(super) fn string(&self) -> Result<&'a str> {
        let text = self.value.as_str().ok_or_else(|| self.not("a string"))?;
        self.no_nul(text)?;
        Ok(text)
    }

    /// Connect takes no NUL, and no keyboard types one.
    pub(super) fn no_nul(&self, text: &str) -> Result<()> {
        if text.contains('\0') { Err(self.invalid("must not hold a NUL character")) } else { Ok(()) }
    }

    /// A whole number; clients that know only doubles may write it as `120.0`.
    pub(super) fn integer(&self) -> Result<i32> {
        let number = self.value.as_number().and_then(Number::as_f64).filter(|number| number.fract() == 0.0);
        let number = number.ok_or_else(|| self.not("a whole number"))?;
        if number < f64::from(i32::MIN) || number > f64::from(i32::MAX) {
            return Err(self.invalid("is out of range"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "whole and within the range of i32")]
        Ok(number as i32)
    }

    pub(super) fn object(&self) -> Result<Object<'a>> {
        let members = self.value.as_object().ok_or_else(|| self.not("an object"))?;
        Ok(Object { path: self.path, members })
    }

    /// The items of a list, which is no list's item itself.
    pub(super) fn items(&self) -> Result<Vec<Self>> {
        let items = self.value.as_list().ok_or_else(|| self.not("a list"))?;
        let place = |item| Path { item: Some(item), ..self.path };
        Ok(items.iter().enumerate().map(|(item, value)| Self { path: place(item), value }).collect())
    }

    pub(super) fn length(&self, chars: usize, range: RangeInclusive<usize>) -> Result<()> {
        let (least, most) = (range.start(), range.end());
        match range.contains(&chars) {
            true => Ok(()),
            false => Err(self.invalid(format_args!("must be {least} to {most} characters long"))),
        }
    }

    fn not(&self, kind: &str) -> Error {
        self.invalid(format_args!("must be {kind}"))
    }

    pub(super) fn not_one_of(&self, words: &[&str]) -> Error {
        self.invalid(format_args!("must be one of {}", words.join(", ")))
    }
}

impl<'a> Object<'a> {
    /// A token's claims.
    pub(super) fn claims(members: &'a Members) -> Self {
        Self { path: Path { parent: None, name: "token", item: None }, members }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.members.iter().map(|(name, _)| name)
    }

    pub(super) fn field<'s>(&'s self, name: &'s str) -> Option<Field<'s>> {
        let value = self.members.get(name).filter(|value| !value.is_null())?;
        Some(Field { path: Path { parent: Some(&self.path), name, item: None }, value })
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = (&str, Field<'_>)> {
        let path = &self.path;
        let place = move |name| Path { parent: Some(path), name, item: None };
        self.members.iter().map(move |(name, value)| (name, Field { path: place(name), value }))
    }

    pub(super) fn missing(&self, name: &str) -> Error {
        let path = Path { parent: Some(&self.path), name, item: None };
        Error::invalid(path.shown(), "is required")
    }

    pub(super) fn text(&self, name: &str, chars: RangeInclusive<usize>) -> Result<Option<String>> {
        let Some(field) = self.field(name) else { return Ok(None) };
        let text = field.string()?;
        field.length(text.chars().count(), chars)?;
        Ok(Some(text.to_owned()))
    }

    pub(super) fn word(&self, name: &str, words: &[&str]) -> Result<Option<String>> {
        let Some(field) = self.field(name) else { return Ok(None) };
        match field.string()? {
            word if words.contains(&word) => Ok(Some(word.to_owned())),
            _ => Err(field.not_one_of(words)),
        }
    }

    pub(super) fn object<'s>(&'s self, name: &'s str) -> Result<Option<Object<'s>>> {
        self.field(name).map(|field| field.object()).transpose()
    }

    pub(super) fn list<'s>(&'s self, name: &'s str) -> Result<Option<Vec<Field<'s>>>> {
        self.field(name).map(|field| field.items()).transpose()
    }

    pub(super) fn words(&self, name: &str, words: &[&str], count: RangeInclusive<usize>) -> Result<Vec<String>> {
        let Some(field) = self.field(name) else { return Ok(Vec::new()) };
        let list = field.items()?;
        if !count.contains(&list.len()) {
            return Err(field.invalid(format_args!("must hold {} to {} items", count.start(), count.end())));
        }
        let mut seen = BTreeSet::new();
        for field in &list {
            let word = field.string()?;
            if !words.contains(&word) {
                return Err(field.not_one_of(words));
            }
            if !seen.insert(word) {
                return Err(field.invalid("is there twice"));
            }
        }
        list.iter().map(|field| field.string().map(str::to_owned)).collect()
    }
}

/// A name in an error is for a person: the caller's own key, cut where it goes on for pages.
pub(super) fn shorten(name: &str) -> String {
    match name.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}
