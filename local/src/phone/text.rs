//! A text: what is written on the phone, what came of it, and how many SMS it takes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How a text travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// SMS.
    #[default]
    Sms,
    /// WhatsApp.
    Whatsapp,
}

/// A button, or a line of a list, that came with a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// What the provider names it by.
    pub id: String,
    /// What stands on it.
    pub title: String,
    /// What stands below that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// It is a line of a list.
    #[serde(default)]
    pub in_list: bool,
}

/// What someone writes on the phone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Writing {
    /// The account whose number it goes to, by its name in the settings.
    pub account: String,
    /// SMS where the account has it, unless said otherwise.
    pub channel: Option<Channel>,
    /// The phone's number.
    pub from: String,
    /// The account's number.
    pub to: String,
    /// The text.
    pub text: String,
    /// What is tapped instead, where the text came with choices: the text is its title.
    #[serde(default)]
    pub choice: Option<Choice>,
}

/// A text that came to the phone or went from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Text {
    /// The provider's id of it.
    pub id: String,
    /// The account it went through.
    pub account: String,
    /// How it travelled.
    pub channel: Channel,
    /// The phone wrote it.
    pub from_phone: bool,
    /// The phone's number.
    pub phone: String,
    /// The account's number, or its id at Meta.
    pub business: String,
    /// The text.
    pub text: String,
    /// What can be tapped below it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    /// How many SMS it takes (3GPP TS 23.038: 160 or 153 septets, 70 or 67 UCS-2 units); 1 on WhatsApp.
    pub segments: usize,
    /// What the bridge answered to a webhook; `None`: nothing yet; 0: nothing, and nothing will come.
    pub status: Option<u16>,
    /// When.
    pub time: String,
    #[serde(skip)]
    pub(super) changed: u64,
}

impl Text {
    /// What someone writes, at this moment.
    pub(super) fn written(id: String, channel: Channel, writing: Writing) -> Self {
        let new = Self::new(id, writing.account, channel, writing.text);
        Self { from_phone: true, phone: e164(&writing.from), business: e164(&writing.to), ..new }
    }

    /// What has just come from the account's address to the phone.
    pub(super) fn received(id: String, account: &str, channel: Channel, [from, to]: [&str; 2], text: String) -> Self {
        Self { phone: e164(to), business: from.to_owned(), ..Self::new(id, account.to_owned(), channel, text) }
    }

    fn new(id: String, account: String, channel: Channel, text: String) -> Self {
        Self {
            id,
            account,
            channel,
            from_phone: false,
            phone: String::new(),
            business: String::new(),
            segments: segments(channel, &text),
            text,
            choices: Vec::new(),
            status: None,
            time: format!("{:.3}", Timestamp::now()),
            changed: 0,
        }
    }
}

/// A customer's name on WhatsApp: another one for each number.
pub(super) fn profile_name(number: &str) -> String {
    let last: String = number.chars().skip(number.chars().count().saturating_sub(4)).collect();
    format!("Customer {last}")
}

pub(super) fn digits(number: &str) -> &str {
    number.strip_prefix('+').unwrap_or(number)
}

/// `+14155550123` from each provider's way to write it: `14155550123`, `whatsapp:+14155550123`. Other addresses stay as they
/// are.
pub(super) fn e164(address: &str) -> String {
    let bare = address.trim().strip_prefix("whatsapp:").unwrap_or(address.trim());
    let is_number = bare.len() > 6 && bare.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { format!("+{bare}") } else { bare.to_owned() }
}

/// How many SMS a text takes.
pub(super) fn segments(channel: Channel, text: &str) -> usize {
    if channel == Channel::Whatsapp {
        return 1;
    }
    let (units, alone, joined) = match text.chars().map(septets).sum::<Option<usize>>() {
        Some(septets) => (septets, 160, 153),
        None => (text.encode_utf16().count(), 70, 67),
    };
    if units <= alone { 1 } else { units.div_ceil(joined) }
}

/// The septets of a character of GSM-7 (3GPP TS 23.038, 6.2.1).
fn septets(character: char) -> Option<usize> {
    const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿\
                         abcdefghijklmnopqrstuvwxyzäöñüà";
    const EXTENDED: &str = "\u{c}^{}\\[~]|€";
    if BASIC.contains(character) { Some(1) } else { EXTENDED.contains(character).then_some(2) }
}

pub(super) fn encoding(text: &str) -> &'static str {
    if text.chars().all(|character| septets(character).is_some()) { "GSM-7" } else { "UCS-2" }
}

/// A text in the parts that carry it.
pub(super) fn parts(text: &str) -> Vec<String> {
    if segments(Channel::Sms, text) == 1 {
        return vec![text.to_owned()];
    }
    let is_gsm = encoding(text) == "GSM-7";
    let limit = if is_gsm { 153 } else { 67 };
    let mut parts = vec![String::new()];
    let mut used = 0;
    for character in text.chars() {
        let units = if is_gsm { septets(character).unwrap_or(1) } else { character.len_utf16() };
        if used + units > limit {
            parts.push(String::new());
            used = 0;
        }
        used += units;
        if let Some(part) = parts.last_mut() {
            part.push(character);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_text() {
        let of = |text: &str| segments(Channel::Sms, text);
        assert_eq!((of("a"), of(&"a".repeat(160)), of(&"a".repeat(161)), of(&"a".repeat(307))), (1, 1, 2, 3));
        assert_eq!((of(&"€".repeat(80)), of(&"€".repeat(81))), (1, 2));
        assert_eq!((of(&"😀".repeat(35)), of(&"😀".repeat(36)), of("ç")), (1, 2, 1));
        assert_eq!(segments(Channel::Whatsapp, &"a".repeat(4000)), 1);
    }

    #[test]
    fn numbers_are_told_apart_from_other_addresses() {
        for (address, expected) in [
            ("14155550123", "+14155550123"),
            ("+14155550123", "+14155550123"),
            ("whatsapp:+14155550123", "+14155550123"),
            ("whatsapp:US.1349", "US.1349"),
            ("12345", "12345"),
        ] {
            assert_eq!(e164(address), expected);
        }
    }

    #[test]
    fn a_long_text_comes_in_parts_that_make_it_up() {
        for text in ["a".repeat(400), "😀".repeat(100), format!("{}€", "a".repeat(152)).repeat(3)] {
            let parts = parts(&text);
            assert_eq!(parts.concat(), text);
            assert!(parts.iter().all(|part| !part.is_empty() && segments(Channel::Sms, part) == 1));
        }
        assert_eq!(parts(&"a".repeat(160)).len(), 1);
    }
}
