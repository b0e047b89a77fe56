//! What providers report of texts: from the signed webhook through the inbound queue to what the agent sees in the chat.

use jiff::Timestamp;
use local::{Fault, Operation};
use serde_json::{Value, json};
use shared::{
    inbound_status::InboundStatus,
    settings::Settings,
    sms::{
        message::Channel,
        segments::Limit,
        status::{State, Status},
    },
};
use tests::{
    Answer, Http,
    aws::{TableFault, moto},
    invoke,
    providers::{Line, PICTURE, Reply, Report},
    receive_message,
    replies::{Desk, TWILIO, lines},
};

const BASE: &str = "https://sms.example.com/bridge";

const DELIVERED: &str = "application/vnd.amazonaws.connect.event.message.delivered";
const READ: &str = "application/vnd.amazonaws.connect.event.message.read";

/// A chat in which the agent has said something that became the texts of these ids.
struct Told {
    desk: Desk,
    chat: String,
    /// Connect's id of what the agent said.
    item: String,
}

impl Told {
    /// With `DELIVERY_RECEIPTS`.
    async fn start(line: Line, receipts: &'static str, text: &str, ids: &[&str]) -> Self {
        let (mut desk, chat) = Desk::with_chat(line).await;
        desk.cloud.environment.push(("DELIVERY_RECEIPTS", receipts.to_owned()));
        desk.variables.push(("PUBLIC_BASE_URL", BASE));
        desk.providers.script(line.provider, ids.iter().map(|id| line.api().taken_as(id)));
        let item = desk.cloud.connect.agent_says(&chat, "text/plain", text).unwrap();
        desk.hand_over().await;
        desk.drain().await;
        assert_eq!(desk.sent().len(), ids.len(), "{}", line.label);
        Self { desk, chat, item }
    }

    /// The provider reports through the front door; what that means is done.
    async fn report(&self, id: &str, report: Report<'_>) {
        self.post(id, report).await;
        self.drain().await;
    }

    async fn post(&self, id: &str, report: Report<'_>) {
        let answer = self.answer(id, report, |http| http).await;
        assert_eq!(answer.status, 200, "{}: {:?}", self.desk.line.label, answer.body);
    }

    async fn answer(&self, id: &str, report: Report<'_>, change: impl Fn(Http) -> Http) -> Answer {
        let account = &self.desk.settings["accounts"][0];
        let body = self.desk.line.api().report(id, report);
        let signed = local::sign(account, body, BASE, Timestamp::now()).unwrap();
        let environment = [
            ("BRIDGE_SETTINGS", self.desk.settings.to_string()),
            ("PUBLIC_BASE_URL", BASE.to_owned()),
            ("INBOUND_QUEUE_URL", self.desk.cloud.queue_url.clone()),
            ("AWS_ENDPOINT_URL_SNS", self.desk.cloud.connect.url().to_owned()),
        ];
        let function = receive_message(&environment, moto()).await;
        let http = Http::new("POST", &signed.path).body(signed.body.clone());
        let http = signed.headers.iter().fold(http, |http, (name, value)| http.header(name, value));
        invoke(&function, &change(http).http_api()).await
    }

    async fn drain(&self) {
        self.desk.cloud.drain(&self.desk.cloud.function().await).await;
    }

    /// A status that the queue does not take for one that it has had.
    async fn again(&self, id: &str, state: State) {
        let settings = Settings::from_json(self.desk.settings.to_string().as_bytes()).unwrap();
        let mut status = Status::new(id, state);
        status.accounts = vec![settings.accounts[0].name.clone()];
        let item = InboundStatus::new(&settings.accounts[0], status);
        self.desk.cloud.send_item(&item.to_item().unwrap(), &item.group_id()).await;
        self.drain().await;
    }

    /// The receipts that Connect got, in order, all for what the agent said.
    fn receipts(&self) -> Vec<String> {
        let calls = self.desk.cloud.connect.calls_to(Operation::SendEvent);
        for call in &calls {
            assert_eq!(call.body["Content"], json!({ "messageId": self.item }).to_string());
        }
        calls.iter().map(|call| call.body["ContentType"].as_str().unwrap().to_owned()).collect()
    }

    fn notes(&self) -> Vec<String> {
        self.desk.told(&self.chat)
    }
}

