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

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::{
    chat::{
        self, ATTRIBUTE_CHARS, ATTRIBUTES_BYTES, CLIENT_TOKEN_CHARS, CONNECTION_TOKEN_CHARS, CONTACT_FLOW_ID_CHARS,
        CONTACT_ID_CHARS, CONTENT_BYTES, CUSTOMER_ID_CHARS, Chat, Content, DISPLAY_NAME_CHARS, DURATION_MINUTES,
        INSTANCE_ID_CHARS, Persistent, SEGMENT_NAME_CHARS, SEGMENT_VALUE_CHARS, STREAMING_ARN_CHARS, SegmentValue,
        TEXT_PLAIN,
    },
    config::{Instance, StartChat},
    error::{Error, Kind, Result},
    secret::Secret,
    widget::signed::Claims,
};

/// The largest body, in bytes.
pub const BODY_BYTES: usize = 64 * 1024;

/// The name of a customer who gave none.
const ANONYMOUS: &str = "Customer";

/// The attribute that flows written for AWS's sample read.
const CUSTOMER_NAME: &str = "customerName";

/// The same, where the name isn't signed but could be: a flow must not take it for a claim.
const UNSIGNED_CUSTOMER_NAME: &str = "HostedWidget-customerName";

/// What stands before the name of an attribute that isn't signed but could be (administrator guide, "Alternative
/// method: Pass contact attributes directly from snippet code").
const UNSIGNED: &str = "HostedWidget-";

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
    let root = Field { path: String::new(), value: &body };
    let root = root.object()?;
    let claims = claims.map(|claims| Object { path: "token".to_owned(), members: &claims.members });
    chat(&root, claims.as_ref(), config)
}

/// Reads the body of a request to end a chat: the participant's connection token.
pub fn read_end(body: &[u8]) -> Result<Secret> {
    let body = parse(body)?;
    let root = Field { path: String::new(), value: &body };
    let root = root.object()?;
    let token = root.field("ConnectionToken").ok_or_else(|| root.missing("ConnectionToken"))?;
    let text = token.string()?;
    token.length(text.chars().count(), CONNECTION_TOKEN_CHARS)?;
    // It travels in a header.
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::invalid(token.path, "is not a token"));
    }
    Ok(Secret::new(text))
}

