//! What to do with a customer's message: decisions over Connect, no HTTP.

use std::collections::BTreeMap;

use crate::{
    aws::{
        connect::{Connect, MessageEvent},
        participant::Participants,
    },
    chat::{ATTRIBUTES_BYTES, CONTENT_BYTES, Chat, Content, DISPLAY_NAME_CHARS, INTERACTIVE, TEXT_PLAIN},
    config::{ConnectRoute, Delivery},
    deadline::Deadline,
    error::Result,
    inbound::Inbound,
    sms::message::{Channel, Media},
    telemetry::Report,
};

/// Brings customers' messages to Connect.
pub struct Conversations {
    connect: Connect,
    participants: Participants,
    config: Delivery,
}

impl Conversations {
    /// Over these clients.
    pub fn new(connect: Connect, participants: Participants, config: Delivery) -> Self {
        Self { connect, participants, config }
    }

    /// Delivers one message: a chat of its own. Delivered again, it is the same chat: its client token is derived from
    /// the provider's id of the message.
    pub async fn deliver(&self, inbound: &Inbound, deadline: Deadline, report: &mut Report) -> Result<()> {
        if inbound.message.opt_out.is_some() {
            report.note("opt-out word");
            return Ok(());
        }
        match self.config.route {
            // The event API knows SMS and WhatsApp only.
            ConnectRoute::IntegrationEvent if inbound.message.channel != Channel::Rcs => {
                let contact = self.connect.send_message_event(&self.event(inbound), report).await?;
                report.contact_id = Some(contact);
            }
            ConnectRoute::IntegrationEvent | ConnectRoute::Chat => {
                let chat = self.new_chat(inbound);
                let token = inbound.deduplication_id();
                let started = self.connect.start_chat(&chat, &token, deadline, report).await?;
                report.contact_id = Some(started.contact_id);
                self.participants.connect(&started.participant_token, deadline, report).await?;
            }
        }
        report.count("MessageDelivered", 1);
        Ok(())
    }

    fn new_chat(&self, inbound: &Inbound) -> Chat {
        let instance = &self.config.instance;
        let content = Content { content_type: TEXT_PLAIN.to_owned(), content: agent_text(inbound) };
        Chat {
            contact_flow_id: inbound.number.contact_flow_id.as_ref().unwrap_or(&instance.contact_flow_id).clone(),
            display_name: display_name(inbound),
            attributes: attributes(inbound),
            initial_message: Some(content),
            duration_minutes: instance.duration_minutes,
            content_types: content_types(),
            persistent: None,
            related_contact_id: None,
            segment_attributes: BTreeMap::new(),
            customer_id: None,
            response_mode: None,
            disconnect_on_customer_exit: Vec::new(),
            connection_types: Vec::new(),
            streaming_endpoint_arn: instance.streaming_topic_arn.clone(),
        }
    }

    fn event(&self, inbound: &Inbound) -> MessageEvent {
        let message = &inbound.message;
        let destination_id = inbound.number.destination_id.as_ref().unwrap_or(&message.to);
        // Connect answers an End User Messaging number there itself.
        let answers_itself = destination_id.starts_with("arn:") && destination_id.contains(":sms-voice:");
        MessageEvent {
            source_id: message.from.clone(),
            subtype: if message.channel == Channel::Whatsapp { "connect:WhatsApp" } else { "connect:sms" },
            text: agent_text(inbound),
            display_name: display_name(inbound),
            attributes: attributes(inbound),
            content_types: content_types(),
            streaming_endpoint_arn: self.config.instance.streaming_topic_arn.clone().filter(|_| !answers_itself),
            destination_id: destination_id.clone(),
        }
    }
}

/// What a chat with a phone can show: the rest is turned into text on its way out.
fn content_types() -> Vec<String> {
    [TEXT_PLAIN, "text/markdown", INTERACTIVE].map(str::to_owned).to_vec()
}

/// Profile name, else the number's own, else the customer's address.
fn display_name(inbound: &Inbound) -> String {
    let known = [&inbound.message.profile_name, &inbound.number.display_name].into_iter().flatten();
    let name = known.map(|name| name.trim()).find(|name| !name.is_empty()).unwrap_or(&inbound.message.from);
    name.chars().take(*DISPLAY_NAME_CHARS.end()).collect()
}

/// The attributes of a new chat. The owner's own come last and give way where the limit is met.
fn attributes(inbound: &Inbound) -> BTreeMap<String, String> {
    let message = &inbound.message;
    let ours = [
        ("channel", Some(message.channel.as_str())),
        ("provider", Some(inbound.provider.as_str())),
        ("account", Some(inbound.account.as_str())),
        ("customerAddress", Some(message.from.as_str())),
        ("businessAddress", Some(message.to.as_str())),
        ("providerMessageId", Some(message.message_id.as_str())),
        ("profileName", message.profile_name.as_deref()),
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
fn agent_text(inbound: &Inbound) -> String {
    let message = &inbound.message;
    let mut lines: Vec<String> =
        Some(message.text.clone()).filter(|text| !text.trim().is_empty()).into_iter().collect();
    for media in &message.media {
        lines.push(match &media.url {
            Some(url) if inbound.provider.opens_to_anyone(media) => url.clone(),
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
fn cut(mut text: String) -> String {
    let most = *CONTENT_BYTES.end();
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
    }
    text
}
