//! Opt-outs: recognised here, for all providers alike; recorded and obeyed where there is a table.
//!
//! The provider's own flag wins. Else, on SMS and MMS only, a text that is as a whole one of the account's words is an
//! opt-out. Words that people also chat with (END, CANCEL, YES) are messages unless the owner lists them.

use icu_normalizer::ComposingNormalizerBorrowed;

use crate::sms::message::{Message, OptOut};

/// What counts as an opt-out where an account names no words.
pub const DEFAULT_WORDS: [&str; 7] = ["STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "REVOKE", "OPTOUT", "OPT OUT"];

/// The longest text that may be a word, in bytes.
const WORD_BYTES: usize = 200;

/// What takes it back.
const START_WORDS: [&str; 2] = ["START", "UNSTOP"];

/// Sets [`Message::opt_out`], unless the provider has.
pub(crate) fn recognise(message: &mut Message, words: &[String]) {
    if message.opt_out.is_some() || !message.channel.is_text_messaging() {
        return;
    }
    // A long text is no word, and need not be normalised to know that.
    let Some(text) = Some(&message.text).filter(|text| text.len() <= WORD_BYTES).and_then(|text| bare(text)) else {
        return;
    };
    let is_one = |word: &str| bare(word).is_some_and(|word| word == text);
    message.opt_out = if words.iter().any(|word| is_one(word)) {
        Some(OptOut::Stop)
    } else if START_WORDS.iter().any(|word| is_one(word)) {
        Some(OptOut::Start)
    } else {
        None
    };
}

/// A word in any case, width and script (owners list words such as ARRÊT), without blanks and punctuation around.
fn bare(text: &str) -> Option<String> {
    let folded = ComposingNormalizerBorrowed::new_nfkc().normalize(text).to_lowercase();
    let bare = folded.trim_matches(|character: char| !character.is_alphanumeric());
    let bare = bare.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(bare).filter(|bare| !bare.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{DEFAULT_WORDS, recognise};
    use crate::sms::message::{Channel, Message, OptOut};

    #[test]
    fn whole_texts_are_recognised_on_text_messaging_only() {
        let default: Vec<String> = DEFAULT_WORDS.map(str::to_owned).to_vec();
        let own = vec!["END".to_owned(), "ARRÊT".to_owned()];
        for (words, channel, text, expected) in [
            (&default, Channel::Sms, "STOP", Some(OptOut::Stop)),
            (&default, Channel::Mms, " stop \n", Some(OptOut::Stop)),
            (&default, Channel::Sms, "StopAll", Some(OptOut::Stop)),
            (&default, Channel::Sms, "unsubscribe", Some(OptOut::Stop)),
            (&default, Channel::Sms, "start", Some(OptOut::Start)),
            (&default, Channel::Sms, "Unstop", Some(OptOut::Start)),
            (&default, Channel::Sms, "STOP it please", None),
            (&default, Channel::Sms, "STOP.", Some(OptOut::Stop)),
            (&default, Channel::Sms, "«Stop!»", Some(OptOut::Stop)),
            (&default, Channel::Sms, "ＳＴＯＰ", Some(OptOut::Stop)),
            (&default, Channel::Sms, "stop  all", Some(OptOut::Stop)),
            (&default, Channel::Sms, "Opt out", Some(OptOut::Stop)),
            (&default, Channel::Sms, "optout", Some(OptOut::Stop)),
            (&default, Channel::Sms, "REVOKE", Some(OptOut::Stop)),
            (&default, Channel::Sms, "s.t.o.p", None),
            (&default, Channel::Sms, "...", None),
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