fn chat(root: &Object<'_>, claims: Option<&Object<'_>>, config: &StartChat) -> Result<ChatRequest> {
    check_instance(root, &config.instance)?;
    let contact_flow_id = contact_flow(root, config)?;
    let streaming_endpoint_arn = streaming_endpoint(root, &config.instance)?;
    let mut attributes = attributes(root)?;
    if let Some(claims) = claims {
        attributes = signed_attributes(claims, attributes)?;
    }
    let display_name = display_name(root, &attributes, claims.is_some())?;
    name_the_customer(&mut attributes, &display_name, claims.is_some());
    let content_types = content_types(root)?;
    let Vouched { segment_attributes, related_contact_id, customer_id, persistent } = match claims {
        Some(claims) => Vouched::of_claims(claims, root)?,
        None => Vouched::of_body(root)?,
    };
    check_guide(&segment_attributes, &content_types)?;
    if persistent.is_some() && related_contact_id.is_some() {
        return Err(Error::invalid("RelatedContactId", "can't be given together with PersistentChat"));
    }
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

/// Who the customer is and what past contacts are theirs: what nobody may say of another.
struct Vouched {
    segment_attributes: BTreeMap<String, SegmentValue>,
    related_contact_id: Option<String>,
    customer_id: Option<String>,
    persistent: Option<Persistent>,
}

impl Vouched {
    fn of_body(root: &Object<'_>) -> Result<Self> {
        Ok(Self {
            segment_attributes: segment_attributes(root, "SegmentAttributes")?,
            related_contact_id: root.text("RelatedContactId", CONTACT_ID_CHARS)?,
            customer_id: root.text("CustomerId", CUSTOMER_ID_CHARS)?,
            persistent: persistent(root, "PersistentChat", ["RehydrationType", "SourceContactId"])?,
        })
    }

    fn of_claims(claims: &Object<'_>, root: &Object<'_>) -> Result<Self> {
        for name in ["SegmentAttributes", "RelatedContactId", "CustomerId", "PersistentChat"] {
            // What says nothing is forgiven, as it is elsewhere: clients send what they have no value for.
            let says_something = match root.field(name).map(|field| field.value) {
                None => false,
                Some(Value::String(text)) => !text.is_empty(),
                Some(Value::Object(_)) if name == "PersistentChat" => {
                    persistent(root, name, ["RehydrationType", "SourceContactId"])?.is_some()
                }
                Some(Value::Object(members)) => !members.is_empty(),
                Some(_) => true,
            };
            if says_something {
                let message = format!("{name} is taken from the signed token only");
                return Err(Error::new(Kind::FieldNotAllowed, message).at(name));
            }
        }
        let members = match claims.object("persistentChat")? {
            Some(object) if object.field("RehydrationType").is_some() => ["RehydrationType", "SourceContactId"],
            _ => ["rehydrationType", "sourceContactId"],
        };
        Ok(Self {
            segment_attributes: segment_attributes(claims, "segmentAttributes")?,
            related_contact_id: claims.text("relatedContactId", CONTACT_ID_CHARS)?,
            customer_id: claims.text("customerId", CUSTOMER_ID_CHARS)?,
            persistent: persistent(claims, "persistentChat", members)?,
        })
    }
}

/// JSON, or an error that names the place. Depth (128) and number range are serde_json's; a lone surrogate is no text.
fn parse(body: &[u8]) -> Result<Value> {
    if body.len() > BODY_BYTES {
        return Err(Error::new(Kind::PayloadTooLarge, "The body is larger than 64 KiB"));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let unreadable = |path: Option<String>, error: &serde_json::Error| {
        // Up to the first list: what follows may be a path of thousands of brackets. "?" is a name that was cut short.
        let named = path.as_deref().and_then(|path| path.split('[').next());
        let named = named.map(|name| name.strip_suffix('?').unwrap_or(name).trim_end_matches('.'));
        let named = named.filter(|name| !name.is_empty());
        // What ends too early lacks its end, wherever that is.
        let field = named.filter(|_| !error.is_eof()).unwrap_or("body");
        // serde_json's texts for broken syntax hold no part of the input.
        Error::invalid(shorten(field), format_args!("is not valid JSON: {error}"))
    };
    let value = serde_path_to_error::deserialize(&mut reader)
        .map_err(|error| unreadable(Some(error.path().to_string()), error.inner()))?;
    reader.end().map_err(|error| unreadable(None, &error))?;
    Ok(value)
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

/// Gives flows the name, unless the caller did, or has filled the attributes to the limit.
fn name_the_customer(attributes: &mut BTreeMap<String, String>, display_name: &str, is_signed: bool) {
    let name = if is_signed { UNSIGNED_CUSTOMER_NAME } else { CUSTOMER_NAME };
    let full = bytes(attributes) + name.len() + display_name.len() > ATTRIBUTES_BYTES;
    if !full && !attributes.contains_key(CUSTOMER_NAME) && !attributes.contains_key(name) {
        attributes.insert(name.to_owned(), display_name.to_owned());
    }
}

fn bytes(attributes: &BTreeMap<String, String>) -> usize {
    attributes.iter().map(|(key, value)| key.len() + value.len()).sum()
}

/// Contact attributes: text to text. Pages send numbers and booleans too, which Connect refuses; they become text.
fn attributes(root: &Object<'_>) -> Result<BTreeMap<String, String>> {
    let Some(object) = root.object("Attributes")? else { return Ok(BTreeMap::new()) };
    let mut attributes = BTreeMap::new();
    for (key, field) in object.fields() {
        check_attribute_name(key, &field)?;
        let value = match field.value {
            Value::Null => continue,
            Value::Bool(value) => value.to_string(),
            Value::Number(number) => exact(number).ok_or_else(|| {
                Error::invalid(field.path.as_str(), "is a number too large to keep; send it as a string")
            })?,
            Value::String(_) | Value::Array(_) | Value::Object(_) => field.string()?.to_owned(),
        };
        field.length(key.chars().count().max(value.chars().count()), 0..=ATTRIBUTE_CHARS)?;
        attributes.insert(key.clone(), value);
    }
    check_attributes(attributes)
}

/// The claims' attributes, and beside them those of the body under names that no claim has. Claims are text to text and
/// nothing else: Connect's hosted widget fails the chat where they are not.
fn signed_attributes(claims: &Object<'_>, unsigned: BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    let mut attributes = BTreeMap::new();
    for (key, value) in unsigned {
        let name = format!("{UNSIGNED}{key}");
        if name.len() > ATTRIBUTE_CHARS {
            return Err(Error::invalid(format!("Attributes.{}", shorten(&key)), "has too long a name"));
        }
        attributes.insert(name, value);
    }
    if let Some(object) = claims.object("attributes")? {
        for (key, field) in object.fields() {
            check_attribute_name(key, &field)?;
            let value = field.string()?;
            field.length(key.len().max(value.chars().count()), 0..=ATTRIBUTE_CHARS)?;
            attributes.insert(key.clone(), value.to_owned());
        }
    }
    check_attributes(attributes)
}

fn check_attribute_name(key: &str, field: &Field<'_>) -> Result<()> {
    if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        let rule = "may hold only letters, digits, - and _ in its name";
        return Err(Error::invalid(field.path.as_str(), rule));
    }
    Ok(())
}

fn check_attributes(attributes: BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    if bytes(&attributes) > ATTRIBUTES_BYTES {
        return Err(Error::invalid("Attributes", "hold more than 32768 bytes over all keys and values"));
    }
    Ok(attributes)
}

/// A number's text, unless reading it has already lost digits: beyond 2^53 not every whole number has a double.
fn exact(number: &serde_json::Number) -> Option<String> {
    let whole = number.is_i64() || number.is_u64();
    let fits = number.as_f64().is_some_and(|number| number.abs() < 9_007_199_254_740_992.0);
    (whole || fits).then(|| number.to_string())
}

fn initial_message(root: &Object<'_>) -> Result<Option<Content>> {
    let Some(message) = root.object("InitialMessage")? else { return Ok(None) };
    let content_type = message
        .word("ContentType", &chat::INITIAL_MESSAGE_CONTENT_TYPES)?
        .ok_or_else(|| message.missing("ContentType"))?;
    let content = message.field("Content").ok_or_else(|| message.missing("Content"))?;
    let text = content.string()?;
    if !CONTENT_BYTES.contains(&text.len()) {
        return Err(Error::invalid(content.path, "must be 1 to 16384 bytes long"));
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

/// A past chat to go on from. Clients send the object with empty or missing members when there is none.
fn persistent(root: &Object<'_>, name: &str, [kind, source]: [&str; 2]) -> Result<Option<Persistent>> {
    let Some(object) = root.object(name)? else { return Ok(None) };
    let present = |name| -> Result<Option<String>> {
        Ok(object.text(name, 0..=*CONTACT_ID_CHARS.end())?.filter(|text| !text.is_empty()))
    };
    let (Some(_), Some(source_contact_id)) = (present(kind)?, present(source)?) else {
        return Ok(None);
    };
    let rehydration_type = object.word(kind, &chat::REHYDRATION_TYPES)?.unwrap_or_default();
    Ok(Some(Persistent { rehydration_type, source_contact_id }))
}

fn duration(root: &Object<'_>) -> Result<Option<i32>> {
    let Some(field) = root.field("ChatDurationInMinutes") else { return Ok(None) };
    match field.integer()? {
        minutes if DURATION_MINUTES.contains(&minutes) => Ok(Some(minutes)),
        _ => Err(Error::invalid(field.path, "must be from 60 to 10080")),
    }
}

fn segment_attributes(root: &Object<'_>, name: &str) -> Result<BTreeMap<String, SegmentValue>> {
    root.object(name)?.map_or_else(|| Ok(BTreeMap::new()), |object| segment_map(&object))
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

fn segment_map(object: &Object<'_>) -> Result<BTreeMap<String, SegmentValue>> {
    let mut segments = BTreeMap::new();
    for (name, field) in object.fields() {
        field.length(name.chars().count(), SEGMENT_NAME_CHARS)?;
        field.no_nul(name)?;
        if !field.value.is_null() {
            segments.insert(name.clone(), segment_value(&field)?);
        }
    }
    Ok(segments)
}

fn segment_value(field: &Field<'_>) -> Result<SegmentValue> {
    let object = field.object()?;
    let known = ["ValueString", "ValueMap", "ValueInteger", "ValueList", "ValueArn"];
    let mut set = known.into_iter().filter_map(|name| Some((name, object.field(name)?)));
    let (Some((name, member)), None) = (set.next(), set.next()) else {
        let rule = "must hold exactly one of ValueString, ValueMap, ValueInteger, ValueList and ValueArn";
        return Err(Error::invalid(field.path.as_str(), rule));
    };
    Ok(match name {
        "ValueMap" => SegmentValue::Map(segment_map(&member.object()?)?),
        "ValueList" => SegmentValue::List(member.items()?.iter().map(segment_value).collect::<Result<_>>()?),
        "ValueInteger" => SegmentValue::Integer(member.integer()?),
        "ValueArn" => SegmentValue::Arn(member.string()?.to_owned()),
        _ => {
            let text = member.string()?;
            member.length(text.chars().count(), 0..=SEGMENT_VALUE_CHARS)?;
            SegmentValue::String(text.to_owned())
        }
    })
}

/// A value and the way to it. Every reader of one gives an error that names the way.
struct Field<'a> {
    path: String,
    value: &'a Value,
}

/// A JSON object and the way to it. A member that is null counts as absent.
struct Object<'a> {
    path: String,
    members: &'a Map<String, Value>,
}

impl<'a> Field<'a> {
    fn string(&self) -> Result<&'a str> {
        let text = self.value.as_str().ok_or_else(|| self.not("a string"))?;
        self.no_nul(text)?;
        Ok(text)
    }

    /// Connect takes no NUL, and no keyboard types one.
    fn no_nul(&self, text: &str) -> Result<()> {
        if text.contains('\0') {
            return Err(Error::invalid(self.path.as_str(), "must not hold a NUL character"));
        }
        Ok(())
    }

    /// A whole number; clients that know only doubles may write it as `120.0`.
    fn integer(&self) -> Result<i32> {
        let number =
            self.value.as_f64().filter(|number| number.fract() == 0.0).ok_or_else(|| self.not("a whole number"))?;
        if number < f64::from(i32::MIN) || number > f64::from(i32::MAX) {
            return Err(Error::invalid(self.path.as_str(), "is out of range"));
        }
        #[expect(clippy::cast_possible_truncation, reason = "whole and within the range of i32")]
        Ok(number as i32)
    }

    fn object(&self) -> Result<Object<'a>> {
        let members = self.value.as_object().ok_or_else(|| self.not("an object"))?;
        Ok(Object { path: self.path.clone(), members })
    }

    fn items(&self) -> Result<Vec<Self>> {
        let items = self.value.as_array().ok_or_else(|| self.not("a list"))?;
        let path = &self.path;
        Ok(items.iter().enumerate().map(|(n, value)| Field { path: format!("{path}[{n}]"), value }).collect())
    }

    fn length(&self, chars: usize, range: std::ops::RangeInclusive<usize>) -> Result<()> {
        let (least, most) = (range.start(), range.end());
        match range.contains(&chars) {
            true => Ok(()),
            false => Err(Error::invalid(self.path.as_str(), format_args!("must be {least} to {most} characters long"))),
        }
    }

    fn not(&self, kind: &str) -> Error {
        let path = if self.path.is_empty() { "body" } else { &self.path };
        Error::invalid(path, format_args!("must be {kind}"))
    }

    fn not_one_of(&self, words: &[&str]) -> Error {
        Error::invalid(self.path.as_str(), format_args!("must be one of {}", words.join(", ")))
    }
}

impl<'a> Object<'a> {
    fn path(&self, name: &str) -> String {
        let name = shorten(name);
        if self.path.is_empty() { name } else { format!("{}.{name}", self.path) }
    }

    fn field(&self, name: &str) -> Option<Field<'a>> {
        let value = self.members.get(name).filter(|value| !value.is_null())?;
        Some(Field { path: self.path(name), value })
    }

    fn fields(&self) -> impl Iterator<Item = (&'a String, Field<'a>)> + use<'_, 'a> {
        self.members.iter().map(|(name, value)| (name, Field { path: self.path(name), value }))
    }

    fn missing(&self, name: &str) -> Error {
        Error::invalid(self.path(name), "is required")
    }

    fn text(&self, name: &str, chars: std::ops::RangeInclusive<usize>) -> Result<Option<String>> {
        let Some(field) = self.field(name) else { return Ok(None) };
        let text = field.string()?;
        field.length(text.chars().count(), chars)?;
        Ok(Some(text.to_owned()))
    }

    fn word(&self, name: &str, words: &[&str]) -> Result<Option<String>> {
        let Some(field) = self.field(name) else { return Ok(None) };
        match field.string()? {
            word if words.contains(&word) => Ok(Some(word.to_owned())),
            _ => Err(field.not_one_of(words)),
        }
    }

    fn object(&self, name: &str) -> Result<Option<Self>> {
        self.field(name).map(|field| field.object()).transpose()
    }

    fn list(&self, name: &str) -> Result<Option<Vec<Field<'a>>>> {
        self.field(name).map(|field| field.items()).transpose()
    }

    fn words(&self, name: &str, words: &[&str], count: std::ops::RangeInclusive<usize>) -> Result<Vec<String>> {
        let Some(list) = self.list(name)? else { return Ok(Vec::new()) };
        if !count.contains(&list.len()) {
            let rule = format!("must hold {} to {} items", count.start(), count.end());
            return Err(Error::invalid(self.path(name), rule));
        }
        let mut seen = BTreeSet::new();
        for field in &list {
            let word = field.string()?;
            if !words.contains(&word) {
                return Err(field.not_one_of(words));
            }
            if !seen.insert(word) {
                return Err(Error::invalid(field.path.as_str(), "is there twice"));
            }
        }
        list.iter().map(|field| field.string().map(str::to_owned)).collect()
    }
}

/// A name in an error is for a person: the caller's own key, cut where it goes on for pages.
fn shorten(name: &str) -> String {
    match name.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}
