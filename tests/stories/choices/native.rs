//! What the providers are asked to send.

use serde_json::{Value, json};
use tests::{
    providers::{Reply, line, lines},
    replies::Line,
};

use super::{Customer, INTERACTIVE, template, vonage_whatsapp};

fn replies() -> String {
    template("QuickReply", json!({ "title": "All well?", "elements": [{ "title": "Yes" }, { "title": "No" }] }))
}

const NUMBERED: &str = "All well?\n1. Yes\n2. No\nReply with your choice.";

/// The last request, whole, with `[1]` … for the ids of its choices.
fn request(customer: &Customer) -> Value {
    let call = customer.desk.sent().pop().unwrap();
    let ids: Vec<_> = super::offered(&call).into_iter().map(|choice| choice.id).collect();
    let mut text = call.whole().to_string();
    for (number, id) in (1..).zip(&ids) {
        assert!(id.len() <= 200 && text.contains(id), "{id}");
        text = text.replace(&format!("\"{id}\""), &format!("\"[{number}]\""));
    }
    serde_json::from_str(&text).unwrap()
}

/// The request of a text, with other content in its place.
fn with(line: &Line, change: impl FnOnce(&mut Value)) -> Value {
    let mut request = line.api().request(line, NUMBERED);
    change(&mut request["body"]);
    request
}

fn remove(body: &mut Value, name: &str) {
    body.as_object_mut().unwrap().remove(name);
}

#[tokio::test]
async fn buttons_and_lists_go_in_each_providers_own_form() {
    let buttons = json!({ "type": "button", "body": { "text": "All well?" }, "action": { "buttons": [
        { "type": "reply", "reply": { "id": "[1]", "title": "Yes" } },
        { "type": "reply", "reply": { "id": "[2]", "title": "No" } }] } });
    let times = template(
        "TimePicker",
        json!({ "title": "When?", "location": { "title": "Chiado" }, "timeslots": [
            { "date": "2026-12-01T09:00+00:00", "duration": 30 }, { "date": "2026-12-01T10:00+00:00", "duration": 30 }] }),
    );
    let list = json!({ "type": "list", "body": { "text": "When?\nChiado" }, "action": { "button": "Choose", "sections": [
        { "rows": [
            { "id": "[1]", "title": "Tue 1 Dec 2026, 09:00-0…", "description": "Tue 1 Dec 2026, 09:00-09:30 (UTC)" },
            { "id": "[2]", "title": "Tue 1 Dec 2026, 10:00-1…", "description": "Tue 1 Dec 2026, 10:00-10:30 (UTC)" }] }] } });
    let own = json!({ "header": { "type": "image", "image": { "link": "https://x.example/a.png" } },
        "body": { "text": "*Ready?*" }, "footer": { "text": "Thanks" },
        "action": { "buttons": [{ "type": "reply", "reply": { "id": "[1]", "title": "Yes" } }] } });
    let mut of_flow = own.clone();
    of_flow["title"] = json!("For the agent");
    of_flow["action"]["buttons"][0]["reply"]["id"] = json!("the flow's");
    let of_flow = template("WhatsAppInteractiveReplyButton", of_flow);
    let mut passed_on = own;
    passed_on["type"] = json!("button");
    for line in [line("meta"), line("meta, no number"), line("aws-sns whatsapp"), vonage_whatsapp()] {
        let is_vonage = line.provider == "vonage-messages";
        let mut customer = Customer::of(tests::replies::Desk::start(line).await).await;
        customer.chat = customer.desk.text("SM1", "Hello").await;
        customer.desk.hand_over().await;
        customer.desk.drain().await;
        for (template, interactive) in [(replies(), &buttons), (times.clone(), &list), (of_flow.clone(), &passed_on)] {
            customer.is_told(INTERACTIVE, &template).await;
            let expected = if is_vonage {
                let sms = super::line("vonage-messages");
                with(&sms, |body| {
                    remove(body, "text");
                    body["channel"] = json!("whatsapp");
                    body["message_type"] = json!("custom");
                    body["custom"] = json!({ "type": "interactive", "interactive": interactive });
                })
            } else {
                with(&line, |body| {
                    let is_aws = line.provider == "aws-sns";
                    let message = if is_aws { &mut body["message"] } else { body };
                    remove(message, "text");
                    message["type"] = json!("interactive");
                    message["interactive"] = interactive.clone();
                })
            };
            assert_eq!(request(&customer), expected, "{}", line.label);
        }
        assert_eq!(customer.desk.sent().len(), 3);
    }
}

#[tokio::test]
async fn a_channel_of_ones_own_gets_whole_titles_with_the_last_part() {
    let customer = Customer::at(line("webhook")).await;
    customer.is_told(INTERACTIVE, &replies()).await;
    let expected = with(&customer.desk.line, |body| {
        body["data"]["choices"] = json!([{ "id": "[1]", "title": "Yes" }, { "id": "[2]", "title": "No" }]);
    });
    assert_eq!(request(&customer), expected);
    let long = format!("{} end", "word ".repeat(1_000).trim());
    customer
        .is_told(INTERACTIVE, &template("QuickReply", json!({ "title": long, "elements": [{ "title": "Yes" }] })))
        .await;
    let parts: Vec<_> = customer.desk.sent().iter().skip(1).map(|call| call.json()["data"].clone()).collect();
    assert_eq!(parts.len(), 2);
    assert!(parts[0].get("choices").is_none() && parts[1]["choices"][0]["title"] == "Yes");
    assert!(parts[1]["text"].as_str().unwrap().ends_with("end\n1. Yes\nReply with your choice."));
    // Nothing to choose: no empty list.
    let nothing = template("Panel", json!({ "title": "Read this", "elements": [] }));
    customer.is_told(INTERACTIVE, &nothing).await;
    assert_eq!(customer.desk.sent().last().unwrap().json()["data"].get("choices"), None);
}

#[tokio::test]
async fn every_other_channel_gets_numbers() {
    for line in lines() {
        let is_native = matches!(line.label, "meta" | "meta, no number" | "aws-sns whatsapp" | "webhook");
        if is_native {
            continue;
        }
        let (desk, chat) = tests::replies::Desk::with_chat(line).await;
        desk.cloud.connect.agent_says(&chat, INTERACTIVE, &replies()).unwrap();
        desk.hand_over().await;
        desk.drain().await;
        let sent: Vec<_> = desk.sent().iter().map(tests::providers::Call::whole).collect();
        assert_eq!(sent, [line.api().request(&line, NUMBERED)], "{}", line.label);
    }
}

/// Tried again after a throttle, a menu is the same one, by the same ids.
#[tokio::test]
async fn a_menu_that_is_sent_again_is_the_same() {
    for line in [line("meta"), line("webhook")] {
        let customer = Customer::at(line).await;
        customer.desk.providers.script(line.provider, [Reply::status(429)]);
        let offered = customer.is_offered(&replies()).await;
        let sent = customer.desk.sent();
        assert_eq!(sent.len(), 2, "{}", line.label);
        assert_eq!(super::offered(&sent[0]), super::offered(&sent[1]));
        customer.taps(&offered[1]).await;
        assert_eq!(customer.said().1, "No");
    }
}