/// One line of each API.
fn apis() -> Vec<Line> {
    let mut apis: Vec<Line> = Vec::new();
    for line in lines() {
        if line.label == line.api().label() {
            apis.push(line);
        }
    }
    apis
}

fn note(words: &str, why: &str) -> String {
    format!("[not delivered] {words}\n({why})")
}

#[tokio::test]
async fn each_provider_is_asked_for_reports_to_the_accounts_own_url() {
    for line in apis() {
        let told = Told::start(line, "all", "Hello", &["id1"]).await;
        let sent = told.desk.sent();
        let body = if sent[0].json().is_null() { json!(sent[0].form()) } else { sent[0].json() };
        let url = format!("{BASE}/sms/{0}/{0}", line.provider);
        let asks = line.api().asks(&url);
        for (place, expected) in &asks {
            assert_eq!(body.pointer(place), Some(expected), "{}: {place}", line.label);
        }
        assert_eq!(body.to_string().contains(BASE), !asks.is_empty(), "{}", line.label);
    }
}

#[tokio::test]
async fn an_agents_file_is_reported_on_as_a_text_is() {
    for line in apis().into_iter().filter(|line| line.api().file_request(line, "").is_some()) {
        let api = line.api();
        let (mut desk, chat) = Desk::with_chat(line).await;
        desk.variables.extend([("PUBLIC_BASE_URL", BASE), ("FEATURE_ATTACHMENTS", "true")]);
        let uploaded = api.upload_path().map(|_| Reply::new(200, json!({ "id": "uploaded", "mediaId": "uploaded" })));
        desk.providers.script(line.provider, uploaded.into_iter().chain([api.taken_as("id1")]));
        let item = desk.cloud.connect.agent_sends(&chat, ("mug.png", "image/png"), PICTURE, "APPROVED").unwrap();
        desk.hand_over().await;
        desk.drain().await;
        let told = Told { desk, chat, item };
        let sent = told.desk.sent().pop().unwrap();
        let body = if sent.json().is_null() { json!(sent.form()) } else { sent.json() };
        // MessageBird's API for MMS has no URL for reports.
        let asks = api.asks(&format!("{BASE}/sms/{0}/{0}", line.provider));
        for (place, expected) in asks.iter().filter(|_| line.provider != "messagebird") {
            assert_eq!(body.pointer(place), Some(expected), "{}: {place}", line.label);
        }
        let (code, why) = api.failures()[0];
        told.report("id1", Report::Failed(code)).await;
        assert_eq!(told.notes(), [note("mug.png", why)], "{}", line.label);
    }
}

#[tokio::test]
async fn delivered_and_read_become_receipts() {
    for line in apis() {
        let told = Told::start(line, "all", "Hello", &["id1"]).await;
        if line.provider != "webhook" {
            told.report("id1", Report::Sent).await;
            assert_eq!(told.receipts(), [""; 0], "{}", line.label);
        }
        told.report("id1", Report::Delivered).await;
        assert_eq!(told.receipts(), [DELIVERED], "{}", line.label);
        if line.api().reports_reads() {
            told.report("id1", Report::Read).await;
            assert_eq!(told.receipts(), [DELIVERED, READ], "{}", line.label);
        }
        // Late, or twice.
        told.again("id1", State::Delivered).await;
        told.again("id1", State::Failed).await;
        assert_eq!(told.receipts().len(), 1 + usize::from(line.api().reports_reads()), "{}", line.label);
        assert_eq!(told.notes(), [""; 0], "{}: a failure after delivery says nothing", line.label);
        assert_eq!(told.desk.cloud.dead_letters().await, []);
    }
}

