//! Published examples, and properties against a second, slower reading of the rules.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation;

use super::{Encoding, Limit, Size, size, split};

/// 3GPP TS 23.038, section 6.2.1, as printed: 16 rows of 8 columns, read column by column. ESC stands at 0x1B.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\u{1b}ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
                     ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
/// Section 6.2.1.1.
const EXTENSION: &str = "\u{c}^{}\\[~]|€";

/// Each character's septets or units by the printed tables, put into segments one by one.
fn reference(text: &str) -> Size {
    let septets = |character: char| match character {
        '\u{1b}' => None,
        _ if BASIC.contains(character) => Some(1),
        _ if EXTENSION.contains(character) => Some(2),
        _ => None,
    };
    let (encoding, widths, alone, of_several) = match text.chars().map(septets).collect::<Option<Vec<usize>>>() {
        Some(widths) => (Encoding::Gsm7, widths, 160, 153),
        None => (Encoding::Ucs2, text.chars().map(char::len_utf16).collect(), 70, 67),
    };
    let units = widths.iter().sum();
    let mut segments = vec![0];
    for width in widths {
        if segments.last().unwrap() + width > of_several {
            segments.push(0);
        }
        *segments.last_mut().unwrap() += width;
    }
    Size { encoding, units, segments: if units <= alone { 1 } else { segments.len() } }
}

fn fits(part: &str, limit: Limit) -> bool {
    match limit {
        Limit::Units(most) => reference(part).units <= most,
        Limit::Segments(most) => reference(part).segments <= most,
        Limit::Characters(most) => part.chars().count() <= most,
    }
}

fn without_white_space(text: &str) -> String {
    text.chars().filter(|character| !character.is_whitespace()).collect()
}

#[test]
fn published_examples_are_counted_so() {
    use Encoding::{Gsm7, Ucs2};
    let family = "👨\u{200d}👩\u{200d}👧\u{200d}👦";
    for (text, encoding, units, segments) in [
        (String::new(), Gsm7, 0, 1),
        ("a".repeat(160), Gsm7, 160, 1),
        ("a".repeat(161), Gsm7, 161, 2),
        ("a".repeat(306), Gsm7, 306, 2),
        ("a".repeat(307), Gsm7, 307, 3),
        ("€".into(), Gsm7, 2, 1),
        ("[]{}\\^~|€\u{c}".into(), Gsm7, 20, 1),
        // Twilio's calculator, tests/index.test.js: an extension character, then digits.
        (format!("{{{}", "2".repeat(158)), Gsm7, 160, 1),
        (format!("{{{}", "2".repeat(159)), Gsm7, 161, 2),
        ("€".repeat(80), Gsm7, 160, 1),
        ("€".repeat(81), Gsm7, 162, 2),
        // The 153rd septet of each segment stays empty: an escape and its code are not parted.
        ("€".repeat(153), Gsm7, 306, 3),
        (format!("{}€{}", "a".repeat(152), "a".repeat(151)), Gsm7, 305, 2),
        (format!("{}€{}", "a".repeat(152), "a".repeat(152)), Gsm7, 306, 3),
        ("ΔΦΓΛΩΠΨΣΘΞ".into(), Gsm7, 10, 1),
        ("@£$¥èéùìòÇØøÅåÆæßÉ¤¡ÄÖÑÜ§¿äöñüà_".into(), Gsm7, 32, 1),
        ("line\nline\r\n".into(), Gsm7, 11, 1),
        // Not in the alphabet: small c with cedilla, backtick, tab, escape, small Greek, curly quotes, a dash.
        ("ç".into(), Ucs2, 1, 1),
        ("`".into(), Ucs2, 1, 1),
        ("\t".into(), Ucs2, 1, 1),
        ("\u{1b}".into(), Ucs2, 1, 1),
        ("α".into(), Ucs2, 1, 1),
        ("“hi”".into(), Ucs2, 4, 1),
        ("–".into(), Ucs2, 1, 1),
        ("ж".repeat(70), Ucs2, 70, 1),
        ("ж".repeat(71), Ucs2, 71, 2),
        ("ж".repeat(134), Ucs2, 134, 2),
        ("ж".repeat(135), Ucs2, 135, 3),
        ("😜".into(), Ucs2, 2, 1),
        // Twilio's calculator, tests/index.test.js and tests/segments.test.js.
        (format!("😜{}", "2".repeat(68)), Ucs2, 70, 1),
        (format!("😜{}", "2".repeat(69)), Ucs2, 71, 2),
        (format!("😜{}", "2".repeat(133)), Ucs2, 135, 3),
        // The 67th unit stays empty: surrogates are not parted.
        (format!("{}😜{}", "ж".repeat(66), "ж".repeat(65)), Ucs2, 133, 2),
        (format!("{}😜{}", "ж".repeat(66), "ж".repeat(66)), Ucs2, 134, 3),
        (family.into(), Ucs2, 11, 1),
        ("e\u{301}".into(), Ucs2, 2, 1),
        ("สวัสดีครับ".into(), Ucs2, 10, 1),
        ("नमस्ते".into(), Ucs2, 6, 1),
    ] {
        assert_eq!(size(&text), Size { encoding, units, segments }, "{text:?}");
        assert_eq!(reference(&text), Size { encoding, units, segments }, "the reference, {text:?}");
    }
}

