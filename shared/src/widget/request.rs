//! The tolerant reader: any body that a chat client in the field sends, in; a [`Chat`] that Connect will take, out.
//!
//! Unknown fields are ignored and empty ones forgiven where clients are known to send them. What Connect's API reference
//! constrains is checked here, so that a bad request costs no call of a quota of five a second, and the error names the
//! field.
//!
//! Where requests are signed, what a page's server vouches for comes from the token's claims only: `attributes`,
//! `segmentAttributes`, `relatedContactId`, `customerId`, `persistentChat`. The same fields in the body are refused,
//! except `Attributes`: they are let through as `HostedWidget-<name>`, as Connect's hosted widget does, so that a flow can
//! tell what was signed from what anyone may have typed.

use std::collections::BTreeMap;

use crate::{
    chat::{
        self, CLIENT_TOKEN_CHARS, CONNECTION_TOKEN_CHARS, CONTACT_FLOW_ID_CHARS, CONTENT_BYTES, Chat, Content,
        DISPLAY_NAME_CHARS, DURATION_MINUTES, INSTANCE_ID_CHARS, STREAMING_ARN_CHARS, SegmentValue, TEXT_PLAIN,
    },
    config::{Instance, StartChat},
    error::{Error, Kind, Result},
    json::{self, Broken, Json, Repeated},
    secret::Secret,
    widget::{
        attributes::{self, CUSTOMER_NAME, UNSIGNED_CUSTOMER_NAME},
        field::{Field, Object, shorten},
        identity::Identity,
        signed::Claims,
    },
};

/// The largest body, in bytes.
pub const BODY_BYTES: usize = 64 * 1024;

/// The name of a customer who gave none.
const ANONYMOUS: &str = "Customer";

/// What a widget asks for.
pub struct ChatRequest {
    /// The chat to start.
    pub chat: Chat,
    /// `ClientToken`: the caller's idempotency key.
    pub client_token: Option<String>,
    /// For the log: a parameter that the body has under a name much like its own, and which is therefore not read.
    pub misspelt: Option<&'static str>,
}

macro_rules! parameters {
    ($($name:literal),+ $(,)?) => {
        /// The parameters, each with the note that a misspelt one leaves.
        const PARAMETERS: &[(&str, &str)] = &[$(($name, concat!("a name looks like ", $name, ", misspelt"))),+];
    };
}

parameters![
    "InstanceId",
    "ContactFlowId",
    "ParticipantDetails",
    "ParticipantConfiguration",
    "Attributes",
    "SegmentAttributes",
    "InitialMessage",
    "ClientToken",
    "ChatDurationInMinutes",
    "SupportedMessagingContentTypes",
    "PersistentChat",
    "RelatedContactId",
    "CustomerId",
    "DisconnectOnCustomerExit",
    "ConnectionTypes",
    "ChatStreamingConfiguration",
];

/// The note on the first name that is a parameter's but for its case and one letter.
fn misspelt(root: &Object<'_>) -> Option<&'static str> {
    let is_known = |name: &str| PARAMETERS.iter().any(|(known, _)| *known == name) || name == "ConnectInstanceId";
    let names = root.members.keys().filter(|name| !is_known(name) && name.len() < 64);
    let alike = |name: &str, known: &str| {
        is_one_edit_away(name.to_ascii_lowercase().as_bytes(), known.to_ascii_lowercase().as_bytes())
    };
    let mut found = names.filter_map(|name| PARAMETERS.iter().find(|(known, _)| alike(name, known)));
    found.next().map(|(_, note)| *note)
}

/// Whether two words are the same but for one letter: another one, one more or one less.
fn is_one_edit_away(one: &[u8], other: &[u8]) -> bool {
    let same = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let rest = |word: &[u8], skipped: usize| word.get(same + skipped..).unwrap_or_default().to_vec();
    one == other || rest(one, 1) == rest(other, 1) || rest(one, 1) == rest(other, 0) || rest(one, 0) == rest(other, 1)
}

/// Reads a request's body, and the claims of its token where requests are signed.
pub fn read(body: &[u8], claims: Option<&Claims>, config: &StartChat) -> Result<ChatRequest> {
    let body = parse(body)?;
    let root = Field::body(&body).object()?;
    let claims = claims.map(|claims| Object::claims(&claims.members));
    chat(&root, claims.as_ref(), config)
}

/// Reads the body of a request to end a chat: the participant's connection token.
pub fn read_end(body: &[u8]) -> Result<Secret> {
    let body = parse(body)?;
    let root = Field::body(&body).object()?;
    let token = root.field("ConnectionToken").ok_or_else(|| root.missing("ConnectionToken"))?;
    let text = token.string()?;
    token.length(text.chars().count(), CONNECTION_TOKEN_CHARS)?;
    // It travels in a header.
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(token.invalid("is not a token"));
    }
    Ok(Secret::new(text))
}

