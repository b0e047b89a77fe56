//! How large a text is in SMS segments, and its parts where a provider takes less at once.
//!
//! Published rules: 3GPP TS 23.038 section 6.2.1 (the GSM 7 bit default alphabet and its extension table, whose
//! characters are two septets: an escape and a code) and 3GPP TS 23.040 section 9.2.3.24.1 (140 octets to a message,
//! of which a concatenated one gives 6 to its header). So 160 septets or 70 UTF-16 units in a message of its own, 153
//! or 67 in a segment of several. National language tables are left out: senders would have to ask for them, and the
//! providers' own calculators don't count with them.

use unicode_segmentation::UnicodeSegmentation;

/// How a text travels: as GSM-7 if each of its characters is in the alphabet, else as UCS-2 as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// GSM 7 bit default alphabet, without national tables.
    Gsm7,
    /// UTF-16 in all but name: phones take surrogate pairs.
    Ucs2,
}

/// What a text takes on the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// How it travels.
    pub encoding: Encoding,
    /// Septets, or UTF-16 units.
    pub units: usize,
    /// Messages that it is sent as, and paid for. One for the empty text, as Twilio's calculator has it.
    pub segments: usize,
}

/// The most that one send takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Septets or UTF-16 units, by the encoding that the part itself has.
    Units(usize),
    /// Segments, by the encoding that the part itself has.
    Segments(usize),
    /// Unicode scalar values, in whatever encoding: for what is not SMS.
    Characters(usize),
}

/// The size of `text`, as it is: nothing is trimmed, no character replaced by a cheaper one.
pub fn size(text: &str) -> Size {
    text.chars().collect::<Count>().size()
}

/// `text` in parts within `limit`, in order; none where it is blank: [`first`], again and again.
pub fn split(text: &str, limit: Limit) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((part, after)) = first(rest, limit) {
        parts.push(part.to_owned());
        rest = after;
    }
    parts
}

/// The first part of `text`, within `limit`, and what follows it, without the white space at the text's end; nothing where
/// the text is blank. No part is blank, and neither is what follows, unless it is nothing.
///
/// A part is as long as the limit lets it be, save that it ends where a reader would pause: at a blank line, line
/// end or sentence end in its last quarter, else at white space in its last two thirds, else at white space before a
/// word (a link, for one) that would fit into a part of its own, else between two graphemes: a word is cut only where it
/// fits no part. White space at a cut, and at the ends of the text, is dropped, and nothing else is.
///
/// A grapheme that is larger than the limit by itself is cut between characters. A character that is (a limit of no
/// units, or an emoji in one) is a part of its own, beyond the limit.
///
/// What a part is depends on nothing before it.
pub fn first(text: &str, limit: Limit) -> Option<(&str, &str)> {
    let mut rest = trim_end(trim_start(text));
    while !rest.is_empty() {
        let (part, after) = rest.split_at_checked(cut(rest, limit)).unwrap_or((rest, ""));
        rest = trim_start(after);
        // Blank only where a limit of a character or so cuts a space from the accent on it.
        if !part.trim().is_empty() {
            return Some((part, rest));
        }
    }
    None
}

