//! Contact attributes, and which names a page may set.

use std::collections::BTreeMap;

use serde_json::Number;

use crate::{
    chat::{ATTRIBUTE_CHARS, ATTRIBUTES_BYTES, CHANNEL, OWN_ATTRIBUTES},
    error::{Error, Result},
    json::Json,
    widget::field::{Field, Object, shorten},
};

/// The attribute that flows written for AWS's sample read.
pub(super) const CUSTOMER_NAME: &str = "customerName";

/// The same, where the name isn't signed but could be: a flow must not take it for a claim.
pub(super) const UNSIGNED_CUSTOMER_NAME: &str = "HostedWidget-customerName";

/// What stands before the name of an attribute that its sender may not set (administrator guide, "Alternative method: Pass
/// contact attributes directly from snippet code").
const UNSIGNED: &str = "HostedWidget-";

/// The value of [`CHANNEL`] in a widget's chat.
const WEB: &str = "web";

/// The attributes of body and claims. Text to text: pages send numbers and booleans too, which Connect refuses; they become
/// text.
pub(super) fn read(root: &Object<'_>, claims: Option<&Object<'_>>) -> Result<BTreeMap<String, String>> {
    let mut attributes = of_body(root, claims.is_some())?;
    if let Some(claims) = claims {
        of_claims(claims, &mut attributes)?;
    }
    attributes.insert(CHANNEL.to_owned(), WEB.to_owned());
    if bytes(&attributes) > ATTRIBUTES_BYTES {
        let rule = "hold more than 32768 bytes over all keys and values, `channel` included";
        return Err(Error::invalid("Attributes", rule));
    }
    Ok(attributes)
}

/// Gives flows the name, unless the caller did, or has filled the attributes to the limit.
pub(super) fn name_the_customer(attributes: &mut BTreeMap<String, String>, display_name: &str, is_signed: bool) {
    let name = if is_signed { UNSIGNED_CUSTOMER_NAME } else { CUSTOMER_NAME };
    let full = bytes(attributes) + name.len() + display_name.len() > ATTRIBUTES_BYTES;
    if !full && !attributes.contains_key(CUSTOMER_NAME) && !attributes.contains_key(name) {
        attributes.insert(name.to_owned(), display_name.to_owned());
    }
}

/// Where requests are signed, all that is not goes by another name; elsewhere only what flows believe the bridge for.
fn of_body(root: &Object<'_>, is_signed: bool) -> Result<BTreeMap<String, String>> {
    let mut attributes = BTreeMap::new();
    let Some(object) = root.object("Attributes")? else { return Ok(attributes) };
    for (key, field) in object.fields() {
        check_name(key, &field)?;
        let value = match field.value {
            Json::Null => continue,
            Json::Bool(value) => value.to_string(),
            Json::Number(number) => {
                exact(number).ok_or_else(|| field.invalid("is a number too large to keep; send it as a string"))?
            }
            Json::Text(_) | Json::List(_) | Json::Object(_) => field.string()?.to_owned(),
        };
        field.length(key.chars().count().max(value.chars().count()), 0..=ATTRIBUTE_CHARS)?;
        if is_signed || OWN_ATTRIBUTES.contains(&key) {
            attributes.insert(unsigned(key)?, value);
        } else {
            attributes.insert(key.to_owned(), value);
        }
    }
    Ok(attributes)
}

/// Claims are text to text and nothing else: Connect's hosted widget fails the chat where they are not.
fn of_claims(claims: &Object<'_>, attributes: &mut BTreeMap<String, String>) -> Result<()> {
    let Some(object) = claims.object("attributes")? else { return Ok(()) };
    for (key, field) in object.fields() {
        check_name(key, &field)?;
        let value = field.string()?;
        field.length(key.len().max(value.chars().count()), 0..=ATTRIBUTE_CHARS)?;
        // Whoever signs: a widget's chat is one of the web.
        let name = if key == CHANNEL { unsigned(key)? } else { key.to_owned() };
        attributes.insert(name, value.to_owned());
    }
    Ok(())
}

fn unsigned(key: &str) -> Result<String> {
    let name = format!("{UNSIGNED}{key}");
    if name.len() > ATTRIBUTE_CHARS {
        return Err(Error::invalid(format!("Attributes.{}", shorten(key)), "has too long a name"));
    }
    Ok(name)
}

fn check_name(key: &str, field: &Field<'_>) -> Result<()> {
    if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
        return Err(field.invalid("may hold only letters, digits, - and _ in its name"));
    }
    Ok(())
}

fn bytes(attributes: &BTreeMap<String, String>) -> usize {
    attributes.iter().map(|(key, value)| key.len() + value.len()).sum()
}

/// A number's text, unless reading it has already lost digits: beyond 2^53 not every whole number has a double.
fn exact(number: &Number) -> Option<String> {
    let whole = number.is_i64() || number.is_u64();
    let fits = number.as_f64().is_some_and(|number| number.abs() < 9_007_199_254_740_992.0);
    (whole || fits).then(|| number.to_string())
}
