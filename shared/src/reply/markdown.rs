//! Markdown as text for a phone: what is said and how it is laid out stay, the markers of a renderer go.
//!
//! Connect's chat clients render CommonMark with GitHub's tables, single line ends kept (amazon-connect-chat-interface,
//! `RichMessageRenderer`). Agents also type what merely looks like Markdown, and a lost word costs more than a marker
//! too many. So some markers stay, where CommonMark would eat them:
//!
//! * emphasis within a word or number (`5*4`, `c******ll@g****.com`) or a bare URL, and of punctuation alone (`***-**-1234`);
//! * `~~struck~~`, which without its marks says the opposite;
//! * link definitions (`[Note]: urgent`) and the references to them;
//! * HTML that isn't well known (`a <b and c> d`);
//! * numbers of lists as written, if they rise, and `+` before an item.

mod html;

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use self::html::{HtmlTag, INLINE_TAGS};
use crate::reply::link::with_url;

/// Put between `]` and `:`, it makes a link definition a text; taken out of what is shown. A noncharacter: it stands in
/// no text, and Markdown gives it no meaning.
const GUARD: char = '\u{fdd0}';

/// Quotes and lists further in are not indented further: each line of a deep one would be as long as it is deep.
const MOST_INDENTS: usize = 6;

/// The text of `source`, whose line ends are `\n`. Not blank unless `source` is.
pub(super) fn text_of(source: &str) -> String {
    let guarded = source.replace(GUARD, "").replace("]:", &format!("]{GUARD}:"));
    let mut writer = Writer::new(&guarded);
    for (event, range) in Parser::new_ext(&guarded, Options::ENABLE_TABLES).into_offset_iter() {
        writer.event(event, range);
    }
    let text = writer.out.replace(GUARD, "").replace('\u{a0}', " ");
    // Markers and no more: `#`.
    if text.trim().is_empty() { source.trim().to_owned() } else { text.trim_end().to_owned() }
}

struct Writer<'a> {
    source: &'a str,
    /// Of bare URLs, in order.
    urls: Vec<Range<usize>>,
    out: String,
    /// Up to where the source is written.
    seen: usize,
    /// Line ends to write before what comes next.
    line_ends: usize,
    /// Whether what comes next goes on the line of its list marker.
    at_marker: bool,
    /// What begins a line, from the outermost.
    indents: Vec<&'static str>,
    /// The number of each open list's last item.
    lists: Vec<Option<u64>>,
    /// The marker of each open emphasis, if it stays.
    emphases: Vec<Option<&'a str>>,
    /// Where the text of each open link and image begins, and its URL.
    links: Vec<(usize, String)>,
    html_links: Vec<(usize, String)>,
    /// The text of the open code or HTML block, and what stands on its fence.
    block: Option<(String, String)>,
    /// Where the last cell of the open row ends.
    cell: Option<usize>,
}

impl<'a> Writer<'a> {
    fn new(source: &'a str) -> Self {
        Self {
            source,
            urls: bare_urls(source),
            out: String::with_capacity(source.len()),
            seen: 0,
            line_ends: 0,
            at_marker: false,
            indents: Vec::new(),
            lists: Vec::new(),
            emphases: Vec::new(),
            links: Vec::new(),
            html_links: Vec::new(),
            block: None,
            cell: None,
        }
    }

    fn event(&mut self, event: Event<'a>, range: Range<usize>) {
        match event {
            Event::Start(tag) => self.start(tag, range),
            Event::End(tag) => self.end(tag, range),
            Event::Text(text) | Event::Html(text) if self.block.is_some() => {
                if let Some((block, _)) = &mut self.block {
                    block.push_str(&text);
                }
            }
            Event::Text(text) | Event::Code(text) => self.write(&text, range),
            Event::Html(html) | Event::InlineHtml(html) => self.html(&html, range),
            Event::SoftBreak | Event::HardBreak => self.line_end(),
            Event::Rule => {
                self.new_block();
                self.write("---", range.start..range.start);
                self.skip(range);
                self.new_block();
            }
            // Of extensions that are not asked for.
            Event::FootnoteReference(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.write(&text, range);
            }
            Event::TaskListMarker(_) => {}
        }
    }