#[tokio::test]
async fn each_class_of_failure_is_told_once_and_in_words() {
    for line in apis() {
        let failures = line.api().failures();
        let told = Told::start(line, "failures", "Hello", &["other"]).await;
        let mut expected: Vec<String> = Vec::new();
        for (number, (code, why)) in failures.iter().enumerate() {
            told.desk.providers.script(line.provider, [line.api().taken_as(&format!("id{number}"))]);
            let words = format!("About {code}");
            told.desk.cloud.connect.agent_says(&told.chat, "text/plain", &words).unwrap();
            expected.push(note(&words, why));
        }
        told.desk.hand_over().await;
        told.desk.drain().await;
        for (number, (code, _)) in failures.iter().enumerate() {
            told.post(&format!("id{number}"), Report::Failed(code)).await;
        }
        told.drain().await;
        told.again("id0", State::Failed).await;
        // A delivery after a failure is no news but to the page that shows receipts.
        told.again("id0", State::Delivered).await;
        let mut notes = told.notes();
        notes.sort();
        expected.sort();
        assert_eq!(notes, expected, "{}: each is told once", line.label);
        assert_eq!(told.receipts(), [""; 0], "{}", line.label);
        assert_eq!(told.desk.cloud.dead_letters().await, []);
    }
}

#[tokio::test]
async fn who_has_opted_out_is_not_texted_again() {
    for line in apis() {
        let Some(code) = line.api().opt_out_code() else { continue };
        let told = Told::start(line, "off", "Hello", &["id1"]).await;
        told.report("id1", Report::Failed(code)).await;
        assert_eq!(told.notes(), [""; 0], "{}: nothing is told", line.label);
        told.desk.cloud.connect.agent_says(&told.chat, "text/plain", "Still there?").unwrap();
        told.desk.hand_over().await;
        told.desk.drain().await;
        assert_eq!(told.desk.sent().len(), 1, "{}", line.label);
        assert_eq!(told.notes(), [note("Still there?", "the customer has opted out of messages")], "{}", line.label);
    }
    // Blocked is no wish: it is told, and recorded as none.
    let told = Told::start(TWILIO, "failures", "Hello", &["id1"]).await;
    told.report("id1", Report::Failed("30004")).await;
    assert_eq!(told.notes(), [note("Hello", "the customer blocked or unsubscribed")]);
    told.desk.cloud.connect.agent_says(&told.chat, "text/plain", "Still there?").unwrap();
    told.desk.hand_over().await;
    told.desk.drain().await;
    assert_eq!(told.desk.sent().len(), 2);
}

/// Words that make three texts of the line.
fn of_three_parts(line: Line) -> String {
    let characters = match line.api().limit(line.channel) {
        Limit::Characters(most) | Limit::Units(most) => most,
        Limit::Segments(most) => most * 153,
    };
    let words: Vec<_> = (0..characters * 5 / 2 / 6).map(|number| format!("{number:05}")).collect();
    words.join(" ")
}

#[tokio::test]
async fn a_reply_of_three_parts_has_a_state_when_all_have_it() {
    for line in apis() {
        let text = of_three_parts(line);
        let told = Told::start(line, "all", &text, &["id1", "id2", "id3"]).await;
        // In any order.
        for (id, expected) in [("id3", 0), ("id1", 0), ("id2", 1)] {
            told.report(id, Report::Delivered).await;
            assert_eq!(told.receipts().len(), expected, "{}: {id}", line.label);
        }
        if line.api().reports_reads() {
            for (id, expected) in [("id1", 1), ("id2", 1), ("id3", 2)] {
                told.report(id, Report::Read).await;
                assert_eq!(told.receipts().len(), expected, "{}: {id}", line.label);
            }
        }
        assert_eq!(told.notes(), [""; 0]);
        let failed = Told::start(line, "all", &text, &["id4", "id5", "id6"]).await;
        let (code, why) = line.api().failures()[0];
        failed.report("id4", Report::Delivered).await;
        failed.report("id6", Report::Failed(code)).await;
        failed.report("id5", Report::Failed(code)).await;
        let notes = failed.notes();
        let last = failed.desk.sent()[2].text();
        assert_eq!(notes.len(), 1, "{}: {notes:?}", line.label);
        let beginning: String = last.chars().take(200).collect();
        assert!(notes[0].starts_with(&format!("[not delivered] {beginning}")), "{}: {}", line.label, notes[0]);
        assert!(notes[0].ends_with(&format!("\n({why})")), "{}: {}", line.label, notes[0]);
        assert_eq!(failed.receipts(), [""; 0], "{}", line.label);
        failed.report("id5", Report::Delivered).await;
        failed.report("id6", Report::Delivered).await;
        assert_eq!(failed.receipts(), [DELIVERED], "{}: it came after all", line.label);
        assert_eq!(failed.notes().len(), 1, "the note stays");
    }
}

