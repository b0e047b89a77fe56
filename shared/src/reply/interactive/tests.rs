//! The documented example of each template, and what else is sent under their content type.

use proptest::prelude::*;

use super::{Interactive, REPLY, readable, readable::is_for_people, response_text_of, text_of};
use crate::{
    choices::Answer,
    sms::segments::{Encoding, size},
};

/// The administrator guide's examples, without its remarks on what is mandatory.
const LIST_PICKER: &str = r#"{"templateType":"ListPicker","version":"1.0","data":{
    "replyMessage":{"title":"Thanks for selecting!","subtitle":"Produce selected","imageType":"URL",
        "imageData":"https://interactive-msg.s3-us-west-2.amazonaws.com/fruit_34.3kb.jpg",
        "imageDescription":"Select a produce to buy"},
    "content":{"title":"What produce would you like to buy?","subtitle":"Tap to select option","imageType":"URL",
        "imageData":"https://interactive-msg.s3-us-west-2.amazonaws.com/fruit_34.3kb.jpg",
        "imageDescription":"Select a produce to buy",
        "elements":[
            {"title":"Apple","subtitle":"$1.00","imageType":"URL",
                "imageData":"https://interactive-message-testing.s3-us-west-2.amazonaws.com/apple_4.2kb.jpg"},
            {"title":"Orange","subtitle":"$1.50","imageType":"URL",
                "imageData":"https://interactive-message-testing.s3-us-west-2.amazonaws.com/orange_17.7kb.jpg"},
            {"title":"Banana","subtitle":"$10.00","imageType":"URL",
                "imageData":"https://interactive-message-testing.s3-us-west-2.amazonaws.com/banana_7.9kb.jpg",
                "imageDescription":"Banana"}]}}}"#;

const TIME_PICKER: &str = r#"{"templateType":"TimePicker","version":"1.0","data":{
    "replyMessage":{"title":"Thanks for selecting","subtitle":"Appointment selected"},
    "content":{"title":"Schedule appointment","subtitle":"Tap to select option","timeZoneOffset":-450,
        "location":{"latitude":47.616299,"longitude":-122.4311,"title":"Oscar","radius":1},
        "timeslots":[{"date":"2020-10-31T17:00+00:00","duration":60},
            {"date":"2020-11-15T13:00+00:00","duration":60},{"date":"2020-11-15T16:00+00:00","duration":60}]}}}"#;

const PANEL: &str = r#"{"templateType":"Panel","version":"1.0","data":{
    "replyMessage":{"title":"Thanks for selecting!","subtitle":"Option selected"},
    "content":{"title":"How can I help you?","subtitle":"Tap to select option","imageType":"URL",
        "imageData":"https://interactive-msg.s3-us-west-2.amazonaws.com/company.jpg",
        "imageDescription":"Select an option",
        "elements":[{"title":"Check self-service options"},{"title":"Talk to an agent"},{"title":"End chat"}]}}}"#;

const QUICK_REPLY: &str = r#"{"templateType":"QuickReply","version":"1.0","data":{
    "replyMessage":{"title":"Thanks for selecting!"},
    "content":{"title":"How was your experience?",
        "elements":[{"title":"Great"},{"title":"Good"},{"title":"Ok"},{"title":"Poor"},{"title":"Terrible"}]}}}"#;

/// amazon-connect-chat-interface's, two cards of five.
const CAROUSEL: &str = r#"{"templateType":"Carousel","version":"1.0","data":{"content":{"title":"Select a destination:",
    "omitTitleFromCarouselResponse":false,
    "elements":[
        {"templateIdentifier":"8c0a55c8-1c37-41c2-b22a-62b2aaa7f1ac","templateType":"ListPicker","version":"1.0",
            "data":{"content":{"title":"Explore our travel options:","subtitle":"Select an option:","imageType":"URL",
                "imageData":"https://www.usnews.com/object/image/plane.jpg",
                "elements":[{"title":"Purchase Ticket"},{"title":"View All Destinations"},
                    {"title":"Learn More","type":"hyperlink","url":"https://github.com/amazon-connect"}]}}},
        {"templateIdentifier":"2c0a55c8-3c37-41c2-b22a-62b2aaa7f1ac","templateType":"Panel","version":"1.0",
            "data":{"content":{"title":"Explore Hotel destinations","elements":[
                {"title":"Book Room"},{"title":"View All Listings"}]}}}]}}}"#;

