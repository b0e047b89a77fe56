//! A whole appointment, booked by SMS and by WhatsApp. The bot understands what a bot of Amazon Lex would: titles, dates,
//! a carousel's JSON and interactive responses, to the letter, and nothing else.

use local::{Line as Said, Role, Visibility};
use serde_json::{Value, json};
use tests::{
    providers::{Call, line},
    replies::{Line, TWILIO},
};

use super::{Customer, INTERACTIVE, RESPONSE, TEXT, offered, template, vonage_whatsapp};

/// What has been agreed so far.
#[derive(Default)]
struct Bot {
    place: Option<String>,
    doctor: Option<String>,
    time: Option<String>,
}

const WHAT: [&str; 3] = ["Book an appointment", "Change an appointment", "Talk to a person at the front desk"];
const DOCTORS: [&str; 4] = ["Dr. Abreu", "Dr. Barros", "Dr. Costa, also for children", "Dr. Dias"];
const TIMES: [&str; 3] = ["2026-12-01T09:00+00:00", "2026-12-01T09:30+00:00", "2026-12-02T16:00+00:00"];

fn elements(titles: &[&str]) -> Vec<Value> {
    titles.iter().map(|title| json!({ "title": title })).collect()
}

fn doctors(page: usize) -> String {
    let mut listed = elements(&DOCTORS[page * 2..page * 2 + 2]);
    let (title, action) = [("Show more", "SHOW_MORE"), ("Previous options", "PREVIOUS_OPTIONS")][page];
    listed.push(json!({ "title": title, "actionDetail": action }));
    template(
        "ListPicker",
        json!({ "title": "Whom would you like to see?", "listId": "doctors", "referenceId": "r-1", "preIndex": 0,
                "nextIndex": 2, "elements": listed }),
    )
}

impl Bot {
    /// The answer to what the customer's participant said.
    fn answer(&mut self, content_type: &str, content: &str) -> (&'static str, String) {
        let interactive = |template: String| (INTERACTIVE, template);
        if content_type == RESPONSE {
            let response: Value = serde_json::from_str(content).unwrap();
            assert_eq!(response["data"]["listId"], "doctors");
            return interactive(doctors(usize::from(response["action"] == "SHOW_MORE")));
        }
        assert_eq!(content_type, TEXT);
        if content == "Hello" {
            return interactive(template(
                "ListPicker",
                json!({ "title": "What can I do for you?", "elements": elements(&WHAT) }),
            ));
        }
        if content == WHAT[0] {
            let card = |id: &str, title: &str, places: &[&str]| {
                json!({ "templateIdentifier": id, "templateType": "Panel", "version": "1.0",
                        "data": { "content": { "title": title, "elements": elements(places) } } })
            };
            let cards = [card("lx", "Lisbon", &["Chiado", "Belém"]), card("op", "Porto", &["Boavista", "Foz"])];
            return interactive(template("Carousel", json!({ "title": "Where?", "elements": cards })));
        }
        if let Ok(place) = serde_json::from_str::<Value>(content)
            && let (Some(town), Some(place)) = (place["listTitle"].as_str(), place["selectionText"].as_str())
        {
            self.place = Some(format!("{place}, {town}"));
            return interactive(doctors(0));
        }
        if DOCTORS.contains(&content) {
            self.doctor = Some(content.to_owned());
            let slots: Vec<_> = TIMES.iter().map(|date| json!({ "date": date, "duration": 30 })).collect();
            let content = json!({ "title": "When does it suit you?", "timeZoneOffset": 0, "timeslots": slots });
            return interactive(template("TimePicker", content));
        }
        if TIMES.contains(&content) {
            self.time = Some(content.to_owned());
            return interactive(template(
                "QuickReply",
                json!({ "title": "Shall I book it?", "elements": elements(&["Yes", "No"]) }),
            ));
        }
        if content == "Yes" {
            let [doctor, place, time] = [&self.doctor, &self.place, &self.time].map(|known| known.as_deref().unwrap());
            return (TEXT, format!("Booked: {doctor}, {place}, {time}."));
        }
        (TEXT, "Sorry, I did not understand.".to_owned())
    }
}

impl Customer {
    /// The bot answers what was said last: the request that brings it to the phone.
    async fn hears(&self, bot: &mut Bot) -> Call {
        let connect = &self.desk.cloud.connect;
        let transcript = connect.contact(&self.chat).unwrap().transcript;
        let of_customer = |item: &&local::Item| item.participant.as_ref().is_some_and(|by| by.role == Role::Customer);
        let item = transcript.iter().rev().filter(of_customer).find(|item| item.content.is_some()).unwrap();
        let (content_type, content) = bot.answer(&item.content_type, item.content.as_deref().unwrap());
        let content_type = content_type.to_owned();
        let said =
            Said { role: Role::CustomBot, display_name: None, content_type, content, visibility: Visibility::All };
        connect.says(&self.chat, &said).unwrap();
        self.desk.hand_over().await;
        self.desk.drain().await;
        self.desk.sent().pop().unwrap()
    }

