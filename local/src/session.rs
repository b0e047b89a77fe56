//! What a new chat carries: attributes, content types, where it streams to. StartChatContact and SendChatIntegrationEvent
//! share it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::validate::{Length, Object, Valid, bad_parameter, bad_request, chars, string, word};

/// What a chat may carry (StartChatContact API reference, `SupportedMessagingContentTypes`).
const CONTENT_TYPES: [&str; 5] = [PLAIN, "text/markdown", "application/json", INTERACTIVE, INTERACTIVE_RESPONSE];
pub(crate) const PLAIN: &str = "text/plain";
const INTERACTIVE: &str = "application/vnd.amazonaws.connect.message.interactive";
const INTERACTIVE_RESPONSE: &str = "application/vnd.amazonaws.connect.message.interactive.response";

/// All keys and values of a contact's attributes (StartChatContact API reference).
const MAX_ATTRIBUTES_BYTES: usize = 32_768;

/// "There can be up to 32,768 UTF-8 bytes across all key-value pairs per contact. Attribute keys can include only
/// alphanumeric, dash, and underscore characters."
pub(crate) fn read_attributes(body: &Object<'_>) -> Valid<BTreeMap<String, String>> {
    let Some(attributes) = body.object("Attributes")? else { return Ok(BTreeMap::new()) };
    let mut read = BTreeMap::new();
    let mut size = 0;
    for (path, key, value) in attributes.entries() {
        if !is_attribute_key(key) {
            return bad_parameter(format!("{path}: keys have letters, digits, dashes and underscores only"));
        }
        let value = string(&path, value, chars(0, 32_767))?;
        size += key.len() + value.len();
        read.insert(key.to_owned(), value.to_owned());
    }
    if size > MAX_ATTRIBUTES_BYTES {
        return bad_parameter(format!("{} must have at most {MAX_ATTRIBUTES_BYTES} bytes", body.path("Attributes")));
    }
    Ok(read)
}

fn is_attribute_key(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// "Content types must always contain text/plain." Absent: that alone.
pub(crate) fn read_content_types(body: &Object<'_>) -> Valid<Vec<String>> {
    const NAME: &str = "SupportedMessagingContentTypes";
    let Some(items) = body.list(NAME, 0, usize::MAX)? else { return Ok(vec![PLAIN.to_owned()]) };
    let mut types = Vec::new();
    for (path, item) in items {
        string(&path, item, chars(1, 100))?;
        types.push(word(&path, item, &CONTENT_TYPES)?.to_owned());
    }
    if !types.iter().any(|kind| kind == PLAIN) {
        return bad_parameter(format!("{} must contain text/plain", body.path(NAME)));
    }
    Ok(types)
}

pub(crate) fn read_segment_attributes(body: &Object<'_>, supported: &[String]) -> Valid<Option<Value>> {
    const NAME: &str = "SegmentAttributes";
    let Some(attributes) = body.object(NAME)? else { return Ok(None) };
    check_segment_attributes(&attributes, 0)?;
    let subtype = body.value(NAME).and_then(|all| all.pointer("/connect:Subtype/ValueString")).and_then(Value::as_str);
    let has = |kind: &str| supported.iter().any(|supported| supported == kind);
    if subtype == Some("connect:Guide") && !(has(INTERACTIVE) && has(INTERACTIVE_RESPONSE)) {
        return bad_request(format!(
            "connect:Guide needs {INTERACTIVE} and {INTERACTIVE_RESPONSE} in SupportedMessagingContentTypes"
        ));
    }
    Ok(body.value(NAME).cloned())
}

fn check_segment_attributes(attributes: &Object<'_>, depth: usize) -> Valid<()> {
    for (path, name, value) in attributes.entries() {
        // "Attribute keys can include only alphanumeric, -, and _", but for Connect's own, such as connect:Subtype.
        let key = name.strip_prefix("connect:").unwrap_or(name);
        if !is_attribute_key(key) || name.len() > 128 {
            return bad_parameter(format!("{path}: names have 1 to 128 letters, digits, dashes and underscores"));
        }
        check_segment_value(&Object::new(path, value)?, depth)?;
    }
    Ok(())
}

fn check_segment_value(value: &Object<'_>, depth: usize) -> Valid<()> {
    const TEXT: Length = chars(0, 1024);
    if depth > 8 {
        return bad_request(format!("{} is nested too deeply", value.path("")));
    }
    let mut found = value.string("ValueString", TEXT)?.is_some();
    found |= value.string("ValueArn", TEXT)?.is_some();
    found |= value.integer("ValueInteger", i64::from(i32::MIN), i64::from(i32::MAX))?.is_some();
    if let Some(map) = value.object("ValueMap")? {
        check_segment_attributes(&map, depth + 1)?;
        found = true;
    }
    for (path, item) in value.list("ValueList", 0, usize::MAX)?.unwrap_or_default() {
        check_segment_value(&Object::new(path, item)?, depth + 1)?;
        found = true;
    }
    let empty_list = value.value("ValueList").is_some();
    if found || empty_list { Ok(()) } else { bad_request(format!("{} has no value", value.path("ValueString"))) }
}

/// A `ChatStreamingConfiguration`: "the ARN of the standard Amazon SNS topic".
pub(crate) fn read_streaming(body: &Object<'_>, name: &str) -> Valid<Option<String>> {
    let Some(streaming) = body.object(name)? else { return Ok(None) };
    let arn = streaming.required_string("StreamingEndpointArn", chars(1, 350))?;
    let parts: Vec<_> = arn.split(':').collect();
    let standard_topic = matches!(parts.as_slice(),
        ["arn", _, "sns", region, account, topic]
            if !region.is_empty() && !account.is_empty() && !topic.is_empty() && !topic.ends_with(".fifo"));
    if !standard_topic {
        return bad_parameter(format!("{} must be a standard SNS topic", streaming.path("StreamingEndpointArn")));
    }
    Ok(Some(arn.to_owned()))
}