#[test]
fn documented_templates_are_readable() {
    for (message, expected) in [
        (
            LIST_PICKER,
            "What produce would you like to buy?\n\
             Tap to select option\n\
             Select a produce to buy (https://interactive-msg.s3-us-west-2.amazonaws.com/fruit_34.3kb.jpg)\n\
             1. Apple - $1.00 (https://interactive-message-testing.s3-us-west-2.amazonaws.com/apple_4.2kb.jpg)\n\
             2. Orange - $1.50 (https://interactive-message-testing.s3-us-west-2.amazonaws.com/orange_17.7kb.jpg)\n\
             3. Banana - $10.00 (https://interactive-message-testing.s3-us-west-2.amazonaws.com/banana_7.9kb.jpg)\n\
             Reply with your choice.",
        ),
        (
            TIME_PICKER,
            "Schedule appointment\n\
             Tap to select option\n\
             Oscar\n\
             1. Sat 31 Oct 2020, 09:30-10:30 (UTC-7:30)\n\
             2. Sun 15 Nov 2020, 05:30-06:30 (UTC-7:30)\n\
             3. Sun 15 Nov 2020, 08:30-09:30 (UTC-7:30)\n\
             Reply with your choice.",
        ),
        (
            PANEL,
            "How can I help you?\n\
             Tap to select option\n\
             Select an option (https://interactive-msg.s3-us-west-2.amazonaws.com/company.jpg)\n\
             1. Check self-service options\n\
             2. Talk to an agent\n\
             3. End chat\n\
             Reply with your choice.",
        ),
        (
            QUICK_REPLY,
            "How was your experience?\n1. Great\n2. Good\n3. Ok\n4. Poor\n5. Terrible\nReply with your choice.",
        ),
        (
            CAROUSEL,
            "Select a destination:\n\
             \n\
             Explore our travel options:\n\
             Select an option:\n\
             https://www.usnews.com/object/image/plane.jpg\n\
             1. Purchase Ticket\n\
             2. View All Destinations\n\
             - Learn More (https://github.com/amazon-connect)\n\
             \n\
             Explore Hotel destinations\n\
             3. Book Room\n\
             4. View All Listings\n\
             \n\
             Reply with your choice.",
        ),
    ] {
        assert_eq!(text_of(message).as_deref(), Some(expected));
        assert_eq!(size(expected).encoding, Encoding::Gsm7, "what is added makes no text dearer");
    }
}

/// WhatsApp's own.
const WHATSAPP_BUTTONS: &str = r#"{"templateType":"WhatsAppInteractiveReplyButton","version":"1.0","data":{"content":{
    "title":"Confirm","header":{"type":"image","image":{"link":"https://x.example/a.png"}},
    "body":{"text":"Shall we *confirm* it?"},"footer":{"text":"Until 6 pm"},
    "action":{"buttons":[{"type":"reply","reply":{"id":"y","title":"Yes, please"}},
        {"type":"reply","reply":{"id":"n","title":"No"}}]}}}}"#;

/// amazon-connect-chat-interface, ListPicker.test.js.
const PAGED: &str = r#"{"templateType":"ListPicker","version":"1.0","data":{"content":{"title":"ListPickerTitle",
    "preIndex":"preIndex","nextIndex":"nextIndex","listId":"listId","referenceId":"referenceId","elements":[
        {"title":"Previous options","actionDetail":"PREVIOUS_OPTIONS"},{"title":"Element","actionDetail":"OTHER"},
        {"title":"Show more","actionDetail":"SHOW_MORE"}]}}}"#;

fn answers(message: &str) -> Vec<String> {
    let prompt = Interactive::read(message).unwrap().into_prompt("m".into());
    let choices = prompt.choices.into_iter().map(|choice| match choice.answer {
        Answer::Text(text) => text,
        Answer::Action(json) => format!("action {json}"),
    });
    choices.collect()
}

