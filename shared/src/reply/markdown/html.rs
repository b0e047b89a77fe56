//! HTML tags in Markdown.

/// Tags within a line.
pub(super) const INLINE_TAGS: [&str; 26] = [
    "a", "b", "big", "cite", "code", "del", "em", "font", "i", "img", "ins", "kbd", "label", "mark", "q", "s", "small",
    "span", "strike", "strong", "sub", "sup", "td", "th", "tt", "u",
];

/// Tags that begin and end a line.
const BLOCK_TAGS: [&str; 29] = [
    "blockquote",
    "body",
    "br",
    "center",
    "dd",
    "div",
    "dl",
    "dt",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hr",
    "html",
    "li",
    "ol",
    "p",
    "pre",
    "script",
    "section",
    "style",
    "table",
    "tr",
    "ul",
];

/// A tag that people and programs write. `<b and c>` is not one.
pub(super) struct HtmlTag<'a> {
    /// In lower case.
    pub(super) name: String,
    attributes: &'a str,
    pub(super) closes: bool,
}

impl<'a> HtmlTag<'a> {
    /// The tag at the start of `text`, after its `<`, and what follows it.
    pub(super) fn read(text: &'a str) -> Option<(Self, &'a str)> {
        let (tag, after) = text.split_at_checked(text.find(['<', '>'])?)?;
        let after = after.strip_prefix('>')?;
        let (tag, closes) = tag.strip_prefix('/').map_or((tag, false), |tag| (tag, true));
        let attributes = tag.trim_start_matches(|character: char| character.is_ascii_alphanumeric());
        let name = tag.strip_suffix(attributes)?.to_ascii_lowercase();
        let attributes = attributes.trim().trim_end_matches('/').trim_end();
        let is_known = INLINE_TAGS.contains(&name.as_str()) || BLOCK_TAGS.contains(&name.as_str());
        let is_meant = attributes.is_empty() || !closes && attributes.contains('=');
        (is_known && is_meant).then_some((Self { name, attributes, closes }, after))
    }

    /// The value of an attribute, or nothing. Of entities only the one is read that every query has to have.
    pub(super) fn attribute(&self, name: &str) -> String {
        let mut rest = self.attributes;
        while let Some((key, value)) = rest.split_once('=') {
            let value = value.trim_start();
            let quoted = ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.split_once(quote));
            let (value, after) = quoted.or_else(|| value.split_once(char::is_whitespace)).unwrap_or((value, ""));
            if key.split_whitespace().next_back().is_some_and(|key| key.eq_ignore_ascii_case(name)) {
                return value.replace("&amp;", "&");
            }
            rest = after;
        }
        String::new()
    }
}
