//! What Connect gets of a message that comes into a chat in which a menu was sent.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    deliver::contact::agent_words,
    settings::Settings,
    sms::message::{Channel, Location, Media, Message},
};

const MENU: &str = "0123456789abcdef0123456789abcdef";

fn choice(title: &str, answer: Answer) -> Choice {
    Choice { title: title.into(), written: None, detail: None, group: None, answer }
}

/// A menu that was sent a minute ago in the chat `c-1`.
fn menu(is_numbered: bool) -> Menu {
    let choices = vec![
        choice("Orders", Answer::Text("*Orders*".into())),
        choice("[not delivered]", Answer::Text("[not delivered]".into())),
        choice("More", Answer::Action(r#"{"action":"SHOW_MORE"}"#.into())),
    ];
    let since = Timestamp::now().as_millisecond() - 60_000;
    Menu { id: MENU.into(), contact_id: "c-1".into(), since, is_numbered, choices }
}

fn inbound(changes: impl FnOnce(&mut Message)) -> Inbound {
    let account = json!({ "provider": "twilio", "auth_tokens": ["t"] });
    let settings = Settings::from_json(json!({ "accounts": [account] }).to_string().as_bytes()).unwrap();
    let mut message = Message::new("twilio", Channel::Sms, "SM1", "+14155550100", "+12025550100");
    changes(&mut message);
    Inbound::new(&settings.accounts[0], message)
}

fn text(text: &str) -> Inbound {
    inbound(|message| message.text = text.to_owned())
}

fn tap(id: &str, label: &str) -> Inbound {
    inbound(|message| {
        message.text = label.to_owned();
        message.button_payload = Some(id.to_owned());
    })
}

fn receipt(age: u64) -> Receipt<'static> {
    Receipt { item: "m", again: None, age: Duration::from_secs(age) }
}

fn whole(inbound: &Inbound) -> Option<String> {
    Some(agent_text(inbound))
}

fn content(saying: &Saying) -> &Content {
    saying.content.as_ref().unwrap()
}

fn said(saying: &Saying) -> (&str, &str, bool) {
    let content = content(saying);
    (content.content_type.rsplit('.').next().unwrap(), &content.content, saying.menu_id.is_some())
}

#[test]
fn an_answer_is_said_as_connects_own_widget_says_it() {
    let last = || Menus { last: Some(menu(true)), named: None };
    let named = || Menus { last: None, named: Some(menu(false)) };
    let native = || Menus { last: Some(menu(false)), named: None };
    let id = |number: usize| format!("{MENU}.{number}");
    let picture = Media::default;
    for (label, inbound, menus, contact, answered, age, expected) in [
        ("a number", text("1"), last(), "c-1", None, 0, ("text/plain", "*Orders*", true)),
        ("a title", text("orders "), last(), "c-1", None, 0, ("text/plain", "*Orders*", true)),
        (
            "a title like a note",
            text("[NOT delivered]"),
            last(),
            "c-1",
            None,
            0,
            ("text/plain", "[not delivered]", true),
        ),
        ("an action", text("3"), last(), "c-1", None, 0, ("response", r#"{"action":"SHOW_MORE"}"#, true)),
        ("no answer", text(" 4 "), last(), "c-1", None, 0, ("text/plain", " 4 ", false)),
        (
            "words",
            text("[not delivered] x"),
            last(),
            "c-1",
            None,
            0,
            ("text/plain", "Customer wrote: [not delivered] x", false),
        ),
        ("no menu", text("1"), Menus::default(), "c-1", None, 0, ("text/plain", "1", false)),
        ("another chat's", text("1"), last(), "c-2", None, 0, ("text/plain", "1", false)),
        ("answered before", text("1"), last(), "c-1", Some(MENU), 0, ("text/plain", "1", false)),
        ("another one was answered", text("1"), last(), "c-1", Some("other"), 0, ("text/plain", "*Orders*", true)),
        ("of before the menu", text("1"), last(), "c-1", None, 61, ("text/plain", "1", false)),
        ("a number, where none were shown", text("1"), native(), "c-1", None, 0, ("text/plain", "1", false)),
        (
            "a title, where buttons were shown",
            text("ORDERS"),
            native(),
            "c-1",
            None,
            0,
            ("text/plain", "*Orders*", true),
        ),
        ("a tap", tap(&id(1), "Ord…"), named(), "c-1", None, 0, ("text/plain", "*Orders*", true)),
        ("a second tap", tap(&id(1), "Ord…"), named(), "c-1", Some(MENU), 0, ("text/plain", "*Orders*", true)),
        ("an early tap", tap(&id(1), "Ord…"), named(), "c-1", None, 61, ("text/plain", "*Orders*", true)),
        (
            "a tap for more",
            tap(&id(3), "More"),
            named(),
            "c-1",
            None,
            0,
            ("response", r#"{"action":"SHOW_MORE"}"#, true),
        ),
        ("a tap in another chat", tap(&id(1), "Ord…"), named(), "c-2", None, 0, ("text/plain", "Ord…", false)),
        ("a tap on nothing", tap(&id(4), "Ord…"), named(), "c-1", None, 0, ("text/plain", "Ord…", false)),
        ("a tap on another's button", tap("yes", "Orders"), last(), "c-1", None, 0, ("text/plain", "*Orders*", true)),
        ("an unknown id alone", tap("yes", ""), last(), "c-1", None, 0, ("text/plain", "yes", false)),
    ] {
        let saying = Saying::of(&inbound, &menus, Some(contact), answered, receipt(age), whole);
        assert_eq!(said(&saying), expected, "{label}");
    }
    for (label, changes, expected) in [
        (
            "a picture with a number",
            (|message: &mut Message, picture| message.media = vec![picture]) as fn(&mut Message, Media),
            "1\n[file]",
        ),
        (
            "a place with a number",
            |message, _| message.location = Some(Location { latitude: 1.5, longitude: 2.5, name: None, address: None }),
            "1\n[location] 1.5, 2.5",
        ),
    ] {
        let inbound = inbound(|message| {
            message.text = "1".into();
            changes(message, picture());
        });
        let saying = Saying::of(&inbound, &last(), Some("c-1"), None, receipt(0), whole);
        assert_eq!(said(&saying), ("text/plain", expected, false), "{label}");
    }
    // Nothing of what came with a choice is lost.
    let mut with_more = tap(&id(2), "");
    with_more.message.media = vec![picture()];
    let saying = Saying::of(&with_more, &named(), Some("c-1"), None, receipt(0), whole);
    assert_eq!(said(&saying), ("text/plain", "[not delivered]\n[file]", true));
    let apart = Saying::of(&with_more, &named(), Some("c-1"), None, receipt(0), agent_words);
    assert_eq!(said(&apart), ("text/plain", "[not delivered]", true), "the picture becomes an attachment");
}

#[test]
fn a_choice_of_any_length_is_within_what_connect_takes() {
    let mut menu = menu(true);
    menu.choices[0].answer = Answer::Text("é".repeat(10_000));
    let menus = Menus { last: Some(menu), named: None };
    let saying = Saying::of(&text("1"), &menus, Some("c-1"), None, receipt(0), whole);
    assert_eq!(content(&saying).content.len(), 16_384);
}

proptest! {
    /// What is no answer reaches Connect as it would without any menu.
    #[test]
    fn what_is_no_answer_is_never_changed(words in "\\PC{0,40}|[(#]?[0-9]{1,3}[.)]?", numbered in any::<bool>(), age in 0_u64..120) {
        let menu = menu(numbered);
        let is_answer = menu.by_text(&words).is_some();
        let menus = Menus { last: Some(menu), named: None };
        let inbound = text(&words);
        let saying = Saying::of(&inbound, &menus, Some("c-1"), None, receipt(age), whole);
        let own = Saying::words(&inbound, whole);
        prop_assert_eq!(saying.menu_id.is_some(), is_answer && age < 60);
        if saying.menu_id.is_none() {
            prop_assert_eq!(said(&saying), said(&own));
        }
    }

    /// A message with anything beside its text is no answer by that text.
    #[test]
    fn a_caption_is_no_answer(number in 1_usize..4) {
        let inbound = inbound(|message| {
            message.text = number.to_string();
            message.media = vec![Media::default()];
        });
        let menus = Menus { last: Some(menu(true)), named: None };
        let saying = Saying::of(&inbound, &menus, Some("c-1"), None, receipt(0), whole);
        prop_assert_eq!(&content(&saying).content, &format!("{number}\n[file]"));
    }
}

/// As JSON, for a look at what is stored.
#[test]
fn a_menu_is_stored_as_json() {
    let value: Value = serde_json::to_value(menu(true)).unwrap();
    assert_eq!(value["choices"][2], json!({ "title": "More", "answer": { "action": r#"{"action":"SHOW_MORE"}"# } }));
}