#[test]
fn a_choice_answers_what_connects_own_widget_does() {
    for (message, expected) in [
        (LIST_PICKER, &["Apple", "Orange", "Banana"][..]),
        (TIME_PICKER, &["2020-10-31T17:00+00:00", "2020-11-15T13:00+00:00", "2020-11-15T16:00+00:00"]),
        (PANEL, &["Check self-service options", "Talk to an agent", "End chat"]),
        (QUICK_REPLY, &["Great", "Good", "Ok", "Poor", "Terrible"]),
        (
            CAROUSEL,
            &[
                r#"{"templateIdentifier":"8c0a55c8-1c37-41c2-b22a-62b2aaa7f1ac","listTitle":"Explore our travel options:","selectionText":"Purchase Ticket"}"#,
                r#"{"templateIdentifier":"8c0a55c8-1c37-41c2-b22a-62b2aaa7f1ac","listTitle":"Explore our travel options:","selectionText":"View All Destinations"}"#,
                r#"{"templateIdentifier":"2c0a55c8-3c37-41c2-b22a-62b2aaa7f1ac","listTitle":"Explore Hotel destinations","selectionText":"Book Room"}"#,
                r#"{"templateIdentifier":"2c0a55c8-3c37-41c2-b22a-62b2aaa7f1ac","listTitle":"Explore Hotel destinations","selectionText":"View All Listings"}"#,
            ],
        ),
        (WHATSAPP_BUTTONS, &["Yes, please", "No"]),
        (
            PAGED,
            &[
                r#"action {"version":"1.0","data":{"actionName":"PREVIOUS_OPTIONS","preIndex":"preIndex","nextIndex":"nextIndex","listId":"listId","templateType":"ListPicker","referenceId":"referenceId"},"action":"PREVIOUS_OPTIONS"}"#,
                "Element",
                r#"action {"version":"1.0","data":{"actionName":"SHOW_MORE","preIndex":"preIndex","nextIndex":"nextIndex","listId":"listId","templateType":"ListPicker","referenceId":"referenceId"},"action":"SHOW_MORE"}"#,
            ],
        ),
        // Numbers stay numbers, what is missing is left out, and a title is not touched.
        (
            r#"{"templateType":"Panel","data":{"content":{"preIndex":-1,"nextIndex":5,"elements":[
                {"title":" **a** \u00e9\n","subtitle":"s"},{"title":"More","actionDetail":"SHOW_MORE"}]}}}"#,
            &[
                " **a** é\n",
                r#"action {"version":"1.0","data":{"actionName":"SHOW_MORE","preIndex":-1,"nextIndex":5,"templateType":"Panel"},"action":"SHOW_MORE"}"#,
            ],
        ),
        // In a card an action is a choice like any other.
        (
            r#"{"templateType":"Carousel","data":{"content":{"elements":[{"data":{"content":{"title":"\"A\"","elements":[
                {"title":"More","actionDetail":"SHOW_MORE"}]}}}]}}}"#,
            &[r#"{"listTitle":"\"A\"","selectionText":"More"}"#],
        ),
        (r#"{"templateType":"Panel","data":{"content":{"title":"Read","elements":[]}}}"#, &[]),
        ("Hello", &[]),
    ] {
        assert_eq!(answers(message), expected, "{message}");
    }
}