#[tokio::test]
async fn a_read_that_follows_takes_the_place_of_delivered() {
    let line = lines().into_iter().find(|line| line.label == "meta").unwrap();
    let told = Told::start(line, "all", "Hello", &["id1"]).await;
    told.post("id1", Report::Delivered).await;
    told.post("id1", Report::Read).await;
    told.drain().await;
    assert_eq!(told.receipts(), [READ]);
    let late = Told::start(line, "all", "Hello", &["id2"]).await;
    late.report("id2", Report::Read).await;
    late.report("id2", Report::Delivered).await;
    assert_eq!(late.receipts(), [READ], "out of order");
}

#[tokio::test]
async fn receipts_are_dropped_where_connect_does_not_take_them() {
    for fault in
        [Fault::throttling(), Fault::error(409, "ConflictException"), Fault::error(403, "AccessDeniedException")]
    {
        let told = Told::start(TWILIO, "all", "Hello", &["id1"]).await;
        told.desk.cloud.connect.forget_calls();
        told.desk.cloud.connect.fail(Operation::SendEvent, fault.clone());
        told.report("id1", Report::Delivered).await;
        assert_eq!(told.receipts(), [DELIVERED], "one try: {fault:?}");
        assert_eq!(told.desk.cloud.connect.calls_to(Operation::CreateParticipantConnection).len(), 0);
        told.report("id1", Report::Read).await;
        assert_eq!(told.receipts(), [DELIVERED, READ]);
        assert_eq!(told.desk.cloud.dead_letters().await, []);
    }
}

#[tokio::test]
async fn what_is_told_is_as_the_owner_wishes() {
    for (receipts, notes, events) in [("failures", 1, 0), ("all", 1, 1), ("off", 0, 0)] {
        let told = Told::start(TWILIO, receipts, "Hello", &["id1"]).await;
        told.report("id1", Report::Failed("30006")).await;
        told.report("id1", Report::Delivered).await;
        assert_eq!((told.notes().len(), told.receipts().len()), (notes, events), "{receipts}");
    }
}

#[tokio::test]
async fn forged_and_foreign_reports_change_nothing() {
    for line in apis() {
        let told = Told::start(line, "failures", "Hello", &["id1"]).await;
        let (code, _) = line.api().failures()[0];
        // The body belongs to another signature.
        let forged = told.answer("id1", Report::Failed(code), |http| forge(http, line)).await;
        assert!(matches!(forged.status, 401 | 403), "{}: {}", line.label, forged.status);
        told.drain().await;
        assert_eq!(told.notes(), [""; 0], "{}", line.label);
        // Another account sent that text.
        let settings = Settings::from_json(told.desk.settings.to_string().as_bytes()).unwrap();
        let mut status = Status::new("id1", State::Failed);
        status.accounts = vec!["another".to_owned()];
        let item = InboundStatus::new(&settings.accounts[0], status);
        told.desk.cloud.send_item(&item.to_item().unwrap(), &item.group_id()).await;
        told.drain().await;
        assert_eq!(told.notes(), [""; 0], "{}", line.label);
        // No text has that id: it is looked for once more, and dropped.
        told.report("nobodys", Report::Failed(code)).await;
        assert_eq!((told.notes(), told.desk.cloud.dead_letters().await), (vec![], vec![]), "{}", line.label);
        told.report("id1", Report::Failed(code)).await;
        assert_eq!(told.notes().len(), 1, "{}: the true one counts", line.label);
    }
}

/// Changes what proves a webhook.
fn forge(mut http: Http, line: Line) -> Http {
    if line.provider == "vonage" {
        let body = String::from_utf8(http.body.clone()).unwrap();
        http.body = body.replace("id1", "id2").into_bytes();
    } else if line.provider == "aws-sns" {
        let mut body: Value = serde_json::from_slice(&http.body).unwrap();
        body["MessageId"] = json!("another");
        http.body = body.to_string().into_bytes();
    } else {
        for (name, value) in &mut http.headers {
            if name != "content-type" {
                *value = value.chars().rev().collect();
            }
        }
    }
    http
}