    fn start(&mut self, tag: Tag<'a>, range: Range<usize>) {
        match tag {
            Tag::BlockQuote(_) => {
                if self.at_marker {
                    self.out.push_str("> ");
                }
                self.new_block();
                self.indents.push("> ");
            }
            Tag::CodeBlock(kind) => {
                self.new_block();
                let info = match kind {
                    CodeBlockKind::Fenced(info) => info.to_string(),
                    CodeBlockKind::Indented => String::new(),
                };
                self.block = Some((String::new(), info));
            }
            Tag::HtmlBlock => {
                self.new_block();
                self.block = Some((String::new(), String::new()));
            }
            Tag::List(_) => {
                self.new_block();
                self.lists.push(None);
            }
            Tag::Item => self.item(range),
            Tag::TableHead | Tag::TableRow => {
                self.new_block();
                self.cell = None;
            }
            Tag::TableCell => {
                if self.cell.is_some() {
                    self.write(" | ", range.start..range.start);
                }
                self.cell = Some(range.end);
            }
            Tag::Emphasis => self.emphasis(&range, 1),
            Tag::Strong => self.emphasis(&range, 2),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                self.begin(range.start);
                self.links.push((self.out.len(), dest_url.to_string()));
            }
            _ => self.new_block(),
        }
    }

    fn end(&mut self, tag: TagEnd, range: Range<usize>) {
        match tag {
            TagEnd::BlockQuote(_) => {
                self.indents.pop();
                self.new_block();
            }
            TagEnd::CodeBlock => {
                if let Some((code, info)) = self.block.take() {
                    self.code(&code, &info, range);
                }
                self.new_block();
            }
            TagEnd::HtmlBlock => {
                if let Some((html, _)) = self.block.take() {
                    self.html(&html, range);
                }
                self.new_block();
            }
            TagEnd::List(_) => {
                self.lists.pop();
                self.new_block();
            }
            TagEnd::Item => {
                // An empty one.
                self.at_marker = false;
                self.indents.pop();
                self.new_block();
            }
            TagEnd::TableHead | TagEnd::TableRow => {
                // GitHub's tables drop cells that have no heading.
                let rest = self.cell.take().and_then(|end| self.source.get(end..range.end)).unwrap_or_default();
                let rest = rest.trim_matches(|character: char| character == '|' || character.is_whitespace());
                if !rest.is_empty() {
                    self.write(&format!(" | {rest}"), range);
                }
                self.new_block();
            }
            TagEnd::TableCell => {}
            TagEnd::Emphasis | TagEnd::Strong => {
                if let Some(marker) = self.emphases.pop().flatten() {
                    self.write(marker, range);
                }
            }
            TagEnd::Link | TagEnd::Image => {
                if let Some((start, url)) = self.links.pop() {
                    // A picture that is a link: the link is what can be opened.
                    let url = if tag == TagEnd::Image && !self.links.is_empty() { "" } else { url.as_str() };
                    self.close_link(start, url);
                }
                self.seen = self.seen.max(range.end);
            }
            _ => self.new_block(),
        }
    }

    /// Text of one line.
    fn write(&mut self, text: &str, range: Range<usize>) {
        if !text.is_empty() {
            self.begin(range.start);
            self.out.push_str(text);
        }
        self.seen = self.seen.max(range.end);
    }

    /// Ends the line, if there is more to come.
    fn line_end(&mut self) {
        self.line_ends = (self.line_ends + 1).min(2);
    }

    /// Begins a block, if there is more to come: on a line of its own, and after a blank one if the source has one.
    fn new_block(&mut self) {
        self.line_ends = self.line_ends.max(1);
    }

    /// Writes the line ends that are due before what is at `start` of the source.
    fn begin(&mut self, start: usize) {
        if self.out.is_empty() {
            self.indent();
        } else if !self.at_marker && self.line_ends > 0 {
            let between = self.source.get(self.seen..start).unwrap_or_default();
            self.out.truncate(self.out.trim_end_matches(' ').len());
            let end = self.out.len();
            let line_ends = if has_blank_line(between) { 2 } else { self.line_ends };
            self.out.extend(std::iter::repeat_n('\n', line_ends));
            self.indent();
            // A link whose text begins with a line end begins after it.
            let begun = self.out.len();
            let links = self.links.iter_mut().chain(&mut self.html_links);
            links.filter(|(start, _)| *start >= end).for_each(|(start, _)| *start = begun);
        }
        self.line_ends = 0;
        self.at_marker = false;
    }

    fn indent(&mut self) {
        self.out.extend(self.indents.iter().take(MOST_INDENTS).copied());
    }

    fn item(&mut self, range: Range<usize>) {
        self.new_block();
        self.begin(range.start);
        let item = self.source.get(range).unwrap_or_default().trim_start();
        let (digits, rest) =
            item.split_at(item.len() - item.trim_start_matches(|digit: char| digit.is_ascii_digit()).len());
        match (digits.parse::<u64>(), self.lists.last_mut()) {
            (Ok(number), Some(last)) => {
                let rises = last.is_none_or(|last| number > last);
                let number = if rises { number } else { last.unwrap_or_default().saturating_add(1) };
                *last = Some(number);
                let digits = if rises { digits.to_owned() } else { number.to_string() };
                self.out.push_str(&digits);
                self.out.push(if rest.starts_with(')') { ')' } else { '.' });
            }
            _ => self.out.push(if item.starts_with('+') { '+' } else { '-' }),
        }
        self.out.push(' ');
        self.at_marker = true;
        self.indents.push("  ");
    }

    /// An emphasis with markers of `width` bytes.
    fn emphasis(&mut self, range: &Range<usize>, width: usize) {
        let close = range.end.saturating_sub(width);
        let open = range.start..range.start + width;
        let says_nothing =
            |text: &str| text.chars().all(|character| character.is_ascii_punctuation() || character == ' ');
        let stays = [range.start, close].into_iter().any(|at| self.is_in_url(at) || self.is_within_word(at))
            || self.source.get(open.end..close).is_some_and(says_nothing);
        let marker = if stays { self.source.get(open.clone()) } else { None };
        if let Some(marker) = marker {
            self.write(marker, open);
        }
        self.emphases.push(marker);
    }

    /// Whether the run of markers at `at` stands in the middle of a word, as in `5*4`, `c******ll` and `g****.com`.
    fn is_within_word(&self, at: usize) -> bool {
        let (before, after) = self.source.split_at_checked(at).unwrap_or_default();
        let marker = after.chars().next().unwrap_or_default();
        let is_part = |outwards: &mut dyn Iterator<Item = char>| {
            // What joins the parts of an address may stand between.
            let mut rest =
                outwards.skip_while(|character| *character == marker).skip_while(|joint| ".@/".contains(*joint));
            rest.next().is_some_and(is_of_word)
        };
        is_part(&mut before.chars().rev()) && is_part(&mut after.chars())
    }

    fn is_in_url(&self, at: usize) -> bool {
        let next = self.urls.partition_point(|url| url.end <= at);
        self.urls.get(next).is_some_and(|url| url.contains(&at))
    }

    /// Adds the URL to the text from `start`, or puts it in its place.
    fn close_link(&mut self, start: usize, url: &str) {
        let text = with_url(self.out.get(start..).unwrap_or_default(), url);
        self.out.truncate(start);
        self.out.push_str(&text);
    }

    fn code(&mut self, code: &str, info: &str, range: Range<usize>) {
        let code = code.trim_end_matches('\n');
        let is_fenced_by_chance =
            || self.source.get(range.clone()).is_some_and(|fence| fence.trim_start().starts_with('~'));
        // The name of a language says nothing to a customer.
        if !info.is_empty() && (code.is_empty() || info.contains(' ') || is_fenced_by_chance()) {
            self.write(info, range.start..range.start);
            self.line_end();
        }
        if !code.is_empty() {
            self.begin(range.start);
            for (number, line) in code.split('\n').enumerate() {
                if number > 0 {
                    self.out.push('\n');
                    self.indent();
                }
                self.out.push_str(line);
            }
        }
        self.skip(range);
    }

    /// Marks the source up to the end of `range` as read, except its line ends.
    fn skip(&mut self, range: Range<usize>) {
        let text = self.source.get(range.clone()).unwrap_or_default();
        self.seen = self.seen.max(range.start + text.trim_end_matches('\n').len());
    }

    /// A tag, or a block of text and tags.
    fn html(&mut self, html: &str, range: Range<usize>) {
        let mut rest = html;
        while let Some((text, tag)) = rest.split_once('<') {
            self.html_text(text, range.start);
            rest = if let Some((_, after)) = tag.strip_prefix("!--").and_then(|comment| comment.split_once("-->")) {
                after
            } else if let Some((tag, after)) = HtmlTag::read(tag) {
                self.html_tag(&tag, range.start);
                let is_program = matches!(tag.name.as_str(), "script" | "style") && !tag.closes;
                if is_program { after.find("</").and_then(|end| after.get(end..)).unwrap_or_default() } else { after }
            } else {
                self.write("<", range.start..range.start);
                tag
            };
        }
        self.html_text(rest, range.start);
        self.skip(range);
    }

    /// What stands between tags. It has no `<`, so that no HTML is in it again.
    fn html_text(&mut self, text: &str, at: usize) {
        let ends = |edge: &str| {
            if edge.contains('\n') {
                "\n"
            } else if edge.is_empty() {
                ""
            } else {
                " "
            }
        };
        let trimmed = text.trim_start();
        let before = ends(text.get(..text.len() - trimmed.len()).unwrap_or_default());
        let after = ends(trimmed.get(trimmed.trim_end().len()..).unwrap_or_default());
        self.html_space(before);
        if trimmed.is_empty() {
            return;
        }
        let lines: Vec<&str> = trimmed.trim_end().lines().map(str::trim).collect();
        for (number, line) in text_of(&lines.join("\n")).split('\n').enumerate() {
            if number > 0 {
                self.line_end();
            }
            self.write(line, at..at);
        }
        self.html_space(after);
    }

    fn html_space(&mut self, space: &str) {
        match space {
            "\n" => self.new_block(),
            " " if self.line_ends == 0 && !self.at_marker && !self.out.ends_with(char::is_whitespace) => {
                self.out.push(' ')
            }
            _ => {}
        }
    }

    fn html_tag(&mut self, tag: &HtmlTag<'_>, at: usize) {
        match tag.name.as_str() {
            "br" => self.line_end(),
            "li" if tag.closes => {
                self.at_marker = false;
                self.new_block();
            }
            "li" => {
                self.new_block();
                self.write("- ", at..at);
                self.at_marker = true;
            }
            "hr" => {
                self.new_block();
                self.write("---", at..at);
                self.new_block();
            }
            "td" | "th" => self.html_space(" "),
            "a" if tag.closes => {
                if let Some((start, url)) = self.html_links.pop() {
                    self.close_link(start, &url);
                }
            }
            "a" => {
                self.begin(at);
                self.html_links.push((self.out.len(), tag.attribute("href")));
            }
            "img" => self.write(&with_url(&tag.attribute("alt"), &tag.attribute("src")), at..at),
            name if INLINE_TAGS.contains(&name) => {}
            _ => self.new_block(),
        }
    }
}