#[test]
fn the_alphabet_is_the_printed_one() {
    assert_eq!(BASIC.chars().count(), 128);
    assert_eq!(EXTENSION.chars().count(), 10);
    for character in (0..=0x1_ffff).filter_map(char::from_u32) {
        let text = character.to_string();
        assert_eq!(size(&text), reference(&text), "{character:?}");
    }
}

#[test]
fn texts_are_cut_where_a_reader_pauses() {
    for (text, limit, expected) in [
        ("", Limit::Segments(1), &[][..]),
        (" \n\t\u{3000}\u{a0} ", Limit::Segments(1), &[]),
        ("  hello \r\n", Limit::Segments(1), &["hello"]),
        // Fits as a whole.
        ("one two", Limit::Units(7), &["one two"]),
        ("one two", Limit::Characters(7), &["one two"]),
        // Words, and as many as fit.
        ("one two three", Limit::Units(7), &["one two", "three"]),
        ("one two three", Limit::Units(8), &["one two", "three"]),
        ("one two three", Limit::Units(9), &["one two", "three"]),
        ("one  \t two", Limit::Units(4), &["one", "two"]),
        // Late sentences, lines and paragraphs go before words, in this order from last to first.
        ("It is so. Yes it", Limit::Units(12), &["It is so.", "Yes it"]),
        ("It is\nnot so it is", Limit::Units(7), &["It is", "not so", "it is"]),
        ("It.\n\nis\nso. it", Limit::Units(12), &["It.\n\nis\nso.", "it"]),
        ("aaaa bbbb\n\nc\nd e f", Limit::Units(14), &["aaaa bbbb\n\nc", "d e f"]),
        ("aaaa bbbb\n\nc\nd e f", Limit::Units(12), &["aaaa bbbb", "c\nd e f"]),
        // An early one doesn't.
        ("Hi.\nThis is a long line", Limit::Units(16), &["Hi.\nThis is a", "long line"]),
        // A blank in the first third is no reason for a tiny part; later, a long word stays whole.
        ("I abcdefghijkl", Limit::Units(8), &["I abcdef", "ghijkl"]),
        ("see it: https://x.example/y", Limit::Units(20), &["see it:", "https://x.example/y"]),
        ("abcdefghij", Limit::Units(4), &["abcd", "efgh", "ij"]),
        // A no-break space is kept together, and dropped where it has to be cut.
        ("aaa 10\u{a0}km", Limit::Characters(7), &["aaa", "10\u{a0}km"]),
        ("aaaa\u{a0}bbbb", Limit::Characters(4), &["aaaa", "bbbb"]),
        // Scripts without blanks.
        ("你好。我是机器人。请问", Limit::Characters(10), &["你好。我是机器人。", "请问"]),
        ("你好我是机器人", Limit::Characters(4), &["你好我是", "机器人"]),
        // By each part's own encoding: '[' is two septets, and one unit.
        ("[[[[[ж", Limit::Units(6), &["[[[[[ж"]),
        ("[[[[[", Limit::Units(6), &["[[[", "[["]),
        ("[[[[[[ж", Limit::Units(6), &["[[[", "[[[ж"]),
        // Graphemes stay whole: flags, families, accents, line ends, conjuncts.
        ("🇩🇪🇫🇷🇮🇹", Limit::Units(7), &["🇩🇪", "🇫🇷", "🇮🇹"]),
        ("ab👨\u{200d}👩\u{200d}👧\u{200d}👦", Limit::Units(12), &["ab", "👨\u{200d}👩\u{200d}👧\u{200d}👦"]),
        ("ae\u{301}e\u{301}", Limit::Units(4), &["ae\u{301}", "e\u{301}"]),
        ("ab\r\ncd", Limit::Units(3), &["ab", "cd"]),
        ("นำนำ", Limit::Units(3), &["นำ", "นำ"]),
        ("क्षिक्षि", Limit::Units(5), &["क्षि", "क्षि"]),
        ("a \u{308}b", Limit::Units(2), &["a", " \u{308}", "b"]),
        // Unless one is larger than the limit, or a character is.
        ("e\u{301}\u{302}\u{303}x", Limit::Units(2), &["e\u{301}", "\u{302}\u{303}", "x"]),
        ("a \u{308}b", Limit::Characters(1), &["a", "\u{308}", "b"]),
        ("a👍b", Limit::Units(1), &["a", "👍", "b"]),
        ("ab", Limit::Units(0), &["a", "b"]),
        ("ab", Limit::Segments(0), &["a", "b"]),
        ("ab", Limit::Characters(0), &["a", "b"]),
    ] {
        assert_eq!(split(text, limit), expected, "{text:?} {limit:?}");
    }
}

