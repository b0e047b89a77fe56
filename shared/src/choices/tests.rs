//! How answers are read.

use proptest::prelude::*;

use super::{Answer, Choice, Menu, OPEN, Prompt, menu_of};

fn choice(title: &str) -> Choice {
    Choice { title: title.into(), written: None, detail: None, group: None, answer: Answer::Text(title.into()) }
}

fn menu(titles: &[&str], is_numbered: bool) -> Menu {
    let choices = titles.iter().map(|title| choice(title)).collect();
    Menu { id: "0".repeat(32), contact_id: "c".into(), since: 1_000, is_numbered, choices }
}

#[test]
fn answers_are_numbers_and_titles() {
    let orders = ["Orders", "Billing", "Öffnungszeiten", "Straße 5", "A  B"];
    let numbers = ["3", "2", "1"];
    let shared = ["Book", "book", "Other"];
    for (titles, text, expected) in [
        (&orders[..], "2", Some(2)),
        (&orders, "2.", Some(2)),
        (&orders, "2)", Some(2)),
        (&orders, "(2)", Some(2)),
        (&orders, "#2", Some(2)),
        (&orders, " \t2\n", Some(2)),
        (&orders, "\u{a0}2\u{3000}", Some(2)),
        (&orders, "２", Some(2)),
        (&orders, "２．", Some(2)),
        (&orders, "（２）", Some(2)),
        (&orders, "＃２", Some(2)),
        (&orders, "②", Some(2)),
        (&orders, "⒉", Some(2)),
        (&orders, "⑵", Some(2)),
        (&orders, "5", Some(5)),
        (&orders, "6", None),
        (&orders, "0", None),
        (&orders, "02", None),
        (&orders, "+2", None),
        (&orders, "-2", None),
        (&orders, "2.0", None),
        (&orders, "2..", None),
        (&orders, "(2", None),
        (&orders, "((2))", None),
        (&orders, "#2.", None),
        (&orders, "# 2", None),
        (&orders, "2!", None),
        (&orders, "2 please", None),
        (&orders, "two", None),
        (&orders, "٢", None),
        (&orders, "18446744073709551617", None),
        (&orders, "", None),
        (&orders, ".", None),
        (&orders, "#", None),
        (&orders, "()", None),
        (&orders, "Billing", Some(2)),
        (&orders, " billing\n", Some(2)),
        (&orders, "ＢＩＬＬＩＮＧ", Some(2)),
        (&orders, "o\u{308}ffnungszeiten", Some(3)),
        (&orders, "ÖFFNUNGSZEITEN", Some(3)),
        (&orders, "STRASSE 5", Some(4)),
        (&orders, "A  B", Some(5)),
        (&orders, "A B", None),
        (&orders, "Billing.", None),
        (&orders, "Billing please", None),
        (&orders, "Bill", None),
        (&numbers, "3", Some(1)),
        (&numbers, "1", Some(3)),
        (&numbers, "１", Some(3)),
        (&numbers, "3.", Some(3)),
        (&numbers, "#1", Some(1)),
        (&shared, "book", None),
        (&shared, "Book", None),
        (&shared, "2", Some(2)),
        (&shared, "other", Some(3)),
        (&["2", "2", "x"], "2", None),
        (&["2", "2", "x"], "3", Some(3)),
    ] {
        let menu = menu(titles, true);
        let found =
            menu.by_text(text).and_then(|found| menu.choices.iter().position(|choice| std::ptr::eq(choice, found)));
        assert_eq!(found.map(|index| index + 1), expected, "{titles:?} {text:?}");
    }
}

#[test]
fn numbers_count_only_where_they_were_shown() {
    let menu = menu(&["Orders", "Billing"], false);
    assert!(menu.by_text("2").is_none() && menu.by_text("#2").is_none());
    assert!(menu.by_text("billing") == Some(&choice("Billing")));
}

