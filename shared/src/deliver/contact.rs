//! What Connect is told of a customer and a message: attributes, display name, and the words that the agent reads.

use std::collections::BTreeMap;

use crate::{
    chat::{
        ATTRIBUTES_BYTES, CONTENT_BYTES, DISPLAY_NAME_CHARS, INTERACTIVE, INTERACTIVE_RESPONSE, TEXT_PLAIN, cut_to,
    },
    inbound::Inbound,
    notes::customers_words,
    sms::{
        lines,
        message::{Media, Referral},
        providers::ProviderId,
    },
};

/// What a chat with a phone can show, and what can be chosen there: the rest is turned into text on its way out.
pub(super) fn content_types() -> Vec<String> {
    [TEXT_PLAIN, "text/markdown", INTERACTIVE, INTERACTIVE_RESPONSE].map(str::to_owned).to_vec()
}

/// Profile name, else the number's own, else the customer's address.
pub(super) fn display_name(inbound: &Inbound) -> String {
    let known = [&inbound.message.profile_name, &inbound.number.display_name].into_iter().flatten();
    let name = known.map(|name| name.trim()).find(|name| !name.is_empty()).unwrap_or(&inbound.message.from);
    name.chars().take(*DISPLAY_NAME_CHARS.end()).collect()
}

/// The attributes of a new chat. The owner's own come last and give way where the limit is met.
pub(super) fn attributes(inbound: &Inbound) -> BTreeMap<String, String> {
    let message = &inbound.message;
    let referral = message.referral.as_ref();
    let ours = [
        ("channel", Some(message.channel.as_str())),
        ("provider", Some(inbound.provider.as_str())),
        ("account", Some(inbound.account.as_str())),
        ("customerAddress", Some(message.from.as_str())),
        ("businessAddress", Some(message.to.as_str())),
        ("providerMessageId", Some(message.message_id.as_str())),
        ("profileName", message.profile_name.as_deref()),
        ("referralSourceId", referral.and_then(|referral| referral.source_id.as_deref())),
        ("referralHeadline", referral.and_then(|referral| referral.headline.as_deref())),
        ("referralUrl", referral.and_then(|referral| referral.url.as_deref())),
    ];
    let ours = ours.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let owners = inbound.number.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut attributes = BTreeMap::new();
    let mut bytes = 0;
    for (name, value) in ours.chain(owners) {
        if !attributes.contains_key(name) && bytes + name.len() + value.len() <= ATTRIBUTES_BYTES {
            bytes += name.len() + value.len();
            attributes.insert(name.to_owned(), value.to_owned());
        }
    }
    attributes
}

/// What the agent reads: the text, then what came with it, one a line. Never empty.
pub(super) fn agent_text(inbound: &Inbound) -> String {
    cut(agent_lines(inbound, &inbound.message.media, Some("[empty message]")).join("\n"))
}

/// The same without the media, which come after it. None where nothing else was sent.
pub(super) fn agent_words(inbound: &Inbound) -> Option<String> {
    let lines = agent_lines(inbound, &[], None);
    (!lines.is_empty()).then(|| cut(lines.join("\n")))
}

/// `empty` stands in the place of what nobody wrote.
fn agent_lines(inbound: &Inbound, media: &[Media], empty: Option<&str>) -> Vec<String> {
    let message = &inbound.message;
    let mut lines: Vec<String> = Vec::new();
    if !message.text.trim().is_empty() {
        let is_own = !message.described;
        lines.push(if is_own { customers_words(&message.text).into_owned() } else { message.text.clone() });
    }
    for media in media {
        lines.push(media_line(inbound.provider, media, None));
    }
    if let Some(place) = &message.location {
        let named = [&place.name, &place.address].into_iter().flatten().cloned();
        let point = format!("{}, {}", place.latitude, place.longitude);
        lines.push(format!("[location] {}", named.chain([point]).collect::<Vec<_>>().join(", ")));
    }
    if lines.is_empty() {
        lines.extend(message.button_payload.clone().filter(|payload| !payload.trim().is_empty()));
    }
    if lines.is_empty() {
        lines.extend(empty.map(str::to_owned));
    }
    if let Some(Referral { headline, url, source_id }) = &message.referral {
        let shown = if headline.is_some() || url.is_some() { [headline, url] } else { [source_id, &None] };
        lines.push(lines::line("advertisement", shown.into_iter().flatten().cloned()));
    }
    lines
}

/// What stands in the place of a medium that is no attachment: its word, why it is none, and its link where anyone can open
/// that. A link that needs credentials is never shown: it would not open.
pub(super) fn media_line(provider: ProviderId, media: &Media, why: Option<&str>) -> String {
    let word = media_word(media);
    let link = media.url.as_deref().filter(|_| provider.facts().media_links_open);
    [Some(word.as_str()), why, link].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn media_word(media: &Media) -> String {
    let kind = media.content_type.as_deref().and_then(|kind| kind.split('/').next());
    match (kind, &media.name) {
        (Some(kind @ ("image" | "audio" | "video")), None) => format!("[{kind}]"),
        (_, Some(name)) => format!("[file: {name}]"),
        _ => "[file]".to_owned(),
    }
}

/// Connect takes 16,384 bytes; no provider's message is as long, but links add to it.
pub(super) fn cut(text: String) -> String {
    cut_to(text, *CONTENT_BYTES.end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_need_credentials_are_never_shown() {
        const URL: &str = "https://media.example/1";
        let shows_links =
            |provider: ProviderId| ["telnyx", "sinch", "plivo", "signalwire", "webhook"].contains(&provider.as_str());
        for provider in ProviderId::ALL.iter().copied() {
            for (content_type, name, word) in [
                (Some("image/png"), None, "[image]"),
                (Some("audio/ogg; codecs=opus"), None, "[audio]"),
                (Some("video/mp4"), None, "[video]"),
                (Some("text/vcard"), None, "[file]"),
                (None, None, "[file]"),
                (Some("image/png"), Some("a.png"), "[file: a.png]"),
            ] {
                let media = Media {
                    url: Some(URL.to_owned()),
                    content_type: content_type.map(str::to_owned),
                    name: name.map(str::to_owned),
                    ..Media::default()
                };
                let link = if shows_links(provider) { format!(" {URL}") } else { String::new() };
                assert_eq!(media_line(provider, &media, None), format!("{word}{link}"), "{provider} {word}");
                let why = media_line(provider, &media, Some("larger than 20 MB"));
                assert_eq!(why, format!("{word} larger than 20 MB{link}"), "{provider} {word}");
                let by_id = Media { url: None, id: Some("1".to_owned()), ..media };
                assert_eq!(media_line(provider, &by_id, None), word, "{provider} {word}");
            }
        }
    }
}