/// Where the first part of `rest` ends, in bytes; more than 0. `rest` begins and ends with what is not white space.
///
/// It is one function because all that it looks for is found in one pass: a text may be long, and is cut once for each part.
fn cut(rest: &str, limit: Limit) -> usize {
    // Between characters: the most that can fit, and how far to look. A text that turns from GSM-7 into UCS-2 can get
    // smaller ('[' is two septets and one unit), so the first prefix that is too long need not be the last.
    let mut count = Count::default();
    let mut within = None;
    let mut window = 0;
    for (start, character) in rest.char_indices() {
        window = start + character.len_utf8();
        count.push(character);
        if count.fits(limit) {
            within = Some(window);
        } else if !count.may_fit(limit) {
            break;
        }
    }
    if within == Some(rest.len()) {
        return rest.len();
    }

    // Between graphemes, each of which depends on what is before it and one character after it: the last one in the
    // window may be torn, and doesn't fit.
    let mut count = Count::default();
    let mut hard = None;
    let mut pauses = [None; 4];
    // Before the last word, and where that begins. Some scripts have no words: a full stop without a blank is none.
    let mut before_word: Option<(Place, usize)> = None;
    // The last word, after white space of any kind: what fits before it, and where it begins.
    let mut last_word: Option<(Place, usize)> = None;
    // What stood last that isn't white space, and what the white space after it means so far.
    let (mut last, mut ends) = ("", None);
    let mut pause = Pause::Blank;
    // The grapheme before, and where the word begins that it is in.
    let (mut before, mut word) = ("", 0);
    for (start, grapheme) in rest.get(..window).unwrap_or(rest).grapheme_indices(true) {
        count.extend(grapheme.chars());
        let last_grapheme = std::mem::replace(&mut before, grapheme);
        let kind = if is_white(grapheme) {
            pause = pause.max(Pause::at(grapheme, last, pause));
            last_word = match ends {
                Some(place) => Some((place, start + grapheme.len())),
                // No part ends after the word before this: it is not cut either, where it fits a part.
                None if word_fits(rest, word, is_white, limit) => last_word,
                None => hard.map(|place| (place, start + grapheme.len())),
            };
            if !is_glue(grapheme) {
                before_word = ends.map(|place| (place, start + grapheme.len())).or(before_word);
            }
            (!is_glue(grapheme)).then_some(pause)
        } else {
            let place = Place { end: start + grapheme.len(), characters: count.characters };
            if is_white(last_grapheme) {
                word = start;
            }
            (last, ends) = (grapheme, count.fits(limit).then_some(place));
            hard = ends.or(hard);
            pause = Pause::Blank;
            ends_without_blank(grapheme).then_some(Pause::Sentence)
        };
        if let Some(latest) = kind.and_then(|kind| pauses.get_mut(kind as usize))
            && ends.is_some()
        {
            *latest = ends;
        }
    }
    let Some(hard) = hard else {
        return within.unwrap_or_else(|| rest.chars().next().map_or(rest.len(), char::len_utf8));
    };
    let [blank, sentence, line, paragraph] = pauses;
    let late = |place: &Place| place.characters.saturating_mul(4) >= hard.characters.saturating_mul(3);
    let not_early = |place: &Place| place.characters.saturating_mul(3) >= hard.characters;
    let latest = [blank, sentence, line, paragraph].into_iter().flatten().max_by_key(|place| place.end);
    [paragraph, line, sentence]
        .into_iter()
        .flatten()
        .find(late)
        .or_else(|| latest.filter(not_early))
        .or_else(|| Some(before_word.filter(|(_, start)| word_fits(rest, *start, is_break, limit))?.0))
        .or_else(|| Some(last_word.filter(|(_, start)| word_fits(rest, *start, is_white, limit))?.0))
        .map_or(hard.end, |place| place.end)
}

/// Whether the word after `start` is no longer than a part.
fn word_fits(rest: &str, start: usize, is_end: fn(&str) -> bool, limit: Limit) -> bool {
    let word = rest.get(start..).map(trim_start).unwrap_or_default();
    let mut count = Count::default();
    for grapheme in word.graphemes(true).take_while(|grapheme| !is_end(grapheme)) {
        count.extend(grapheme.chars());
        if !count.may_fit(limit) {
            return false;
        }
    }
    count.fits(limit)
}

fn is_break(grapheme: &str) -> bool {
    is_white(grapheme) && !is_glue(grapheme)
}

/// Where a part may end.
#[derive(Clone, Copy)]
struct Place {
    /// In bytes.
    end: usize,
    characters: usize,
}

/// Where a reader pauses, from the least to the most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Pause {
    Blank,
    Sentence,
    Line,
    Paragraph,
}

impl Pause {
    /// What white space means after `last`, and after more white space that meant `so_far`.
    fn at(white: &str, last: &str, so_far: Self) -> Self {
        if white.contains(['\n', '\r', '\u{2028}', '\u{2029}']) {
            if so_far >= Self::Line { Self::Paragraph } else { Self::Line }
        } else if last.ends_with(['.', '!', '?', '…', '।']) {
            Self::Sentence
        } else {
            Self::Blank
        }
    }
}

/// Full stops that no blank follows.
fn ends_without_blank(grapheme: &str) -> bool {
    grapheme.ends_with(['。', '！', '？'])
}

/// Whether all of a grapheme is white space. A space with an accent is not.
fn is_white(grapheme: &str) -> bool {
    grapheme.chars().all(char::is_whitespace)
}

/// White space that holds two words together: Unicode Standard Annex 14, class GL.
fn is_glue(grapheme: &str) -> bool {
    matches!(grapheme, "\u{a0}" | "\u{2007}" | "\u{202f}")
}