#[test]
fn what_is_read_before_choosing_has_no_choices_in_it() {
    for (message, expected) in [
        (
            PANEL,
            "How can I help you?\nTap to select option\nSelect an option (https://interactive-msg.s3-us-west-2.amazonaws.com/company.jpg)",
        ),
        (
            CAROUSEL,
            "Select a destination:\n\nExplore our travel options:\nSelect an option:\n\
             https://www.usnews.com/object/image/plane.jpg\n- Learn More (https://github.com/amazon-connect)\n\n\
             Explore Hotel destinations",
        ),
        (WHATSAPP_BUTTONS, "Confirm\nhttps://x.example/a.png\nShall we confirm it?\nUntil 6 pm"),
        (r#"{"templateType":"QuickReply","data":{"content":{"elements":[{"title":"Yes"}]}}}"#, REPLY),
    ] {
        assert_eq!(Interactive::read(message).unwrap().into_prompt("m".into()).body, expected);
    }
    let numbered = "Confirm\nhttps://x.example/a.png\nShall we confirm it?\n1. Yes, please\n2. No\nUntil 6 pm\nReply with your choice.";
    assert_eq!(text_of(WHATSAPP_BUTTONS).as_deref(), Some(numbered));
}

#[test]
fn odd_templates_are_read_as_far_as_they_go() {
    for (case, content, expected) in [
        // amazon-connect-chatjs, docs/interactive-messages-feature.md.
        (
            "no content",
            r#"{"title":"Select an option:","elements":[{"title":"Option 1","id":"opt1"}]}"#,
            "Select an option:\n1. Option 1",
        ),
        // amazon-connect-chat-interface, InteractiveMessageActionButtonImplementation.md.
        (
            "action buttons",
            r#"{"content":{"title":"Who?","referenceId":"320435df","listId":"serviceList","preIndex":4,"nextIndex":9,"elements":[
                {"title":"Previous options","actionDetail":"PREVIOUS_OPTIONS"},{"title":"Podiatrist"}]}}"#,
            "Who?\n1. Previous options\n2. Podiatrist",
        ),
        (
            "markup in titles",
            r#"{"content":{"title":"**Hi** [there](https://x.example)<!--rehype:target=_self-->","subtitle":"- a\n- b",
                "elements":[{"title":"*One*\ntwo","subtitle":"_$1_"},{"title":"a_b 2*3*4"}]}}"#,
            "Hi there (https://x.example)\n- a\n- b\n1. One two - $1\n2. a_b 2*3*4",
        ),
        (
            "pictures that are no URL",
            r#"{"content":{"title":"Hi","imageType":"BASE64","imageData":"iVBORw0KGgo=","imageDescription":"Our shop",
                "elements":[{"title":"Yes","imageData":"iVBORw0KGgo="}]}}"#,
            "Hi\n[image: Our shop]\n1. Yes",
        ),
        (
            "a description that repeats the title",
            r#"{"content":{"title":"Hi","imageData":"http://x.example/a.png","imageDescription":"Hi","elements":[{"title":"Yes"}]}}"#,
            "Hi\nhttp://x.example/a.png\n1. Yes",
        ),
        (
            "elements of other kinds",
            r#"{"content":{"title":7,"subtitle":" ","elements":[{"title":"Yes"},null,3,"x",{},{"title":""},{"subtitle":"only"},
                {"url":"https://x.example","type":"HYPERLINK"},{"title":"Shop","url":"https://x.example"},{"title":"Link","type":"hyperlink"}]}}"#,
            "1. Yes\n2. only\n- https://x.example\n3. Shop (https://x.example)\n4. Link",
        ),
    ] {
        let message = format!(r#"{{"templateType":"ListPicker","version":"1.0","data":{content}}}"#);
        assert_eq!(text_of(&message).as_deref(), Some(format!("{expected}\n{REPLY}").as_str()), "{case}");
    }
    // Nothing to choose: nothing to answer.
    let message = r#"{"templateType":"Panel","data":{"content":{"title":"Read this","elements":[
        {"title":"Here","type":"hyperlink","url":"https://x.example"}]}}}"#;
    assert_eq!(text_of(message).as_deref(), Some("Read this\n- Here (https://x.example)"));
}

