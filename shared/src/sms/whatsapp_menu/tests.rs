//! The limits of WhatsApp's own form, at and beyond each.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::choices::Answer;

const ID: &str = "0123456789abcdef0123456789abcdef";

fn choice(title: &str) -> Choice {
    Choice { title: title.into(), written: None, detail: None, group: None, answer: Answer::Text(title.into()) }
}

fn detailed(title: &str, detail: &str) -> Choice {
    Choice { detail: Some(detail.into()), ..choice(title) }
}

fn grouped(title: &str, group: Option<&str>) -> Choice {
    Choice { group: group.map(str::to_owned), ..choice(title) }
}

fn prompt(body: &str, choices: Vec<Choice>) -> Prompt {
    Prompt { id: ID.into(), body: body.into(), choices, whatsapp: None }
}

fn id(number: usize) -> String {
    format!("{ID}.{number}")
}

fn titles(count: usize) -> Vec<Choice> {
    (1..=count).map(|number| choice(&format!("Title {number}"))).collect()
}

#[test]
fn the_form_is_the_one_that_fits() {
    let body = |length: usize| "b".repeat(length);
    for (label, prompt, kind) in [
        ("one", prompt("?", titles(1)), "button"),
        ("three", prompt("?", titles(3)), "button"),
        ("four", prompt("?", titles(4)), "list"),
        ("ten", prompt("?", titles(10)), "list"),
        ("eleven", prompt("?", titles(11)), "text"),
        ("none", prompt("?", titles(0)), "text"),
        ("a title of 20", prompt("?", vec![choice(&"t".repeat(20))]), "button"),
        ("a title of 21", prompt("?", vec![choice(&"t".repeat(21))]), "list"),
        ("a title of 20 units", prompt("?", vec![choice(&"😀".repeat(10))]), "button"),
        ("a title of 22 units", prompt("?", vec![choice(&"😀".repeat(11))]), "list"),
        ("a title of 25", prompt("?", vec![choice(&"t".repeat(25))]), "list"),
        ("a title of 72", prompt("?", vec![choice(&"t".repeat(72))]), "list"),
        ("a title of 73", prompt("?", vec![choice(&"t".repeat(73))]), "text"),
        ("a detail", prompt("?", vec![detailed("Orders", "Where is it?")]), "list"),
        ("a detail of 72", prompt("?", vec![detailed("Orders", &body(72))]), "list"),
        ("a detail of 73", prompt("?", vec![detailed("Orders", &body(73))]), "text"),
        ("a long title and a detail", prompt("?", vec![detailed(&"t".repeat(60), "123456789")]), "list"),
        ("too much of both", prompt("?", vec![detailed(&"t".repeat(60), "1234567890")]), "text"),
        ("the same titles", prompt("?", vec![choice("Book"), choice("Book")]), "text"),
        ("the same in another case", prompt("?", vec![choice("Book"), choice("book")]), "text"),
        (
            "the same once cut",
            prompt("?", vec![choice(&format!("{}1", "t".repeat(30))), choice(&format!("{}2", "t".repeat(30)))]),
            "text",
        ),
        (
            "distinct once cut",
            prompt("?", vec![choice(&format!("1{}", "t".repeat(30))), choice(&format!("2{}", "t".repeat(30)))]),
            "list",
        ),
        ("a body of 1,024", prompt(&body(1_024), titles(3)), "button"),
        ("a body of 1,025", prompt(&body(1_025), titles(3)), "list"),
        ("a body of 4,096", prompt(&body(4_096), titles(4)), "list"),
        ("a body of 4,097", prompt(&body(4_097), titles(4)), "text"),
    ] {
        let made = interactive(&prompt);
        let found = made.as_ref().map_or("text", |value| value["type"].as_str().unwrap());
        assert_eq!(found, kind, "{label}");
    }
}

#[test]
fn buttons_and_lists_are_whole() {
    assert_eq!(
        interactive(&prompt("All well?", vec![choice("Yes"), choice("No")])),
        Some(json!({ "type": "button", "body": { "text": "All well?" }, "action": { "buttons": [
            { "type": "reply", "reply": { "id": id(1), "title": "Yes" } },
            { "type": "reply", "reply": { "id": id(2), "title": "No" } }] } }))
    );
    let long = "Sat 31 Oct 2020, 09:30-10:30 (UTC-7:30)";
    assert_eq!(
        interactive(&prompt("When?", vec![choice(long), detailed("Never", "I call you")])),
        Some(
            json!({ "type": "list", "body": { "text": "When?" }, "action": { "button": "Choose", "sections": [{ "rows": [
            { "id": id(1), "title": "Sat 31 Oct 2020, 09:30-…", "description": long },
            { "id": id(2), "title": "Never", "description": "I call you" }] }] } })
        )
    );
}

#[test]
fn cards_are_sections() {
    let cards = |groups: [Option<&str>; 4]| {
        let titles = ["One", "Two", "Three", "Four"];
        prompt("?", titles.into_iter().zip(groups).map(|(title, group)| grouped(title, group)).collect())
    };
    let sections = |prompt: &Prompt| interactive(prompt).unwrap()["action"]["sections"].clone();
    let row = |number: usize, title: &str| json!({ "id": id(number), "title": title });
    let [one, two, three, four] = [row(1, "One"), row(2, "Two"), row(3, "Three"), row(4, "Four")];
    assert_eq!(
        sections(&cards([
            Some("Travel"),
            Some("Travel"),
            Some("Hotels in and around Lisbon"),
            Some("Hotels in and around Lisbon")
        ])),
        json!([{ "title": "Travel", "rows": [one, two] }, { "title": "Hotels in and around Li…", "rows": [three, four] }])
    );
    let alone = json!([{ "rows": [one, two, three, four] }]);
    assert_eq!(sections(&cards([Some("Travel"); 4])), alone);
    assert_eq!(sections(&cards([Some("Travel"), None, None, Some("Hotels")])), alone);
}

