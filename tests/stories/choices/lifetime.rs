//! How long a menu may be answered, what closes it, and what it costs.

use local::{Fault, Operation};
use serde_json::json;
use tests::{
    aws::TableFault,
    providers::{Reply, line},
    replies::{Desk, TWILIO},
};

use super::{Customer, INTERACTIVE, RESPONSE, TEXT, template};

fn menu(titles: &[&str]) -> String {
    let elements: Vec<_> = titles.iter().map(|title| json!({ "title": title })).collect();
    template("QuickReply", json!({ "title": "Which?", "elements": elements }))
}

fn orders() -> String {
    menu(&["Orders", "Billing"])
}

fn pages() -> String {
    template("ListPicker", json!({ "title": "Who?", "elements": [{ "title": "More", "actionDetail": "SHOW_MORE" }] }))
}

#[tokio::test]
async fn a_menu_and_its_answer_cost_no_call_more() {
    for line in [TWILIO, line("meta"), line("webhook")] {
        let customer = Customer::at(line).await;
        let dynamo = &customer.desk.cloud.dynamo;
        dynamo.forget_calls();
        let offered = customer.is_offered(&orders()).await;
        assert_eq!(dynamo.calls(), ["BatchGetItem", "TransactWriteItems", "TransactWriteItems"], "{}", line.label);
        assert_eq!(customer.desk.sent().len(), 1);
        customer.desk.cloud.connect.forget_calls();
        dynamo.forget_calls();
        match offered.first() {
            Some(choice) => customer.taps(choice).await,
            None => customer.writes("1").await,
        }
        assert_eq!(dynamo.calls(), ["BatchGetItem", "TransactWriteItems"], "{}", line.label);
        assert_eq!(customer.desk.cloud.connect.calls().len(), 1);
        assert_eq!(customer.said(), (TEXT.to_owned(), "Orders".to_owned()));
    }
}

#[tokio::test]
async fn a_choice_closes_it_and_so_does_the_next_interactive_message() {
    let customer = Customer::at(TWILIO).await;
    let nothing = template("Panel", json!({ "title": "Read this", "elements": [] }));
    customer.is_offered(&orders()).await;
    customer.is_told(TEXT, "Take your time").await;
    customer.writes("hm").await;
    customer.writes("2").await;
    customer.writes("2").await;
    customer.is_offered(&orders()).await;
    customer.is_offered(&menu(&["Red", "Blue"])).await;
    customer.writes("orders").await;
    customer.writes("1").await;
    customer.is_offered(&orders()).await;
    customer.is_told(INTERACTIVE, &nothing).await;
    customer.writes("1").await;
    assert_eq!(customer.all_said(), ["hm", "Billing", "2", "orders", "Red", "1"]);
}

#[tokio::test]
async fn a_tap_counts_in_its_chat_however_late_and_leaves_other_menus_open() {
    let customer = Customer::at(line("meta")).await;
    let old = customer.is_offered(&orders()).await;
    let new = customer.is_offered(&menu(&["Red", "Blue"])).await;
    for choice in [&old[1], &old[1], &new[0], &new[1]] {
        customer.taps(choice).await;
    }
    customer.is_offered(&orders()).await;
    customer.taps(&new[0]).await;
    customer.writes("orders").await;
    customer.writes("orders").await;
    assert_eq!(customer.all_said(), ["Billing", "Billing", "Red", "Blue", "Red", "Orders", "orders"]);
}

#[tokio::test]
async fn after_the_end_the_customers_own_words_start_the_next_chat() {
    for (line, is_native) in [(TWILIO, false), (line("meta"), true)] {
        // Whether the end is on record, or Connect says so.
        for is_told in [true, false] {
            let customer = Customer::at(line).await;
            let title = "A title that is too long for a button";
            let offered = customer.is_offered(&menu(&["Orders", title])).await;
            customer.desk.cloud.connect.end(&customer.chat).unwrap();
            if is_told {
                customer.desk.hand_over().await;
                customer.desk.drain().await;
            }
            let words = if is_native { offered[1].title.as_str() } else { "2" };
            let does = async || if is_native { customer.taps(&offered[1]).await } else { customer.writes("2").await };
            does().await;
            let contacts = customer.desk.cloud.connect.contacts();
            assert_eq!(contacts.len(), 2, "{}", line.label);
            assert_eq!(contacts[1].messages(), [words]);
            // Nor does it mean anything there.
            does().await;
            assert_eq!(customer.said().1, words);
        }
    }
}

