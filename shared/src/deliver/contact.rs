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
    let message = &inbound.message;
    let mut lines: Vec<String> = Vec::new();
    if !message.text.trim().is_empty() {
        let is_own = !message.described;
        lines.push(if is_own { customers_words(&message.text).into_owned() } else { message.text.clone() });
    }
    for media in &message.media {
        lines.push(match &media.url {
            Some(url) if inbound.provider.facts().media_links_open => url.clone(),
            _ => media_word(media),
        });
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
        lines.push("[empty message]".to_owned());
    }
    if let Some(Referral { headline, url, source_id }) = &message.referral {
        let shown = if headline.is_some() || url.is_some() { [headline, url] } else { [source_id, &None] };
        lines.push(lines::line("advertisement", shown.into_iter().flatten().cloned()));
    }
    cut(lines.join("\n"))
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