#[test]
fn slots_are_local_times() {
    for (offset, date, duration, expected) in [
        ("120", "2020-10-31T17:00+00:00", "60", "Sat 31 Oct 2020, 19:00-20:00 (UTC+2)"),
        ("\"120\"", "2020-10-31T17:00+00:00", "\"45\"", "Sat 31 Oct 2020, 19:00-19:45 (UTC+2)"),
        ("null", "2020-10-31T17:00+00:00", "60", "Sat 31 Oct 2020, 17:00-18:00 (UTC)"),
        ("null", "2020-10-31T17:00:00Z", "0", "Sat 31 Oct 2020, 17:00 (UTC)"),
        ("null", "2020-10-01T17:00+05:30", "null", "Thu 1 Oct 2020, 17:00 (UTC+5:30)"),
        ("0", "2020-10-31T17:00+05:30", "60", "Sat 31 Oct 2020, 11:30-12:30 (UTC)"),
        ("120", "2020-10-31T17:00", "60", "Sat 31 Oct 2020, 17:00-18:00"),
        ("600", "2020-12-31T17:00+00:00", "1", "Fri 1 Jan 2021, 03:00-03:01 (UTC+10)"),
        ("null", "2020-10-31T23:30+00:00", "60", "Sat 31 Oct 2020, 23:30 - Sun 1 Nov 2020, 00:30 (UTC)"),
        ("1e300", "2020-10-31T17:00+00:00", "1e300", "Sat 31 Oct 2020, 17:00 (UTC)"),
        ("null", "2020-10-31T17:00+00:00", "3600", "Sat 31 Oct 2020, 17:00 (UTC)"),
        ("-30", "2020-10-31T17:00+00:00", "-5", "Sat 31 Oct 2020, 16:30 (UTC-0:30)"),
        ("120", "9999-12-31T23:59+00:00", "60", "9999-12-31T23:59+00:00"),
        ("120", "next Monday", "60", "next Monday"),
        ("120", "2020-10-31", "60", "2020-10-31"),
        ("120", "2020-13-31T17:00+00:00", "60", "2020-13-31T17:00+00:00"),
    ] {
        let message = format!(
            r#"{{"templateType":"TimePicker","data":{{"content":{{"title":"When?","timeZoneOffset":{offset},
                "timeslots":[{{"date":"{date}","duration":{duration}}}]}}}}}}"#
        );
        assert_eq!(text_of(&message), Some(format!("When?\n1. {expected}\n{REPLY}")));
    }
}