/// A letter of a script that has blanks between words and capitals, or a digit. In others, emphasis stands within a line
/// of letters.
fn is_of_word(character: char) -> bool {
    character.is_lowercase() || character.is_uppercase() || character.is_numeric()
}

/// Whether a whole line of `between` is blank, markers of quotes aside.
fn has_blank_line(between: &str) -> bool {
    let mut lines = between.split('\n');
    lines.next();
    lines.next_back();
    lines.any(|line| line.trim_matches([' ', '\t', '>']).is_empty())
}

/// URLs that stand in the text as they are, without the punctuation at their end (as GitHub's autolinks go).
fn bare_urls(source: &str) -> Vec<Range<usize>> {
    let mut urls = Vec::new();
    let mut from = 0;
    while let Some(at) = source.get(from..).and_then(|rest| rest.find("://")).map(|at| from + at) {
        let rest = source.get(at..).unwrap_or_default();
        let stops = |character: char| character.is_whitespace() || "<>[]|\"`".contains(character);
        let url = rest.get(..rest.find(stops).unwrap_or(rest.len())).unwrap_or(rest);
        urls.push(at..at + url.trim_end_matches(|end: char| "?!.,:;*_~'()".contains(end)).len());
        from = at + url.len().max(1);
    }
    urls
}

#[cfg(test)]
mod tests;