fn chat(root: &Object<'_>, claims: Option<&Object<'_>>, config: &StartChat) -> Result<ChatRequest> {
    check_instance(root, &config.instance)?;
    let contact_flow_id = contact_flow(root, config)?;
    let streaming_endpoint_arn = streaming_endpoint(root, &config.instance)?;
    let mut attributes = attributes::read(root, claims)?;
    let display_name = display_name(root, &attributes, claims.is_some())?;
    attributes::name_the_customer(&mut attributes, &display_name, claims.is_some());
    let content_types = content_types(root)?;
    let Identity { segment_attributes, related_contact_id, customer_id, persistent } =
        Identity::read(root, claims, config.unsigned_identity)?;
    check_guide(&segment_attributes, &content_types)?;
    let chat = Chat {
        contact_flow_id,
        display_name,
        initial_message: initial_message(root)?,
        duration_minutes: duration(root)?.or(config.instance.duration_minutes),
        persistent,
        related_contact_id,
        segment_attributes,
        attributes,
        content_types,
        customer_id,
        response_mode: match root.object("ParticipantConfiguration")? {
            Some(configuration) => configuration.word("ResponseMode", &chat::RESPONSE_MODES)?,
            None => None,
        },
        disconnect_on_customer_exit: root.words(
            "DisconnectOnCustomerExit",
            &chat::DISCONNECT_ON_CUSTOMER_EXIT,
            1..=1,
        )?,
        connection_types: root.words("ConnectionTypes", &chat::CONNECTION_TYPES, 1..=2)?,
        streaming_endpoint_arn,
    };
    let client_token = root.text("ClientToken", 0..=CLIENT_TOKEN_CHARS)?;
    Ok(ChatRequest { chat, client_token, misspelt: misspelt(root) })
}

/// JSON, or an error that names the place.
fn parse(body: &[u8]) -> Result<Json> {
    if body.len() > BODY_BYTES {
        return Err(Error::new(Kind::PayloadTooLarge, "The body is larger than 64 KiB"));
    }
    json::read(body, Repeated::LastCounts).map_err(|Broken { path, rule }| {
        // Up to the first list: what follows may be a path of many brackets. "?" is a name that was cut short.
        let named = path.split('[').next().unwrap_or_default();
        let named = named.strip_suffix('?').unwrap_or(named).trim_end_matches('.');
        Error::invalid(if named.is_empty() { "body".to_owned() } else { shorten(named) }, rule)
    })
}

fn check_instance(root: &Object<'_>, instance: &Instance) -> Result<()> {
    // The hosted widget and the mobile samples say `ConnectInstanceId`.
    for name in ["InstanceId", "ConnectInstanceId"] {
        let Some(named) = root.text(name, 0..=INSTANCE_ID_CHARS)? else { continue };
        if !named.is_empty() && named != instance.id {
            return Err(Error::new(Kind::InstanceNotAllowed, "This Connect instance is not served here").at(name));
        }
    }
    Ok(())
}

fn contact_flow(root: &Object<'_>, config: &StartChat) -> Result<String> {
    let named = root.text("ContactFlowId", 0..=CONTACT_FLOW_ID_CHARS)?.unwrap_or_default();
    if named.is_empty() || named == config.instance.contact_flow_id {
        Ok(config.instance.contact_flow_id.clone())
    } else if config.extra_contact_flow_ids.contains(&named) {
        Ok(named)
    } else {
        Err(Error::new(
            Kind::FlowNotAllowed,
            "This flow is not open to widgets; its owner lists it in EXTRA_CONTACT_FLOW_IDS",
        )
        .at("ContactFlowId"))
    }
}