fn of_flow(own: &Value) -> Option<Value> {
    let rows = own.pointer("/action/sections").and_then(Value::as_array).into_iter().flatten();
    let rows = rows.filter_map(|section| section["rows"].as_array()).flatten();
    let buttons = own.pointer("/action/buttons").and_then(Value::as_array).into_iter().flatten();
    let replies = rows.chain(buttons.map(|button| &button["reply"]));
    let choices = replies.map(|reply| choice(reply["title"].as_str().unwrap())).collect();
    super::of_flow(&Prompt { whatsapp: Some(own.clone()), ..prompt("?", choices) }, own)
}

#[test]
fn a_flows_own_form_gets_our_ids_and_nothing_else() {
    let buttons = json!({
        "title": "For the agent", "header": { "type": "image", "image": { "link": "https://x.example/a.png" } },
        "body": { "text": "*Ready?*" }, "footer": { "text": "Thanks" },
        "action": { "buttons": [{ "type": "reply", "reply": { "id": "y", "title": "Yes" } },
                                { "reply": { "id": "n", "title": "No" } }] } });
    assert_eq!(
        of_flow(&buttons),
        Some(json!({
            "type": "button", "header": { "type": "image", "image": { "link": "https://x.example/a.png" } },
            "body": { "text": "*Ready?*" }, "footer": { "text": "Thanks" },
            "action": { "buttons": [{ "type": "reply", "reply": { "id": id(1), "title": "Yes" } },
                                    { "type": "reply", "reply": { "id": id(2), "title": "No" } }] } }))
    );
    let list = json!({
        "title": "Menu", "body": { "text": "What would you like?" },
        "action": { "button": "See all", "sections": [
            { "title": "Fruit", "rows": [{ "id": "a", "title": "Apple", "description": "$1" }] },
            { "title": "Bread", "rows": [{ "id": "b", "title": "Rye" }] }] } });
    assert_eq!(
        of_flow(&list),
        Some(json!({
            "type": "list", "body": { "text": "What would you like?" },
            "action": { "button": "See all", "sections": [
                { "title": "Fruit", "rows": [{ "id": id(1), "title": "Apple", "description": "$1" }] },
                { "title": "Bread", "rows": [{ "id": id(2), "title": "Rye" }] }] } }))
    );
    for (label, pointer, value) in [
        ("no body", "/body", json!({})),
        ("a blank body", "/body/text", json!(" ")),
        ("a body that is too long", "/body/text", json!("b".repeat(4_097))),
        ("no opener", "/action/button", json!("")),
        ("a long opener", "/action/button", json!("o".repeat(21))),
        ("no section title", "/action/sections/1/title", json!("")),
        ("a long section title", "/action/sections/0/title", json!("s".repeat(25))),
        ("a long row", "/action/sections/0/rows/0/title", json!("t".repeat(25))),
        ("a long description", "/action/sections/0/rows/0/description", json!("d".repeat(73))),
        ("two of one title", "/action/sections/0/rows/0/title", json!("Rye")),
    ] {
        let mut changed = list.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        assert_eq!(of_flow(&changed), None, "{label}");
    }
    let mut four = buttons;
    four["action"]["buttons"] =
        (1..=4).map(|number| json!({ "reply": { "id": "x", "title": format!("{number}") } })).collect();
    assert_eq!(of_flow(&four), None);
}

proptest! {
    /// Whatever there is to choose: what is made of it is within WhatsApp's limits, and names each choice once.
    #[test]
    fn nothing_is_beyond_the_limits(
        body in "\\PC{1,60}", titles in prop::collection::vec("\\PC{1,40}", 1..12), details in prop::collection::vec("\\PC{0,60}", 12)
    ) {
        let choices: Vec<_> = titles.iter().zip(&details).map(|(title, detail)| {
            let detail = Some(detail.trim().to_owned()).filter(|detail| !detail.is_empty());
            Choice { detail, ..choice(title.trim()) }
        }).collect();
        let prompt = prompt(&body, choices);
        let Some(made) = interactive(&prompt) else { return Ok(()) };
        let is_list = made["type"] == "list";
        let sections = made.pointer("/action/sections").and_then(Value::as_array).cloned().unwrap_or_default();
        let rows: Vec<Value> = if is_list {
            sections.iter().flat_map(|section| section["rows"].as_array().unwrap().clone()).collect()
        } else {
            made["action"]["buttons"].as_array().unwrap().iter().map(|button| button["reply"].clone()).collect()
        };
        let (most_rows, most_title) = if is_list { (10, 24) } else { (3, 20) };
        prop_assert!(rows.len() == prompt.choices.len() && rows.len() <= most_rows);
        for (row, (id, choice)) in rows.iter().zip(prompt.with_ids()) {
            let (title, description) = (row["title"].as_str().unwrap(), row["description"].as_str().unwrap_or_default());
            prop_assert_eq!(row["id"].as_str(), Some(id.as_str()));
            prop_assert!(length(title) <= most_title && length(description) <= 72);
            prop_assert!(title == choice.title || description.starts_with(&choice.title));
            prop_assert!(choice.detail.as_ref().is_none_or(|detail| description.ends_with(detail.as_str())));
        }
    }
}