    /// Taps what has this title on the phone.
    async fn taps_on(&self, call: &Call, title: &str) {
        let choices = offered(call);
        let choice = choices.iter().find(|choice| choice.title == title);
        self.taps(choice.unwrap_or_else(|| panic!("{title} is not among {choices:?}"))).await;
    }
}

const SAID: [&str; 7] = [
    "Book an appointment",
    r#"{"templateIdentifier":"lx","listTitle":"Lisbon","selectionText":"Belém"}"#,
    r#"{"version":"1.0","data":{"actionName":"SHOW_MORE","preIndex":0,"nextIndex":2,"listId":"doctors","templateType":"ListPicker","referenceId":"r-1"},"action":"SHOW_MORE"}"#,
    "Dr. Costa, also for children",
    "2026-12-01T09:30+00:00",
    "Maybe?",
    "Yes",
];
const BOOKED: &str = "Booked: Dr. Costa, also for children, Belém, Lisbon, 2026-12-01T09:30+00:00.";

#[tokio::test]
async fn by_sms() {
    for line in [TWILIO, line("bandwidth"), line("aws-sns"), line("twilio whatsapp")] {
        let customer = Customer::at(line).await;
        let mut bot = Bot::default();
        for (reads, writes) in [
            (
                "What can I do for you?\n1. Book an appointment\n2. Change an appointment\n3. Talk to a person at the front desk\nReply with your choice.",
                "1",
            ),
            ("Where?\n\nLisbon\n1. Chiado\n2. Belém\n\nPorto\n3. Boavista\n4. Foz\n\nReply with your choice.", "2."),
            (
                "Whom would you like to see?\n1. Dr. Abreu\n2. Dr. Barros\n3. Show more\nReply with your choice.",
                "show MORE",
            ),
            (
                "Whom would you like to see?\n1. Dr. Costa, also for children\n2. Dr. Dias\n3. Previous options\nReply with your choice.",
                "(1)",
            ),
            (
                "When does it suit you?\n1. Tue 1 Dec 2026, 09:00-09:30 (UTC)\n2. Tue 1 Dec 2026, 09:30-10:00 (UTC)\n3. Wed 2 Dec 2026, 16:00-16:30 (UTC)\nReply with your choice.",
                "#2",
            ),
            ("Shall I book it?\n1. Yes\n2. No\nReply with your choice.", "Maybe?"),
            // A plain message leaves the menu open.
            ("Sorry, I did not understand.", "1"),
        ] {
            assert_eq!(customer.hears(&mut bot).await.text(), reads, "{}", line.label);
            customer.writes(writes).await;
        }
        assert_eq!(customer.hears(&mut bot).await.text(), BOOKED, "{}", line.label);
        assert_eq!(customer.all_said(), SAID, "{}", line.label);
    }
}

#[tokio::test]
async fn by_whatsapp() {
    let lines: [Line; 3] = [line("meta"), line("aws-sns whatsapp"), vonage_whatsapp()];
    for line in lines {
        let customer = Customer::at(line).await;
        let mut bot = Bot::default();
        let titles = |call: &Call| offered(call).into_iter().map(|choice| choice.title).collect::<Vec<_>>();
        for (shows, taps) in [
            (&["Book an appointment", "Change an appointment", "Talk to a person at the…"][..], "Book an appointment"),
            (&["Chiado", "Belém", "Boavista", "Foz"], "Belém"),
            (&["Dr. Abreu", "Dr. Barros", "Show more"], "Show more"),
            (&["Dr. Costa, also for chi…", "Dr. Dias", "Previous options"], "Dr. Costa, also for chi…"),
            (
                &["Tue 1 Dec 2026, 09:00-0…", "Tue 1 Dec 2026, 09:30-1…", "Wed 2 Dec 2026, 16:00-1…"],
                "Tue 1 Dec 2026, 09:30-1…",
            ),
        ] {
            let call = customer.hears(&mut bot).await;
            assert_eq!(titles(&call), shows, "{}", line.label);
            customer.taps_on(&call, taps).await;
        }
        let question = customer.hears(&mut bot).await;
        assert_eq!(titles(&question), ["Yes", "No"]);
        customer.writes("Maybe?").await;
        customer.hears(&mut bot).await;
        customer.taps_on(&question, "Yes").await;
        let last = customer.hears(&mut bot).await;
        let text = if line.provider == "vonage-messages" {
            last.json()["text"].clone()
        } else {
            last.whatsapp()["text"]["body"].clone()
        };
        assert_eq!(text, BOOKED, "{}", line.label);
        assert_eq!(customer.all_said(), SAID, "{}", line.label);
    }
}