#[test]
fn what_is_no_known_template_is_read_as_it_is() {
    for (content, expected) in [
        // Its strings in their order, names and ids left out.
        (
            r#"{"templateType":"WhatsAppInteractiveList","version":"1.0","data":{"content":{"title":"Menu",
                "body":{"text":"What would **you** like?"},"footer":{"text":"Thanks"},
                "action":{"button":"Choose","sections":[{"title":"Fruit","rows":[
                    {"id":"a1","title":"Apple","description":"$1.00"}]}]}}}}"#,
            Some("Menu\nWhat would you like?\nFruit\n1. Apple - $1.00\nThanks\nReply with your choice."),
        ),
        (
            r#"{"templateType":"ViewResource","version":"1.0","data":{"content":{"viewId":"v1",
                "viewArn":"arn:aws:connect:us-east-1:1:view/x","Heading":"Your details","options":["One","Two"],
                "url":"https://x.example/a","imageData":"iVBORw0KGgo=","replyMessage":{"title":"Thanks",
                "nested":{"title":"you"}},"note":"Last"}}}"#,
            Some("Your details\nOne\nTwo\nhttps://x.example/a\nLast"),
        ),
        (r#"{"templateType":"Panel","data":null,"text":"Hi"}"#, Some("Hi")),
        (r#"[{"title":"Hi"},"you"]"#, Some("Hi\nyou")),
        // Malformed: a comma too many, none at all, a cut, a line end in a string, half an escape.
        (
            r#"{"templateType":"Panel","data":{"content":{"title":"Hi","elements":[{"title":"Yes",},],},},}"#,
            Some("Hi\nYes"),
        ),
        (r#"{"templateType":"Panel" "title":"Hi" "subtitle":"you"}"#, Some("Hi\nyou")),
        (r#"{"templateType":"Panel","data":{"content":{"title":"Hi \u00e9\n\"you\"","sub"#, Some("Hi é\n\"you\"\nsub")),
        ("{\"title\":\"Hi\nyou\"", Some("Hi\nyou")),
        (r#"{"title":"Hi \"#, Some(r"Hi \")),
        // No JSON object.
        ("Hello there", Some("Hello there")),
        (r#"He said "hi": fine"#, Some(r#"He said "hi": fine"#)),
        (r#""Hello""#, Some("Hello")),
        ("42", Some("42")),
        // Nothing to read.
        ("", None),
        (" \n", None),
        ("{}", None),
        ("[[[[", None),
        (r#""""#, None),
        (r#"{"templateType":"Panel","version":"1.0"}"#, None),
        (r#"{"templateType":"Carousel","data":{"content":{"elements":[]}}}"#, None),
        (r#"{"replyMessage":{"title":"Thanks"}}"#, None),
    ] {
        assert_eq!(text_of(content).as_deref(), expected, "{content}");
    }
}

#[test]
fn names_and_data_are_not_for_people() {
    let long = "A".repeat(101);
    // 102 characters, and no blank.
    let chinese = "您的包裹今天早上已从苏黎世发出，".repeat(7);
    for (key, text, expected) in [
        ("id", "x1", false),
        ("listId", "x1", false),
        ("list_id", "x1", false),
        ("paid", "yes", true),
        ("Id", "x1", false),
        ("imageType", "URL", false),
        ("prototype", "X-1", true),
        ("conversion", "5", true),
        ("imageData", "iVBORw0KGgo=", false),
        ("imageData", "https://x.example/a.png", true),
        ("actionName", "SHOW_MORE", false),
        ("title", &long, false),
        ("title", &chinese, true),
        ("title", "---", false),
        ("title", "👍", true),
        ("title", "Hi", true),
    ] {
        assert_eq!(is_for_people(key, text), expected, "{key} {text}");
    }
}

#[test]
fn responses_say_what_was_chosen() {
    for (content, expected) in [
        (
            r#"{"templateIdentifier":"uuid","listTitle":"Explore our travel options:","selectionText":"Purchase Ticket"}"#,
            Some("Explore our travel options: Purchase Ticket"),
        ),
        (r#"{"data":{"listTitle":"Bel Air","selectionText":"Book Room"}}"#, Some("Bel Air - Book Room")),
        (
            r#"{"version":"1.0","data":{"actionName":"SHOW_MORE","preIndex":-1,"nextIndex":5,"listId":"serviceList",
                "templateType":"ListPicker","referenceId":"320435df"},"action":"SHOW_MORE"}"#,
            Some("SHOW_MORE"),
        ),
        (r#"{"version":"1.0","action":"Submit","data":{"name":"Jo","city":"Bonn"}}"#, Some("Jo\nBonn")),
        ("Apple", Some("Apple")),
        ("{}", None),
        ("", None),
    ] {
        assert_eq!(response_text_of(content).as_deref(), expected, "{content}");
    }
}

proptest! {
    #[test]
    fn any_content_is_read_or_not(content in any::<String>()) {
        text_of(&content);
        response_text_of(&content);
        // What a person can read is never lost whole.
        let may_be_json = content.trim().starts_with(['{', '[']);
        prop_assert!(text_of(&content).is_some() || content.trim().is_empty() || may_be_json);
    }

    #[test]
    fn any_cut_of_a_template_is_read(template in 0_usize..5, cut in any::<prop::sample::Index>()) {
        let template = [LIST_PICKER, TIME_PICKER, PANEL, QUICK_REPLY, CAROUSEL][template];
        let (part, _) = template.split_at(cut.index(template.len()));
        let text = text_of(part).unwrap_or_default();
        let title = ["What produce would you like to buy?", "Schedule appointment", "How can I help you?",
            "How was your experience?", "Select a destination:"];
        prop_assert!(!title.iter().any(|title| part.contains(title)) || title.iter().any(|title| text.contains(title)));
        prop_assert!(!text.contains("Thanks"), "{}", text);
    }

    #[test]
    fn any_json_is_read(pieces in prop::collection::vec(prop::sample::select(vec![
        "{", "}", "[", "]", ",", ":", "\"", "\\", "\"title\":", "\"elements\":[", "\"templateType\":\"Panel\"", "\"data\":{",
        "\"content\":{", "\"replyMessage\":{", "\"hi\"", "1", "null", " ", "é",
    ]), 0..40)) {
        text_of(&pieces.concat());
        readable(&pieces.concat());
    }
}