fn streaming_endpoint(root: &Object<'_>, instance: &Instance) -> Result<Option<String>> {
    let Some(configuration) = root.object("ChatStreamingConfiguration")? else { return Ok(None) };
    let arn = configuration
        .text("StreamingEndpointArn", STREAMING_ARN_CHARS)?
        .ok_or_else(|| configuration.missing("StreamingEndpointArn"))?;
    if instance.streaming_topic_arn.as_ref() == Some(&arn) {
        Ok(Some(arn))
    } else {
        Err(Error::new(Kind::StreamingNotAllowed, "Transcripts are not streamed to this endpoint")
            .at("ChatStreamingConfiguration.StreamingEndpointArn"))
    }
}

fn display_name(root: &Object<'_>, attributes: &BTreeMap<String, String>, is_signed: bool) -> Result<String> {
    let checked = |object: &Object<'_>, name: &str| -> Result<Option<String>> {
        Ok(object.text(name, 0..=*DISPLAY_NAME_CHARS.end())?.filter(|name| !name.trim().is_empty()))
    };
    if let Some(details) = root.object("ParticipantDetails")?
        && let Some(name) = checked(&details, "DisplayName")?
    {
        return Ok(name);
    }
    if let Some(name) = checked(root, CUSTOMER_NAME)? {
        return Ok(name);
    }
    let unsigned = is_signed.then(|| attributes.get(UNSIGNED_CUSTOMER_NAME)).flatten();
    let mut names = attributes.get(CUSTOMER_NAME).into_iter().chain(unsigned);
    if let Some(name) = names.find(|name| !name.trim().is_empty()) {
        if name.chars().count() > *DISPLAY_NAME_CHARS.end() {
            return Err(Error::invalid("Attributes.customerName", "is longer than 256 characters, as a display name"));
        }
        return Ok(name.clone());
    }
    Ok(checked(root, "Username")?.unwrap_or_else(|| ANONYMOUS.to_owned()))
}

fn initial_message(root: &Object<'_>) -> Result<Option<Content>> {
    let Some(message) = root.object("InitialMessage")? else { return Ok(None) };
    let content_type = message
        .word("ContentType", &chat::INITIAL_MESSAGE_CONTENT_TYPES)?
        .ok_or_else(|| message.missing("ContentType"))?;
    let content = message.field("Content").ok_or_else(|| message.missing("Content"))?;
    let text = content.string()?;
    if !CONTENT_BYTES.contains(&text.len()) {
        return Err(content.invalid("must be 1 to 16384 bytes long"));
    }
    Ok(Some(Content { content_type, content: text.to_owned() }))
}

fn content_types(root: &Object<'_>) -> Result<Vec<String>> {
    let Some(list) = root.list("SupportedMessagingContentTypes")? else { return Ok(Vec::new()) };
    let mut types: Vec<String> = Vec::new();
    for field in list {
        // chat-interface splits a list on commas and keeps the blanks.
        let trimmed = field.string()?.trim();
        if trimmed.is_empty() || types.iter().any(|seen| seen == trimmed) {
            continue;
        }
        if !chat::MESSAGING_CONTENT_TYPES.contains(&trimmed) {
            return Err(field.not_one_of(&chat::MESSAGING_CONTENT_TYPES));
        }
        types.push(trimmed.to_owned());
    }
    if !types.is_empty() && !types.iter().any(|kind| kind == TEXT_PLAIN) {
        types.push(TEXT_PLAIN.to_owned());
    }
    Ok(types)
}

fn duration(root: &Object<'_>) -> Result<Option<i32>> {
    let Some(field) = root.field("ChatDurationInMinutes") else { return Ok(None) };
    match field.integer()? {
        minutes if DURATION_MINUTES.contains(&minutes) => Ok(Some(minutes)),
        _ => Err(field.invalid("must be from 60 to 10080")),
    }
}

fn check_guide(segments: &BTreeMap<String, SegmentValue>, content_types: &[String]) -> Result<()> {
    // "connect:Guide" shows views, which are interactive messages (StartChatContact, SegmentAttributes).
    let guide = segments.get("connect:Subtype") == Some(&SegmentValue::String("connect:Guide".to_owned()));
    let missing = [chat::INTERACTIVE, chat::INTERACTIVE_RESPONSE]
        .into_iter()
        .find(|needed| !content_types.iter().any(|kind| kind == needed));
    match missing {
        Some(missing) if guide => {
            Err(Error::invalid("SupportedMessagingContentTypes", format_args!("must hold {missing} for connect:Guide")))
        }
        _ => Ok(()),
    }
}