#[tokio::test]
async fn after_the_chat_nothing_is_told_and_none_is_started() {
    let told = Told::start(TWILIO, "all", "Hello", &["id1"]).await;
    told.desk.cloud.connect.end(&told.chat).unwrap();
    told.desk.hand_over().await;
    told.desk.drain().await;
    let contacts = told.desk.cloud.connect.contacts().len();
    told.report("id1", Report::Failed("30006")).await;
    told.report("id1", Report::Delivered).await;
    assert_eq!((told.notes(), told.receipts()), (vec![], vec![]));
    assert_eq!(told.desk.cloud.connect.contacts().len(), contacts);
    assert_eq!(told.desk.cloud.dead_letters().await, []);
}

#[tokio::test]
async fn a_bots_failed_texts_are_told_of_once_a_chat() {
    let (mut desk, chat) = Desk::with_chat(TWILIO).await;
    desk.variables.push(("PUBLIC_BASE_URL", BASE));
    desk.providers.script("twilio", ["id1", "id2"].map(|id| TWILIO.api().taken_as(id)));
    for text in ["Welcome", "What is it about?"] {
        let line = local::Line {
            role: local::Role::System,
            display_name: None,
            content_type: "text/plain".to_owned(),
            content: text.to_owned(),
            visibility: local::Visibility::All,
        };
        desk.cloud.connect.says(&chat, &line).unwrap();
    }
    desk.hand_over().await;
    desk.drain().await;
    let told = Told { desk, chat, item: String::new() };
    for id in ["id1", "id2"] {
        told.report(id, Report::Failed("30006")).await;
    }
    assert_eq!(told.notes(), [note("Welcome", "the number can't receive texts")]);
}

#[tokio::test]
async fn ten_statuses_of_a_text_delay_no_message() {
    let told = Told::start(TWILIO, "all", "Hello", &["id1"]).await;
    for _ in 0..10 {
        let item = told.item_of("unknown");
        told.desk.cloud.send_item(&item, "a-group-of-its-own").await;
    }
    let before = told.desk.cloud.said_by(TWILIO.customer).len();
    let (desk, function) = (&told.desk, told.desk.cloud.function().await);
    let settings = Settings::from_json(desk.settings.to_string().as_bytes()).unwrap();
    let mut message = shared::sms::message::Message::new("test", Channel::Sms, "SM2", TWILIO.customer, TWILIO.ours);
    "Hello again".clone_into(&mut message.text);
    desk.cloud.send(&[shared::inbound::Inbound::new(&settings.accounts[0], message)]).await;
    let mut polls = 0;
    while desk.cloud.said_by(TWILIO.customer).len() == before {
        desk.cloud.poller.poll_once(async |event| desk.cloud.invoke(&function, event).await).await.unwrap();
        polls += 1;
        assert!(polls <= 3, "a message waits for statuses");
    }
}

impl Told {
    fn item_of(&self, id: &str) -> String {
        let settings = Settings::from_json(self.desk.settings.to_string().as_bytes()).unwrap();
        InboundStatus::new(&settings.accounts[0], Status::new(id, State::Delivered)).to_item().unwrap()
    }
}

#[tokio::test]
async fn a_fault_of_the_table_or_of_connect_loses_and_doubles_no_note() {
    for (label, operation, fault) in [
        ("a read", "BatchGetItem", TableFault::Error(500, "InternalServerError")),
        ("a read that hangs", "BatchGetItem", TableFault::Hang),
        ("the record", "PutItem", TableFault::Error(500, "InternalServerError")),
        ("the record took effect", "PutItem", TableFault::ResetAfter),
        ("the record took effect, and no answer", "PutItem", TableFault::HangAfter),
    ] {
        let told = Told::start(TWILIO, "failures", "Hello", &["id1"]).await;
        told.desk.cloud.dynamo.fail(operation, fault);
        told.report("id1", Report::Failed("30006")).await;
        assert!(told.desk.cloud.dynamo.was_met(operation), "{label}");
        assert_eq!(told.notes(), [note("Hello", "the number can't receive texts")], "{label}");
        assert_eq!(told.desk.cloud.dead_letters().await, [], "{label}");
    }
    for fault in
        [Fault::throttling(), Fault::error(500, "InternalServerException"), Fault::hang(), Fault::reset_after()]
    {
        let told = Told::start(TWILIO, "failures", "Hello", &["id1"]).await;
        told.desk.cloud.connect.fail(Operation::SendMessage, fault.clone());
        told.report("id1", Report::Failed("30006")).await;
        assert_eq!(told.notes(), [note("Hello", "the number can't receive texts")], "{fault:?}");
    }
}

