//! Lines that tell an agent what can't be shown as it is: `[order] 2 × mug, 8 EUR`. Each begins with a word in brackets.

use serde_json::{Map, Value};

use crate::json;

type Object = Map<String, Value>;

/// What a message of a kind that we can't read becomes, followed by such text as it has.
const UNSUPPORTED: &str = "unsupported message";

/// The line for a message, or a part of one, in which no text can be found.
pub const UNSUPPORTED_LINE: &str = "[unsupported message]";

/// Names under which providers put what a person wrote or reads, in the order in which they are looked for.
const READABLE: [&str; 8] = ["text", "body", "title", "caption", "name", "description", "url", "message"];

/// A form's own names that say nothing to an agent.
const FORM_SECRETS: [&str; 2] = ["flow_token", "flow_action_payload"];

/// How far into a message of an unknown kind its text is looked for.
const MOST_LEVELS: usize = 4;

/// `[word] a, b`; blank parts are left out.
pub fn line(word: &str, parts: impl IntoIterator<Item = String>) -> String {
    let parts: Vec<String> = parts.into_iter().map(|part| one_line(&part)).filter(|part| !part.is_empty()).collect();
    format!("[{word}] {}", parts.join(", ")).trim_end().to_owned()
}

/// Whether a text begins as these lines do, and as the bridge's notes in a chat: a customer's own is told apart.
pub fn begins_with_word(text: &str) -> bool {
    let inside = text.trim_start().strip_prefix('[').and_then(|rest| rest.lines().next()?.split_once(']'));
    inside.is_some_and(|(word, _)| word.chars().any(char::is_alphabetic))
}

/// The line for a message of a kind that we don't know: with the text in it, if any can be found.
pub fn unsupported(content: Option<&Value>) -> String {
    line(UNSUPPORTED, content.and_then(|content| readable(content, MOST_LEVELS)))
}

/// The text that some object has somewhere.
fn readable(value: &Value, levels: usize) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()).filter(|text| !text.trim().is_empty()),
        Value::Object(object) if levels > 0 => READABLE
            .into_iter()
            .filter_map(|name| object.get(name))
            .chain(object.values().filter(|value| value.is_object() || value.is_array()))
            .find_map(|value| readable(value, levels - 1)),
        Value::Array(values) if levels > 0 => values.iter().find_map(|value| readable(value, levels - 1)),
        _ => None,
    }
}

/// An order from a catalogue: `[order] gift wrap please: 2 × mug, 8 EUR; 1 × cup, 5.5 EUR`. Anything may be missing.
/// <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/order>
pub fn order(order: &Value) -> String {
    let items: Vec<_> = ["product_items", "items", "products"]
        .into_iter()
        .find_map(|name| order.get(name)?.as_array())
        .into_iter()
        .flatten()
        .filter_map(item)
        .collect();
    let note = ["text", "note", "body"].into_iter().find_map(|name| filled(order.as_object()?, name));
    match (note, items.is_empty()) {
        (Some(note), false) => line("order", [format!("{note}: {}", items.join("; "))]),
        (Some(note), true) => line("order", [note]),
        (None, _) => line("order", [items.join("; ")]),
    }
}

fn item(item: &Value) -> Option<String> {
    let item = item.as_object()?;
    let product =
        ["product_retailer_id", "name", "id"].into_iter().find_map(|name| filled(item, name)).unwrap_or_default();
    let counted = match filled(item, "quantity") {
        Some(quantity) => format!("{quantity} × {product}").trim_end().to_owned(),
        None => product,
    };
    let price = ["item_price", "price"].into_iter().find_map(|name| filled(item, name));
    let price = price.map(|price| format!("{price} {}", filled(item, "currency").unwrap_or_default()));
    let parts: Vec<_> = [Some(counted), price]
        .into_iter()
        .flatten()
        .map(|part| part.trim().to_owned())
        .filter(|part| !part.is_empty())
        .collect();
    Some(parts.join(", ")).filter(|text| !text.is_empty())
}