fn trim_start(text: &str) -> &str {
    // Spares a look at the whole of a long grapheme that is cut over and over.
    if !text.starts_with(char::is_whitespace) {
        return text;
    }
    let start = text.grapheme_indices(true).find(|(_, grapheme)| !is_white(grapheme));
    start.and_then(|(start, _)| text.get(start..)).unwrap_or_default()
}

fn trim_end(text: &str) -> &str {
    if !text.ends_with(char::is_whitespace) {
        return text;
    }
    let last = text.grapheme_indices(true).rev().find(|(_, grapheme)| !is_white(grapheme));
    last.and_then(|(start, last)| text.get(..start + last.len())).unwrap_or_default()
}

/// What a text takes, kept for each of its prefixes as it grows.
#[derive(Default)]
struct Count {
    characters: usize,
    /// Whether a character was met that GSM-7 lacks.
    beyond_gsm7: bool,
    septets: Fill<160, 153>,
    units: Fill<70, 67>,
}

impl Count {
    fn push(&mut self, character: char) {
        self.characters += 1;
        match septets(character) {
            Some(septets) => self.septets.push(septets),
            None => self.beyond_gsm7 = true,
        }
        self.units.push(character.len_utf16());
    }

    fn size(&self) -> Size {
        if self.beyond_gsm7 {
            Size { encoding: Encoding::Ucs2, units: self.units.total, segments: self.units.segments() }
        } else {
            Size { encoding: Encoding::Gsm7, units: self.septets.total, segments: self.septets.segments() }
        }
    }

    fn fits(&self, limit: Limit) -> bool {
        match limit {
            Limit::Units(most) => self.size().units <= most,
            Limit::Segments(most) => self.size().segments <= most,
            Limit::Characters(most) => self.characters <= most,
        }
    }

    /// Whether the text may fit, now or once it has grown.
    fn may_fit(&self, limit: Limit) -> bool {
        match limit {
            Limit::Units(most) => self.units.total <= most,
            Limit::Segments(most) => self.size().segments.min(self.units.segments()) <= most,
            Limit::Characters(most) => self.characters <= most,
        }
    }
}

impl Extend<char> for Count {
    fn extend<T: IntoIterator<Item = char>>(&mut self, characters: T) {
        characters.into_iter().for_each(|character| self.push(character));
    }
}

impl FromIterator<char> for Count {
    fn from_iter<T: IntoIterator<Item = char>>(characters: T) -> Self {
        let mut count = Self::default();
        count.extend(characters);
        count
    }
}

/// Units put into segments, none of which ends within a character.
#[derive(Default)]
struct Fill<const ALONE: usize, const OF_SEVERAL: usize> {
    total: usize,
    full: usize,
    last: usize,
}

impl<const ALONE: usize, const OF_SEVERAL: usize> Fill<ALONE, OF_SEVERAL> {
    fn push(&mut self, width: usize) {
        self.total += width;
        if self.last + width > OF_SEVERAL {
            self.full += 1;
            self.last = width;
        } else {
            self.last += width;
        }
    }

    fn segments(&self) -> usize {
        if self.total <= ALONE { 1 } else { self.full + 1 }
    }
}

/// The septets of a character, if GSM-7 has it: 3GPP TS 23.038, sections 6.2.1 and 6.2.1.1.
fn septets(character: char) -> Option<usize> {
    match character {
        '\n' | '\r' | ' '..='#' | '%'..='?' | 'A'..='Z' | 'a'..='z' => Some(1),
        '@' | '£' | '$' | '¥' | 'è' | 'é' | 'ù' | 'ì' | 'ò' | 'Ç' | 'Ø' | 'ø' | 'Å' | 'å' => Some(1),
        'Δ' | '_' | 'Φ' | 'Γ' | 'Λ' | 'Ω' | 'Π' | 'Ψ' | 'Σ' | 'Θ' | 'Ξ' => Some(1),
        'Æ' | 'æ' | 'ß' | 'É' | '¤' | '¡' | 'Ä' | 'Ö' | 'Ñ' | 'Ü' | '§' | '¿' => Some(1),
        'ä' | 'ö' | 'ñ' | 'ü' | 'à' => Some(1),
        '\u{c}' | '^' | '{' | '}' | '\\' | '[' | '~' | ']' | '|' | '€' => Some(2),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
