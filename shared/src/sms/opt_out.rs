//! Opt-outs: recognised here, for all providers alike; recorded and obeyed where there is a table.
//!
//! The provider's own flag wins. Else, on SMS and MMS only, a text that is as a whole one of the account's words is an
//! opt-out. Words that people also chat with (END, CANCEL, YES) are messages unless the owner lists them.

use caseless::Caseless as _;
use unicode_normalization::UnicodeNormalization as _;

use crate::sms::message::{Message, OptOut};

/// What counts as an opt-out where an account names no words: what US carriers ask for, without everyday words.
pub const DEFAULT_WORDS: [&str; 7] = ["STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "REVOKE", "OPTOUT", "OPT OUT"];

/// What takes it back.
const START_WORDS: [&str; 2] = ["START", "UNSTOP"];

/// A longer text, in bytes, is no word, and need not be compared to know that.
const LONGEST: usize = 1024;

/// Sets [`Message::opt_out`], unless the provider has.
pub(crate) fn recognise(message: &mut Message, words: &[String]) {
    if message.opt_out.is_some() || !message.channel.is_text_messaging() || message.text.len() > LONGEST {
        return;
    }
    let text = comparable(&message.text);
    let is_one_of = |words: &[&str]| !text.is_empty() && words.iter().any(|word| comparable(word) == text);
    message.opt_out = if is_one_of(&words.iter().map(String::as_str).collect::<Vec<_>>()) {
        Some(OptOut::Stop)
    } else if is_one_of(&START_WORDS) {
        Some(OptOut::Start)
    } else {
        None
    };
}

/// What texts are compared by that people type: after NFKC and case folding, in any script (owners list words such as
/// ARRÊT), without blanks and punctuation around, and with one blank between words.
pub fn comparable(text: &str) -> String {
    let folded = folded(text);
    let words = folded.split(is_blank).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    words.trim_matches(|character| is_blank(character) || is_punctuation(character)).to_owned()
}

/// A text after NFKC and case folding.
pub fn folded(text: &str) -> String {
    text.nfkc().default_case_fold().nfkc().collect()
}

/// White space, and what takes no place.
fn is_blank(character: char) -> bool {
    character.is_whitespace()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{fe0e}' | '\u{fe0f}')
}

/// Punctuation of the scripts that have some: the Unicode categories P*, as far as it ends or encloses a text.
fn is_punctuation(character: char) -> bool {
    character.is_ascii_punctuation()
        || matches!(character,
            '¡' | '§' | '«' | '¶' | '·' | '»' | '¿' | '՞' | '։' | '׃' | '،' | '؛' | '؟' | '۔' | '।' | '॥' | '።'
            | '\u{2010}'..='\u{2027}' | '\u{2030}'..='\u{205e}' | '\u{3001}'..='\u{3003}' | '\u{3008}'..='\u{3011}'
            | '\u{3014}'..='\u{301f}' | '\u{30fb}')
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT_WORDS, recognise};
    use crate::sms::message::{Channel, Message, OptOut};

    #[test]
    fn whole_texts_are_recognised_on_text_messaging_only() {
        let default: Vec<String> = DEFAULT_WORDS.map(str::to_owned).to_vec();
        let own = ["END", "ARRÊT", "Straße", "τέλος", ""].map(str::to_owned).to_vec();
        for (words, channel, text, expected) in [
            (&default, Channel::Sms, "STOP", Some(OptOut::Stop)),
            (&default, Channel::Mms, " stop \n", Some(OptOut::Stop)),
            (&default, Channel::Sms, "StopAll", Some(OptOut::Stop)),
            (&default, Channel::Sms, "unsubscribe", Some(OptOut::Stop)),
            (&default, Channel::Sms, "start", Some(OptOut::Start)),
            (&default, Channel::Sms, "Unstop", Some(OptOut::Start)),
            (&default, Channel::Sms, "STOP it please", None),
            (&default, Channel::Sms, "STOP.", Some(OptOut::Stop)),
            (&default, Channel::Sms, "«Stop»!", Some(OptOut::Stop)),
            (&default, Channel::Sms, "ＳＴＯＰ", Some(OptOut::Stop)),
            (&default, Channel::Sms, "stop\u{200b}", Some(OptOut::Stop)),
            (&default, Channel::Sms, "Stop  all", Some(OptOut::Stop)),
            (&default, Channel::Sms, "Opt out.", Some(OptOut::Stop)),
            (&default, Channel::Sms, "optout", Some(OptOut::Stop)),
            (&default, Channel::Sms, "Revoke", Some(OptOut::Stop)),
            (&default, Channel::Sms, "S.T.O.P", None),
            (&default, Channel::Sms, "bus stop", None),
            (&default, Channel::Sms, "...", None),
            (&default, Channel::Sms, "stop 🙏", None),
            (&default, Channel::Sms, "END", None),
            (&default, Channel::Sms, "CANCEL", None),
            (&default, Channel::Sms, "YES", None),
            (&default, Channel::Sms, "HELP", None),
            (&default, Channel::Sms, "", None),
            (&default, Channel::Whatsapp, "STOP", None),
            (&default, Channel::Rcs, "STOP", None),
            (&own, Channel::Sms, "end", Some(OptOut::Stop)),
            (&own, Channel::Sms, "arrêt", Some(OptOut::Stop)),
            (&own, Channel::Sms, "arre\u{302}t", Some(OptOut::Stop)),
            (&own, Channel::Sms, "ARRE\u{302}T!", Some(OptOut::Stop)),
            (&own, Channel::Sms, "ARRET", None),
            (&own, Channel::Sms, "STRASSE", Some(OptOut::Stop)),
            (&own, Channel::Sms, "ΤΈΛΟΣ", Some(OptOut::Stop)),
            (&own, Channel::Sms, "STOP", None),
            (&Vec::new(), Channel::Sms, "STOP", None),
        ] {
            let mut message = Message::new("twilio", channel, "1", "+14155550100", "+12025550100");
            message.text = text.to_owned();
            recognise(&mut message, words);
            assert_eq!(message.opt_out, expected, "{channel:?} {text}");
        }
    }

    #[test]
    fn the_providers_flag_wins() {
        let mut message = Message::new("twilio", Channel::Whatsapp, "1", "+14155550100", "+12025550100");
        message.text = "STOP".into();
        message.opt_out = Some(OptOut::Help);
        recognise(&mut message, &["STOP".to_owned()]);
        assert_eq!(message.opt_out, Some(OptOut::Help));
    }
}