#[test]
fn a_title_is_known_as_it_is_shown_and_as_it_is_written() {
    let mut menu = menu(&["Sat 31 Oct 2020, 17:00 (UTC)", "Sun"], false);
    menu.choices[0].written = Some("2020-10-31T17:00+00:00".into());
    for text in ["sat 31 oct 2020, 17:00 (utc)", "2020-10-31t17:00+00:00"] {
        assert!(menu.by_text(text) == Some(&menu.choices[0]), "{text}");
    }
}

#[test]
fn ids_name_their_menu_and_their_choice() {
    let prompt = Prompt {
        id: "0123456789abcdef0123456789abcdef".into(),
        body: "Which?".into(),
        choices: vec![choice("a"), choice("b")],
        whatsapp: None,
    };
    let ids: Vec<_> = prompt.with_ids().map(|(id, choice)| (id, choice.title.clone())).collect();
    let menu = prompt.menu("c", 0, false);
    for (id, title) in &ids {
        assert_eq!(menu_of(id), Some(prompt.id.as_str()));
        assert_eq!(menu.by_id(id).map(|choice| &choice.title), Some(title));
    }
    let of = |end: &str| format!("{}{end}", prompt.id);
    for id in
        [of(".3"), of(".0"), of(".01"), of("."), of(""), of(".x"), of(".+1"), of(".1.1"), "yes".into(), String::new()]
    {
        assert!(menu.by_id(&id).is_none(), "{id}");
    }
    for id in [of(".x"), of(""), of(".01"), "g".repeat(32) + ".1", "0.1".into(), "yes".into(), String::new()] {
        assert_eq!(menu_of(&id), None, "{id}");
    }
}

#[test]
fn a_menu_is_open_for_a_day_from_when_it_was_sent() {
    let menu = menu(&["a"], true);
    for (at, open) in
        [(0, false), (999, false), (1_000, true), (1_000 + OPEN, true), (1_001 + OPEN, false), (i64::MAX, false)]
    {
        assert_eq!(menu.is_open(at), open, "{at}");
    }
}

#[test]
fn a_menu_is_remembered_without_what_is_only_shown() {
    let mut menu = menu(&["a"], true);
    menu.choices[0].detail = Some("$1".into());
    menu.choices.push(Choice { answer: Answer::Action("{}".into()), written: Some("*b*".into()), ..choice("b") });
    let text = serde_json::to_string(&menu).unwrap();
    assert_eq!(
        text,
        format!(
            r#"{{"id":"{}","contact":"c","since":1000,"numbered":true,"choices":[{{"title":"a","answer":{{"text":"a"}}}},{{"title":"b","written":"*b*","answer":{{"action":"{{}}"}}}}]}}"#,
            menu.id
        )
    );
    let back: Menu = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), text);
}

proptest! {
    /// What is neither a title nor one of the five forms of a number in range is no answer.
    #[test]
    fn a_text_that_is_no_answer_is_none(text in "\\PC*", titles in prop::collection::vec("[a-z]{1,4}|[0-9]{1,2}", 0..6)) {
        let titles: Vec<_> = titles.iter().map(String::as_str).collect();
        let menu = menu(&titles, true);
        let folded = super::comparable(&text);
        let forms = |number: usize| [format!("{number}"), format!("{number}."), format!("{number})"), format!("({number})"), format!("#{number}")];
        let is_title = titles.contains(&folded.as_str());
        let is_number = (1..=titles.len()).any(|number| forms(number).contains(&folded));
        prop_assert!(menu.by_text(&text).is_none() || is_title || is_number);
        prop_assert!(is_title || !is_number || menu.by_text(&text).is_some());
    }

    /// However a title is written, it means its choice.
    #[test]
    fn a_title_means_its_choice(title in "[a-zA-Zäöü][a-zA-Z0-9äöü ]{0,20}", before in "[ \t\n]{0,3}") {
        let menu = menu(&[&title, "?"], false);
        for text in [format!("{before}{title}"), title.to_uppercase(), format!("{}{before}", title.to_lowercase())] {
            prop_assert!(menu.by_text(&text) == Some(&menu.choices[0]));
        }
    }

    #[test]
    fn any_id_is_read(id in "\\PC*") {
        prop_assert!(menu(&["a"], true).by_id(&id).is_none() || menu_of(&id).is_some());
    }
}