#[tokio::test]
async fn opt_out_words_win_over_titles() {
    let customer = Customer::at(TWILIO).await;
    customer.is_offered(&menu(&["Go on", "Stop"])).await;
    customer.writes("stop").await;
    assert_eq!(customer.said(), (TEXT.to_owned(), "[opted out] stop".to_owned()));
    customer.writes("start").await;
    customer.writes("2").await;
    assert_eq!(customer.said().1, "Stop");
    let customer = Customer::at(line("meta")).await;
    customer.is_offered(&menu(&["Go on", "Stop"])).await;
    customer.writes("STOP").await;
    assert_eq!(customer.said().1, "Stop");
}

#[tokio::test]
async fn what_was_written_before_a_menu_came_is_no_answer_to_it() {
    let customer = Customer::at(TWILIO).await;
    customer.post("1", None).await;
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    customer.is_offered(&orders()).await;
    customer.deliver().await;
    customer.writes("1").await;
    assert_eq!(customer.all_said(), ["1", "Orders"]);
}

#[tokio::test]
async fn a_menu_that_the_provider_refused_is_none_and_one_that_may_have_come_is_one() {
    let customer = Customer::at(TWILIO).await;
    customer.is_offered(&orders()).await;
    customer.desk.providers.script("twilio", [Reply::refused("twilio")]);
    customer.is_offered(&menu(&["Red", "Blue"])).await;
    customer.writes("1").await;
    assert_eq!(customer.said().1, "Orders");
    customer.is_offered(&orders()).await;
    customer.desk.providers.script("twilio", [Reply::reset()]);
    customer.is_offered(&menu(&["Red", "Blue"])).await;
    customer.writes("1").await;
    assert_eq!(customer.said().1, "Red");
}

/// The answer was said, and then the process died: whoever takes it up says no other.
#[tokio::test]
async fn an_answer_is_said_once_whatever_fails() {
    let customer = Customer::at(TWILIO).await;
    customer.is_offered(&orders()).await;
    for fault in [TableFault::Error(400, "ProvisionedThroughputExceededException"), TableFault::ResetAfter] {
        customer.desk.cloud.dynamo.fail("TransactWriteItems", fault);
    }
    customer.writes("2").await;
    customer.writes("2").await;
    let contact = customer.desk.cloud.connect.contact(&customer.chat).unwrap();
    let said: Vec<_> = contact.messages().into_iter().filter(|text| !text.starts_with('{')).collect();
    assert_eq!(said, ["Hello", "Billing", "2"]);
}

/// Chats live for days: those that an earlier version started take no interactive response.
#[tokio::test]
async fn where_connect_refuses_an_action_the_words_are_said() {
    let customer = Customer::at(TWILIO).await;
    customer.is_offered(&pages()).await;
    customer.desk.cloud.connect.fail(Operation::SendMessage, Fault::error(400, "ValidationException"));
    customer.writes("1").await;
    assert_eq!(customer.said(), (TEXT.to_owned(), "1".to_owned()));
    assert_eq!(customer.desk.cloud.dead_letters().await, []);
    customer.is_offered(&pages()).await;
    customer.writes("1").await;
    assert_eq!(
        customer.said(),
        (
            RESPONSE.to_owned(),
            r#"{"version":"1.0","data":{"actionName":"SHOW_MORE","templateType":"ListPicker"},"action":"SHOW_MORE"}"#
                .to_owned()
        )
    );
}

#[tokio::test]
async fn events_carry_titles_and_no_actions() {
    let mut desk = Desk::start(TWILIO).await;
    desk.cloud.environment.push(("CONNECT_ROUTE", "integration-event".to_owned()));
    let mut customer = Customer::of(desk).await;
    customer.writes("Hello").await;
    customer.chat = customer.desk.cloud.connect.contacts()[0].initial_id.clone();
    customer.is_offered(&orders()).await;
    customer.desk.cloud.dynamo.forget_calls();
    for text in ["2", "2"] {
        customer.writes(text).await;
    }
    assert_eq!(customer.desk.cloud.dynamo.calls(), ["BatchGetItem", "PutItem", "TransactWriteItems"].repeat(2));
    customer.is_offered(&pages()).await;
    customer.writes("1").await;
    customer.is_offered(&orders()).await;
    customer.desk.cloud.connect.end(&customer.chat).unwrap();
    customer.desk.hand_over().await;
    customer.desk.drain().await;
    customer.writes("1").await;
    let calls = customer.desk.cloud.connect.calls_to(Operation::SendChatIntegrationEvent);
    let said: Vec<_> = calls.iter().map(|call| call.body["Event"]["Content"].as_str().unwrap()).collect();
    assert_eq!(said, ["Hello", "Billing", "2", "1", "1"]);
    assert_eq!(customer.desk.cloud.connect.contacts().len(), 2);
}