/// What was entered in a form, by the names of its fields: `[form] name: Ada; slots: 9:00, 9:30`.
pub fn form(answers: &Object) -> String {
    let answers: Vec<_> = answers
        .iter()
        .filter(|(name, _)| !FORM_SECRETS.contains(&name.as_str()))
        .filter_map(|(name, value)| Some(format!("{name}: {}", answer(value)?)))
        .collect();
    line("form", [answers.join("; ")])
}

/// The answers of a form, which come as an object or as its text.
pub fn answers(value: &Value) -> Option<Object> {
    match value {
        Value::String(text) => json::parse(text.as_bytes()).ok(),
        Value::Object(answers) => Some(answers.clone()),
        _ => None,
    }
}

/// A filled-in form of WhatsApp's (`nfm_reply`): what is said beside the answers, the line of these, and the whole of it
/// as it came. The customer sees `body`, which is "Sent" for most.
pub fn form_reply(reply: &Object) -> Option<(String, Option<String>, Option<String>)> {
    let json = reply.get("response_json");
    let payload = match json {
        Some(Value::String(text)) => Some(text.clone()),
        Some(value @ Value::Object(_)) => Some(value.to_string()),
        _ => None,
    };
    let label = filled(reply, "body").or_else(|| filled(reply, "name"));
    if label.is_none() && payload.is_none() {
        return None;
    }
    let line = form(&json.and_then(answers).unwrap_or_default());
    let has_answers = line != "[form]";
    let text = label.filter(|label| !(has_answers && matches!(label.as_str(), "Sent" | "flow"))).unwrap_or_default();
    let line = (has_answers || text.is_empty()).then_some(line);
    Some((text, line, payload))
}

fn answer(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::Array(values) => values.iter().filter_map(answer).collect::<Vec<_>>().join(", "),
        Value::Object(object) => {
            let parts = object.iter().filter_map(|(name, value)| Some(format!("{name} {}", answer(value)?)));
            parts.collect::<Vec<_>>().join(", ")
        }
        value => words(value)?,
    };
    Some(text).filter(|text| !text.trim().is_empty())
}

/// A card as an agent can read it: `[contact] Ada Lovelace, Engines, +44 20 7946 0000, ada@example.com`. Anything may be
/// missing: <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/contacts>
pub fn contact(card: &Value) -> String {
    let all = |list: &str, name: &str| {
        card.get(list)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|item| filled(item.as_object()?, name))
            .collect::<Vec<_>>()
    };
    let plain = |name: &str| Some(card.get(name)?.as_str()?.to_owned());
    let name = card.get("name").and_then(Value::as_object).and_then(|name| {
        let of_parts = || {
            let parts: Vec<_> = ["first_name", "last_name"].into_iter().filter_map(|part| filled(name, part)).collect();
            Some(parts.join(" ")).filter(|name| !name.is_empty())
        };
        filled(name, "formatted_name").or_else(of_parts)
    });
    let company = card.get("org").and_then(|org| filled(org.as_object()?, "company"));
    let parts = name
        .or_else(|| plain("name"))
        .into_iter()
        .chain(company)
        .chain(all("phones", "phone"))
        .chain(plain("phone"))
        .chain(all("emails", "email"))
        .chain(plain("email"));
    line("contact", parts)
}

/// Contacts, one a line: a list of cards, or one card.
pub fn contacts(cards: &Value) -> String {
    let cards = cards.as_array().map_or(std::slice::from_ref(cards), Vec::as_slice);
    if cards.is_empty() {
        return line("contact", []);
    }
    cards.iter().map(contact).collect::<Vec<_>>().join("\n")
}

/// A field that says something: a text, a number or a yes or no.
fn filled(object: &Object, name: &str) -> Option<String> {
    words(object.get(name)?).filter(|text| !text.trim().is_empty())
}

