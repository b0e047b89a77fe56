//! Opt-outs: recognised here, for all providers alike; recorded and obeyed where there is a table.
//!
//! The provider's own flag wins. Else, on SMS and MMS only, a text that is as a whole one of the account's words is an
//! opt-out. Words that people also chat with (END, CANCEL, YES) are messages unless the owner lists them.

use crate::sms::message::{Message, OptOut};

/// What counts as an opt-out where an account names no words.
pub const DEFAULT_WORDS: [&str; 3] = ["STOP", "STOPALL", "UNSUBSCRIBE"];

/// What takes it back.
const START_WORDS: [&str; 2] = ["START", "UNSTOP"];

/// Sets [`Message::opt_out`], unless the provider has.
pub(crate) fn recognise(message: &mut Message, words: &[String]) {
    if message.opt_out.is_some() || !message.channel.is_text_messaging() {
        return;
    }
    let text = message.text.trim();
    message.opt_out = if words.iter().any(|word| same_word(word, text)) {
        Some(OptOut::Stop)
    } else if START_WORDS.iter().any(|word| same_word(word, text)) {
        Some(OptOut::Start)
    } else {
        None
    };
}

/// Any case, in any script: owners list words such as ARRÊT.
fn same_word(word: &str, text: &str) -> bool {
    // A long text is no word, and need not be lower-cased to know that.
    text.len() <= word.len().saturating_mul(3) && word.trim().to_lowercase() == text.to_lowercase()
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
            (&default, Channel::Sms, "STOP.", None),
            (&default, Channel::Sms, "END", None),
            (&default, Channel::Sms, "CANCEL", None),
            (&default, Channel::Sms, "YES", None),
            (&default, Channel::Sms, "HELP", None),
            (&default, Channel::Sms, "", None),
            (&default, Channel::Whatsapp, "STOP", None),
            (&default, Channel::Rcs, "STOP", None),
            (&own, Channel::Sms, "end", Some(OptOut::Stop)),
            (&own, Channel::Sms, "arrêt", Some(OptOut::Stop)),
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
