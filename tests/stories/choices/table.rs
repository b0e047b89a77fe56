//! Template, channel and answer: what Connect receives, byte for byte.

use serde_json::json;
use tests::{
    providers::line,
    replies::{Line, TWILIO},
};

use super::{Customer, RESPONSE, TEXT, template, vonage_whatsapp};

/// What a customer does.
#[derive(Clone, Copy, Debug)]
enum Does {
    Writes(&'static str),
    /// Taps the n-th of what can be tapped, counted from 1.
    Taps(usize),
    /// Taps something that nobody offered.
    TapsId(&'static str, &'static str),
}

use Does::{Taps, TapsId, Writes};

struct Templates {
    list: String,
    panel: String,
    replies: String,
    numbers: String,
    shared: String,
    times: String,
    many_times: String,
    carousel: String,
    twins: String,
    pages: String,
    long: String,
    too_long: String,
    whatsapp_list: String,
    whatsapp_buttons: String,
    nothing: String,
}

fn templates() -> Templates {
    let titles = |titles: &[&str]| titles.iter().map(|title| json!({ "title": title })).collect::<Vec<_>>();
    let slots = |count: u32| {
        (0..count)
            .map(|hour| json!({ "date": format!("2026-12-01T{:02}:00+00:00", 8 + hour), "duration": 30 }))
            .collect::<Vec<_>>()
    };
    let times = |count| json!({ "title": "When shall we come?", "timeZoneOffset": 60, "timeslots": slots(count) });
    let card = |id: &str, title: &str, elements: &[&str]| {
        json!({ "templateIdentifier": id, "templateType": "Panel", "version": "1.0",
                "data": { "content": { "title": title, "elements": titles(elements) } } })
    };
    Templates {
        list: template(
            "ListPicker",
            json!({ "title": "What is it about?", "elements": [
            { "title": "Orders", "subtitle": "Where is it?" }, { "title": "**Billing**" }, { "title": "Other  things" }] }),
        ),
        panel: template(
            "Panel",
            json!({ "title": "How can I help?", "elements": titles(&["Self-service", "Talk to an agent", "End chat"]) }),
        ),
        replies: template("QuickReply", json!({ "title": "All well?", "elements": titles(&["Yes", "No", "Straße"]) })),
        numbers: template("QuickReply", json!({ "title": "How many?", "elements": titles(&["3", "2", "1"]) })),
        shared: template("ListPicker", json!({ "title": "Which?", "elements": titles(&["Book", "book", "Other"]) })),
        times: template("TimePicker", times(3)),
        many_times: template("TimePicker", times(12)),
        carousel: template(
            "Carousel",
            json!({ "title": "Destinations", "elements": [
            card("t-0", "California", &["Book flights", "Book hotels"]), card("t-1", "New York", &["See flights", "See hotels"])] }),
        ),
        twins: template(
            "Carousel",
            json!({ "title": "Destinations", "elements": [
            card("t-0", "California", &["Flights", "Hotels"]), card("t-1", "New York", &["Flights", "Hotels"])] }),
        ),
        pages: template(
            "ListPicker",
            json!({ "title": "Who?", "preIndex": 4, "nextIndex": 9, "listId": "serviceList",
            "referenceId": "320435df", "elements": [{ "title": "Previous options", "actionDetail": "PREVIOUS_OPTIONS" },
            { "title": "Podiatrist" }, { "title": "Show more", "actionDetail": "SHOW_MORE" }] }),
        ),
        long: template(
            "QuickReply",
            json!({ "title": "What happened?", "elements": titles(&[
            "My parcel did not arrive on the day that I was told", "I was sent something that I did not order", "Other"]) }),
        ),
        too_long: template(
            "QuickReply",
            json!({ "title": "What happened?", "elements": titles(&[
            "My parcel did not arrive on the day that I was told, and nobody could say where it was", "Other"]) }),
        ),
        whatsapp_list: template(
            "WhatsAppInteractiveList",
            json!({ "title": "Menu", "body": { "text": "What would you like?" },
            "action": { "button": "See all", "sections": [
                { "title": "Fruit", "rows": [{ "id": "a", "title": "Apple", "description": "$1" }, { "id": "b", "title": "Pear" }] },
                { "title": "Bread", "rows": [{ "id": "c", "title": "Rye" }] }] } }),
        ),
        whatsapp_buttons: template(
            "WhatsAppInteractiveReplyButton",
            json!({ "title": "Confirm", "body": { "text": "Shall we?" },
            "action": { "buttons": [{ "type": "reply", "reply": { "id": "y", "title": "Yes, please" } },
                                    { "type": "reply", "reply": { "id": "n", "title": "No" } }] } }),
        ),
        nothing: template(
            "Panel",
            json!({ "title": "Read this", "elements": [
            { "title": "Here", "type": "hyperlink", "url": "https://x.example" }] }),
        ),
    }
}

type Case<'a> = (&'static str, &'a str, Does, &'static str, &'static str);

const CALIFORNIA: &str = r#"{"templateIdentifier":"t-0","listTitle":"California","selectionText":"Book hotels"}"#;
const NEW_YORK: &str = r#"{"templateIdentifier":"t-1","listTitle":"New York","selectionText":"See hotels"}"#;
const TWIN: &str = r#"{"templateIdentifier":"t-1","listTitle":"New York","selectionText":"Hotels"}"#;
const MORE: &str = r#"{"version":"1.0","data":{"actionName":"SHOW_MORE","preIndex":4,"nextIndex":9,"listId":"serviceList","templateType":"ListPicker","referenceId":"320435df"},"action":"SHOW_MORE"}"#;
const PREVIOUS: &str = r#"{"version":"1.0","data":{"actionName":"PREVIOUS_OPTIONS","preIndex":4,"nextIndex":9,"listId":"serviceList","templateType":"ListPicker","referenceId":"320435df"},"action":"PREVIOUS_OPTIONS"}"#;
const PARCEL: &str = "My parcel did not arrive on the day that I was told";
const LATE_PARCEL: &str = "My parcel did not arrive on the day that I was told, and nobody could say where it was";

/// Each case is a menu of its own, said in one chat.
async fn check(line: Line, cases: &[Case<'_>]) {
    let customer = Customer::at(line).await;
    for (label, template, does, content_type, content) in cases {
        let offered = customer.is_offered(template).await;
        match does {
            Writes(text) => customer.writes(text).await,
            Taps(number) => customer.taps(&offered[number - 1]).await,
            TapsId(id, title) => {
                let choice = local::Choice {
                    id: (*id).to_owned(),
                    title: (*title).to_owned(),
                    description: None,
                    in_list: false,
                };
                customer.taps(&choice).await;
            }
        }
        let expected = ((*content_type).to_owned(), (*content).to_owned());
        assert_eq!(customer.said(), expected, "{}: {label}", customer.desk.line.label);
    }
    assert_eq!(customer.all_said().len(), cases.len(), "each is said once");
    assert_eq!(customer.desk.cloud.dead_letters().await, []);
}

#[tokio::test]
async fn numbers_and_titles_by_sms() {
    let t = templates();
    let cases: &[Case<'_>] = &[
        ("a number", &t.list, Writes("1"), TEXT, "Orders"),
        ("with a stop", &t.list, Writes("1."), TEXT, "Orders"),
        ("with a bracket", &t.list, Writes("3)"), TEXT, "Other  things"),
        ("in brackets", &t.list, Writes("(3)"), TEXT, "Other  things"),
        ("with a number sign", &t.list, Writes("#1"), TEXT, "Orders"),
        ("of full width", &t.list, Writes("１．"), TEXT, "Orders"),
        ("with blanks around", &t.list, Writes(" 1 \n"), TEXT, "Orders"),
        ("the title's Markdown is kept", &t.list, Writes("2"), TEXT, "**Billing**"),
        ("a title as it is shown", &t.list, Writes("billing"), TEXT, "**Billing**"),
        ("a title as it is written", &t.list, Writes("**BILLING**"), TEXT, "**Billing**"),
        ("a title with blanks as shown", &t.list, Writes("OTHER THINGS"), TEXT, "Other  things"),
        ("not the subtitle", &t.list, Writes("Where is it?"), TEXT, "Where is it?"),
        ("too large a number", &t.list, Writes("4"), TEXT, "4"),
        ("no number", &t.list, Writes("0"), TEXT, "0"),
        ("a leading zero", &t.list, Writes("01"), TEXT, "01"),
        ("a sign", &t.list, Writes("+1"), TEXT, "+1"),
        ("a number among words", &t.list, Writes("1 please"), TEXT, "1 please"),
        ("words", &t.list, Writes("[image] Where are you?"), TEXT, "Customer wrote: [image] Where are you?"),
        ("a panel", &t.panel, Writes("2"), TEXT, "Talk to an agent"),
        ("a panel's title", &t.panel, Writes("self-SERVICE"), TEXT, "Self-service"),
        ("a quick reply", &t.replies, Writes("2"), TEXT, "No"),
        ("case folding", &t.replies, Writes("STRASSE"), TEXT, "Straße"),
        ("titles that are numbers", &t.numbers, Writes("3"), TEXT, "3"),
        ("and win over places", &t.numbers, Writes("1"), TEXT, "1"),
        ("but not in another form", &t.numbers, Writes("#1"), TEXT, "3"),
        ("a title that two share", &t.shared, Writes("BOOK"), TEXT, "BOOK"),
        ("their numbers", &t.shared, Writes("2"), TEXT, "book"),
        ("the third one", &t.shared, Writes("other"), TEXT, "Other"),
        ("a slot", &t.times, Writes("2"), TEXT, "2026-12-01T09:00+00:00"),
        (
            "a slot as it is shown",
            &t.times,
            Writes("Tue 1 Dec 2026, 10:00-10:30 (UTC+1)"),
            TEXT,
            "2026-12-01T09:00+00:00",
        ),
        ("a slot's date", &t.times, Writes("2026-12-01t09:00+00:00"), TEXT, "2026-12-01T09:00+00:00"),
        ("the twelfth slot", &t.many_times, Writes("12"), TEXT, "2026-12-01T19:00+00:00"),
        ("a card", &t.carousel, Writes("2"), TEXT, CALIFORNIA),
        ("the next card", &t.carousel, Writes("(4)"), TEXT, NEW_YORK),
        ("a card's element", &t.carousel, Writes("see hotels"), TEXT, NEW_YORK),
        ("an element of both cards", &t.twins, Writes("Hotels"), TEXT, "Hotels"),
        ("its number", &t.twins, Writes("4"), TEXT, TWIN),
        ("more", &t.pages, Writes("3"), RESPONSE, MORE),
        ("more by its title", &t.pages, Writes("show more"), RESPONSE, MORE),
        ("back", &t.pages, Writes("1"), RESPONSE, PREVIOUS),
        ("an element between", &t.pages, Writes("2"), TEXT, "Podiatrist"),
        ("a long title", &t.long, Writes("1"), TEXT, PARCEL),
        ("WhatsApp's list", &t.whatsapp_list, Writes("3"), TEXT, "Rye"),
        ("WhatsApp's list by title", &t.whatsapp_list, Writes("APPLE"), TEXT, "Apple"),
        ("WhatsApp's buttons", &t.whatsapp_buttons, Writes("1"), TEXT, "Yes, please"),
        ("nothing to choose", &t.nothing, Writes("1"), TEXT, "1"),
        ("a link is no choice", &t.nothing, Writes("here"), TEXT, "here"),
    ];
    check(TWILIO, cases).await;
}

#[tokio::test]
async fn taps_and_titles_on_whatsapp() {
    let t = templates();
    let cases: &[Case<'_>] = &[
        ("a row with a subtitle", &t.list, Taps(1), TEXT, "Orders"),
        ("a row of Markdown", &t.list, Taps(2), TEXT, "**Billing**"),
        ("a title that is written", &t.list, Writes("billing"), TEXT, "**Billing**"),
        ("no numbers were shown", &t.list, Writes("1"), TEXT, "1"),
        ("a button", &t.panel, Taps(2), TEXT, "Talk to an agent"),
        ("a quick reply", &t.replies, Taps(3), TEXT, "Straße"),
        ("buttons with numbers", &t.numbers, Taps(1), TEXT, "3"),
        ("their titles", &t.numbers, Writes("1"), TEXT, "1"),
        ("titles that can't be told apart are numbered", &t.shared, Writes("1"), TEXT, "Book"),
        ("a slot, whose title was cut", &t.times, Taps(3), TEXT, "2026-12-01T10:00+00:00"),
        (
            "a slot that is written whole",
            &t.times,
            Writes("Tue 1 Dec 2026, 10:00-10:30 (UTC+1)"),
            TEXT,
            "2026-12-01T09:00+00:00",
        ),
        ("too many slots for a list", &t.many_times, Writes("11"), TEXT, "2026-12-01T18:00+00:00"),
        ("a card", &t.carousel, Taps(2), TEXT, CALIFORNIA),
        ("the next card", &t.carousel, Taps(4), TEXT, NEW_YORK),
        ("cards of the same elements are numbered", &t.twins, Writes("4"), TEXT, TWIN),
        ("more", &t.pages, Taps(3), RESPONSE, MORE),
        ("back", &t.pages, Taps(1), RESPONSE, PREVIOUS),
        ("a title that was cut", &t.long, Taps(1), TEXT, PARCEL),
        ("a title that is too long for a list", &t.too_long, Writes("1"), TEXT, LATE_PARCEL),
        ("WhatsApp's list", &t.whatsapp_list, Taps(3), TEXT, "Rye"),
        ("WhatsApp's buttons", &t.whatsapp_buttons, Taps(1), TEXT, "Yes, please"),
        ("somebody else's button", &t.panel, TapsId("y", "Any"), TEXT, "Any"),
        ("somebody else's button of a title", &t.panel, TapsId("y", "End chat"), TEXT, "End chat"),
        ("an id that nobody has", &t.panel, TapsId("0123456789abcdef0123456789abcdef.1", "Any"), TEXT, "Any"),
        ("words", &t.panel, Writes("2 questions"), TEXT, "2 questions"),
    ];
    for line in [line("meta"), line("aws-sns whatsapp"), vonage_whatsapp()] {
        check(line, cases).await;
    }
}

#[tokio::test]
async fn numbers_by_twilios_whatsapp_and_any_sms() {
    let t = templates();
    let cases: &[Case<'_>] = &[
        ("a number", &t.list, Writes("2"), TEXT, "**Billing**"),
        ("a slot", &t.times, Writes("(1)"), TEXT, "2026-12-01T08:00+00:00"),
        ("more", &t.pages, Writes("3."), RESPONSE, MORE),
        ("WhatsApp's list", &t.whatsapp_list, Writes("2"), TEXT, "Pear"),
        ("a prepared template's button", &t.panel, TapsId("p", "END CHAT"), TEXT, "End chat"),
    ];
    check(line("twilio whatsapp"), cases).await;
    for line in [line("sinch"), line("vonage-messages"), line("aws-sns"), line("bandwidth")] {
        check(line, &cases[..4]).await;
    }
}

#[tokio::test]
async fn a_channel_of_ones_own_has_numbers_and_ids() {
    let t = templates();
    let cases: &[Case<'_>] = &[
        ("an id", &t.list, Taps(2), TEXT, "**Billing**"),
        ("a number", &t.list, Writes("3"), TEXT, "Other  things"),
        ("a title", &t.list, Writes("orders"), TEXT, "Orders"),
        ("a slot", &t.many_times, Taps(12), TEXT, "2026-12-01T19:00+00:00"),
        ("a card", &t.twins, Taps(4), TEXT, TWIN),
        ("more", &t.pages, Taps(3), RESPONSE, MORE),
        ("a title of any length", &t.too_long, Taps(1), TEXT, LATE_PARCEL),
        ("WhatsApp's buttons", &t.whatsapp_buttons, Taps(2), TEXT, "No"),
        ("an unknown id goes as its text", &t.list, TapsId("x", "Any"), TEXT, "Any"),
    ];
    check(line("webhook"), cases).await;
}