#[test]
fn a_part_without_emoji_stays_gsm_7() {
    let plain = "All is well here. ".repeat(60);
    let text = format!("{plain}Thanks! 🎉 {plain}");
    let parts = split(&text, Limit::Segments(1));
    let encodings: Vec<Encoding> = parts.iter().map(|part| size(part).encoding).collect();
    assert_eq!(encodings.iter().filter(|encoding| **encoding == Encoding::Ucs2).count(), 1);
    assert!(parts.iter().all(|part| size(part).segments == 1), "{parts:?}");
    assert_eq!(parts.join(" "), text.trim());
}

#[test]
fn three_thousand_characters_with_emoji_are_two_twilio_messages() {
    let sentence = "Your order 👍 leaves on Monday, and we write again before it does. ";
    let text: String = sentence.repeat(46).chars().take(3000).collect();
    let parts = split(&text, Limit::Units(1600));
    assert_eq!(parts.iter().map(|part| size(part).units).collect::<Vec<_>>(), [1540, 1505]);
    assert!(parts.first().unwrap().ends_with("before it does."));
    assert_eq!(parts.join(" "), text.trim());
}

/// A split in time that grows with the square of the text would take seconds or minutes here.
#[test]
fn a_link_that_fits_a_part_is_not_cut() {
    let link = format!("https://shop.example/{}", "a".repeat(619));
    let text = format!("Your receipt, which you asked us for: {link}");
    assert_eq!(split(&text, Limit::Units(670)), ["Your receipt, which you asked us for:", &link]);
    let longer = format!("See {}", "b".repeat(700));
    let parts = split(&longer, Limit::Units(670));
    assert_eq!(parts.iter().map(String::len).collect::<Vec<_>>(), [670, 34]);
    let glued = format!("See {}\u{a0}{}", "c".repeat(400), "d".repeat(400));
    assert_eq!(split(&glued, Limit::Characters(670)), [format!("See {}", "c".repeat(400)), "d".repeat(400)]);
}