fn words(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => {
            let text = number.to_string();
            Some(text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned))
        }
        Value::Bool(flag) => Some(if *flag { "yes" } else { "no" }.to_owned()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Line ends would make one line look like several.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{contacts, form, order, unsupported};

    #[test]
    fn orders_are_read_as_far_as_they_can_be() {
        let mug = json!({"product_retailer_id": "mug", "quantity": 2, "item_price": 8, "currency": "EUR"});
        for (given, expected) in [
            (json!({"text": "gift wrap please", "product_items": [mug]}), "[order] gift wrap please: 2 × mug, 8 EUR"),
            (json!({"product_items": [mug]}), "[order] 2 × mug, 8 EUR"),
            (
                json!({"product_items": [mug, {"product_retailer_id": "cup", "quantity": "1", "item_price": "5.50",
                       "currency": "EUR"}, 7, {}]}),
                "[order] 2 × mug, 8 EUR; 1 × cup, 5.50 EUR",
            ),
            (json!({"text": "gift\nwrap", "product_items": []}), "[order] gift wrap"),
            (json!({"product_items": [{"product_retailer_id": "mug"}]}), "[order] mug"),
            (json!({"product_items": [{"item_price": 8.0}]}), "[order] 8"),
            (json!({}), "[order]"),
            (json!(7), "[order]"),
        ] {
            assert_eq!(order(&given), expected, "{given}");
        }
    }

    #[test]
    fn forms_show_answers_and_no_token() {
        for (given, expected) in [
            (json!({"flow_token": "secret", "name": "Ada", "age": 36}), "[form] age: 36; name: Ada"),
            (json!({"slots": ["9:00", "9:30"], "consent": true}), "[form] consent: yes; slots: 9:00, 9:30"),
            (json!({"values": {"city": "Kochi"}, "empty": "", "none": null}), "[form] values: city Kochi"),
            (json!({"flow_token": "secret"}), "[form]"),
        ] {
            assert_eq!(form(given.as_object().unwrap()), expected, "{given}");
        }
    }

    #[test]
    fn cards_become_a_line_each() {
        let ada = json!({"name": {"formatted_name": "Ada Lovelace"}, "org": {"company": "Engines"},
                         "phones": [{"phone": "+44 20 7946 0000"}], "emails": [{"email": "ada@example.com"}]});
        for (given, expected) in [
            (json!([ada, {}]), "[contact] Ada Lovelace, Engines, +44 20 7946 0000, ada@example.com\n[contact]"),
            (json!({"name": "Ada", "phone": "1"}), "[contact] Ada, 1"),
            (json!({"name": {"first_name": "Ada", "last_name": "Lovelace"}}), "[contact] Ada Lovelace"),
            (json!("x"), "[contact]"),
        ] {
            assert_eq!(contacts(&given), expected, "{given}");
        }
    }

    #[test]
    fn what_is_not_supported_shows_its_text() {
        for (given, expected) in [
            (None, "[unsupported message]"),
            (Some(json!({"x": 7})), "[unsupported message]"),
            (Some(json!({"body": " Hello\nagent "})), "[unsupported message] Hello agent"),
            (Some(json!({"type": "call", "call": {"text": "Hello"}})), "[unsupported message] Hello"),
            (Some(json!("Hello")), "[unsupported message] Hello"),
        ] {
            assert_eq!(unsupported(given.as_ref()), expected, "{given:?}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from)
        ];
        leaf.prop_recursive(5, 30, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("text|name|product_items|quantity|[a-z]{1,4}", inner), 0..4)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn anything_is_a_line(value in any_json()) {
            for (line, word) in [(order(&value), "[order]"), (unsupported(Some(&value)), "[unsupported message]")] {
                prop_assert!(line.starts_with(word));
                prop_assert!(!line.contains('\n'));
            }
            if let Some(object) = value.as_object() {
                prop_assert!(form(object).starts_with("[form]"));
            }
        }
    }
}