#[tokio::test]
async fn recording_what_was_sent_costs_no_call_of_the_table() {
    let (mut desk, chat) = Desk::with_chat(TWILIO).await;
    desk.variables.push(("PUBLIC_BASE_URL", BASE));
    desk.cloud.dynamo.forget_calls();
    desk.cloud.connect.agent_says(&chat, "text/plain", "Hello").unwrap();
    desk.hand_over().await;
    desk.drain().await;
    let calls = desk.cloud.dynamo.calls();
    assert_eq!(calls, ["BatchGetItem", "TransactWriteItems", "TransactWriteItems"]);
}

/// A WhatsApp message of the customer's that was received so long ago.
async fn wrote(desk: &Desk, id: &str, hours: i64) {
    let settings = Settings::from_json(desk.settings.to_string().as_bytes()).unwrap();
    let line = desk.line;
    let mut message = shared::sms::message::Message::new("test", line.channel, id, line.customer, line.ours);
    message.text = format!("{hours} hours ago");
    message.reply_from = line.ours_id.map(str::to_owned);
    let at = Timestamp::from_second(Timestamp::now().as_second() - hours * 3_600).unwrap();
    message.received_at = Some(at.to_string());
    desk.cloud.send(&[shared::inbound::Inbound::new(&settings.accounts[0], message)]).await;
    desk.cloud.drain(&desk.cloud.function().await).await;
}

async fn says(desk: &Desk, chat: &str, text: &str) {
    desk.cloud.connect.agent_says(chat, "text/plain", text).unwrap();
    desk.hand_over().await;
    desk.drain().await;
}

#[tokio::test]
async fn nothing_is_sent_once_whatsapps_24_hours_are_over() {
    const OVER: &str = "WhatsApp's 24 hours are over";
    for line in lines().into_iter().filter(|line| line.channel == Channel::Whatsapp) {
        let (desk, chat) = Desk::with_chat(line).await;
        wrote(&desk, "SM2", 25).await;
        says(&desk, &chat, "Too late").await;
        assert_eq!(desk.sent(), [], "{}", line.label);
        assert_eq!(desk.told(&chat), [note("Too late", OVER)], "{}", line.label);
        assert_eq!(desk.dead_letters().await, [], "the agent knows");
        wrote(&desk, "SM3", 23).await;
        says(&desk, &chat, "In time").await;
        assert_eq!(desk.sent().len(), 1, "{}", line.label);
        // WhatsApp says that it is closed, and is right until the customer writes.
        let Some((code, _)) = line.api().failures().iter().find(|(_, why)| *why == OVER) else { continue };
        let told = Told { desk, chat, item: String::new() };
        told.report(line.api().message_id(), Report::Failed(code)).await;
        assert_eq!(told.notes().last(), Some(&note("In time", OVER)), "{}", line.label);
        says(&told.desk, &told.chat, "Once more").await;
        assert_eq!(told.notes().last(), Some(&note("Once more", OVER)), "{}", line.label);
        assert_eq!(told.desk.sent().len(), 1, "{}", line.label);
        wrote(&told.desk, "SM4", 0).await;
        says(&told.desk, &told.chat, "Hello again").await;
        assert_eq!(told.desk.sent().len(), 2, "{}", line.label);
    }
    // SMS has no such hours.
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    wrote(&desk, "SM2", 25).await;
    says(&desk, &chat, "Hello").await;
    assert_eq!(desk.sent().len(), 1);
}

#[tokio::test]
async fn who_has_opted_out_by_a_sends_answer_is_not_texted_again() {
    for line in apis() {
        let Some(opted_out) = line.api().opted_out() else { continue };
        let (desk, chat) = Desk::with_chat(line).await;
        desk.providers.script(line.provider, [opted_out]);
        says(&desk, &chat, "Hello?").await;
        says(&desk, &chat, "Hello??").await;
        // Meta's code is about marketing only.
        let expected = if line.provider == "meta" { 2 } else { 1 };
        assert_eq!(desk.sent().len(), expected, "{}", line.label);
    }
}