#[test]
fn long_texts_of_odd_graphemes_take_milliseconds() {
    let size = 16 * 1024;
    let cases = [
        "a".repeat(size),
        " ".repeat(size),
        format!("a{}b", " ".repeat(size)),
        format!("a{}", "\u{301}".repeat(size / 2)),
        format!(" {}", "\u{301}".repeat(size / 2)),
        "🇩".repeat(size / 4),
        "👩\u{200d}".repeat(size / 7),
        "a \u{308}".repeat(size / 4),
        "\u{600} ".repeat(size / 3),
        "क्".repeat(size / 6),
        "[ж".repeat(size / 3),
        "\r\n".repeat(size / 2),
        "a\u{a0}".repeat(size / 3),
    ];
    let start = Instant::now();
    for text in &cases {
        for limit in [Limit::Segments(1), Limit::Units(1), Limit::Units(1600), Limit::Characters(4096)] {
            split(text, limit);
        }
    }
    let taken = start.elapsed();
    assert!(taken < Duration::from_secs(5), "{taken:?}");
}

/// Texts of what matters here: both alphabets, white space, what joins and what is joined.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => "[a-z]{1,12}",
        6 => prop::sample::select(vec![" ", "\n", "\n\n", "\r\n", "  ", ". ", "? ", "。", "\u{a0}", "\u{3000}"])
            .prop_map(str::to_owned),
        3 => prop::sample::select(vec![
            "€", "[", "~", "ç", "`", "ж", "😜", "🇩🇪", "🇩", "👨\u{200d}👩\u{200d}👧", "\u{200d}", "e\u{301}", "\u{308}",
            "กำ", "क्षि", "\u{600}", "각", "\u{200b}", "👍🏽",
        ])
        .prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..120).prop_map(|pieces| pieces.concat())
}

fn limits() -> impl Strategy<Value = Limit> {
    prop_oneof![
        (0_usize..60).prop_map(Limit::Units),
        (60_usize..400).prop_map(Limit::Units),
        (1_usize..4).prop_map(Limit::Segments),
        (1_usize..300).prop_map(Limit::Characters),
    ]
}

/// A text that turns into UCS-2 after the cut: the word before that fits a part, and was cut.
#[test]
fn a_word_before_a_change_of_alphabet_is_not_cut() {
    assert_eq!(split("a €€.aA\u{a0}€Aж", Limit::Units(8)), ["a", "€€.aA", "€Aж"]);
    // The first word fits no part, and is cut; the second is not.
    let parts = split("€€€€aaa 0ж.0", Limit::Units(10));
    assert_eq!(parts.iter().flat_map(|part| part.split(' ')).next_back(), Some("0ж.0"), "{parts:?}");
}

proptest! {
    #[test]
    fn a_word_shorter_than_a_part_is_never_cut(
        words in prop::collection::vec("[a-zA-Z0-9.€ж/]{1,60}", 1..12),
        blanks in prop::collection::vec(" |  |\n|\n\n|\u{a0}|\t", 12),
        most in 1_usize..70,
        kind in 0..3,
    ) {
        let limit = match kind {
            0 => Limit::Units(most),
            1 => Limit::Characters(most),
            _ => Limit::Segments(1),
        };
        let text: String = words.iter().zip(&blanks).flat_map(|(word, blank)| [word.as_str(), blank]).collect();
        let parts = split(&text, limit);
        let whole: Vec<&str> = parts.iter().flat_map(|part| part.split_whitespace()).collect();
        let mut at = 0;
        for word in text.split_whitespace() {
            if fits(word, limit) {
                let found = whole[at..].iter().position(|other| *other == word);
                prop_assert!(found.is_some(), "{word:?} of {text:?} is cut in {parts:?}");
                at += found.unwrap() + 1;
            }
        }
    }

    #[test]
    fn counts_are_the_published_ones(text in texts()) {
        prop_assert_eq!(size(&text), reference(&text));
    }

    #[test]
    fn counts_of_gsm_7_are_the_published_ones(text in "[a-z€\\[\\]^~ ]{0,700}") {
        prop_assert_eq!(size(&text), reference(&text));
    }

    #[test]
    fn nothing_is_lost_and_no_part_is_blank(text in texts(), limit in limits()) {
        let parts = split(&text, limit);
        prop_assert_eq!(without_white_space(&parts.concat()), without_white_space(&text));
        prop_assert!(parts.iter().all(|part| !part.trim().is_empty()), "{:?}", parts);
        // In order, each whole: what is between two parts, before and after them is white space.
        let mut rest = text.as_str();
        for part in &parts {
            let (between, after) = rest.split_once(part.as_str()).unwrap();
            prop_assert!(between.trim().is_empty());
            rest = after;
        }
        prop_assert!(rest.trim().is_empty());
    }

    #[test]
    fn parts_are_within_the_limit(text in texts(), limit in limits()) {
        for part in split(&text, limit) {
            prop_assert!(fits(&part, limit) || part.chars().count() == 1, "{:?} {:?}", part, limit);
        }
    }

    #[test]
    fn no_grapheme_is_cut_that_fits(text in texts(), limit in limits()) {
        let too_large = text.graphemes(true).any(|grapheme| !fits(grapheme, limit));
        prop_assume!(!too_large);
        let boundaries: Vec<usize> = text.grapheme_indices(true).map(|(at, _)| at).chain([text.len()]).collect();
        let mut rest = text.as_str();
        for part in split(&text, limit) {
            let (_, after) = rest.split_once(part.as_str()).unwrap();
            let end = text.len() - after.len();
            prop_assert!(boundaries.contains(&end) && boundaries.contains(&(end - part.len())), "{:?}", part);
            rest = after;
        }
    }

    #[test]
    fn a_part_is_a_third_of_what_would_fit_or_more(text in texts(), limit in limits()) {
        let mut rest = text.as_str();
        for part in split(&text, limit) {
            let (before, after) = rest.split_once(part.as_str()).unwrap();
            let (_, from_part) = rest.split_at(before.len());
            // Save before a word that is not to be cut.
            let (_, next) = from_part.split_at(part.len());
            let is_break = |character: char| character.is_whitespace() && !"\u{a0}\u{2007}\u{202f}".contains(character);
            let mut words = next.split_whitespace().take(2).chain(next.trim_start().split(is_break).take(2));
            if words.any(|word| fits(word, limit)) {
                rest = after;
                continue;
            }
            let ends = from_part.grapheme_indices(true).filter(|(_, grapheme)| !grapheme.trim().is_empty());
            for end in ends.map(|(at, grapheme)| at + grapheme.len()) {
                let (longer, _) = from_part.split_at(end);
                let is_much_longer = longer.chars().count() > part.chars().count() * 3;
                prop_assert!(!is_much_longer || !fits(longer, limit), "{:?} {:?}", part, longer);
            }
            rest = after;
        }
    }

    #[test]
    fn a_split_can_be_taken_up_again(text in texts(), limit in limits()) {
        let parts = split(&text, limit);
        prop_assert_eq!(split(&text, limit), parts.clone());
        let mut rest = text.as_str();
        for (number, part) in parts.iter().enumerate() {
            (_, rest) = rest.split_once(part.as_str()).unwrap();
            prop_assert_eq!(split(rest, limit), &parts[number + 1..]);
        }
    }

    #[test]
    fn any_text_can_be_split(text in any::<String>(), limit in limits()) {
        let parts = split(&text, limit);
        prop_assert_eq!(without_white_space(&parts.concat()), without_white_space(&text));
    }
}
