//! Replies that can't be sent: what the agent reads, and what becomes a dead letter.

use local::Operation;
use serde_json::{Value, json};
use tests::{
    providers::Reply,
    replies::{Desk, TWILIO, lines},
};

use super::{assert_sent, event, hand, item, say, texts};

#[tokio::test]
async fn what_a_provider_refuses_the_agent_reads_once_and_the_owner_may_send_again() {
    for line in lines() {
        let (desk, chat) = Desk::with_chat(line).await;
        desk.providers.script(line.provider, [line.api().refused()]);
        desk.cloud.connect.agent_says(&chat, "text/plain", "Hello?").unwrap();
        let items = desk.streamed();
        for item in items.iter().chain(&items) {
            desk.notify(item).await;
        }
        desk.drain().await;
        let told = ["[not delivered] Hello?\n(the provider refused it)"];
        assert_eq!(desk.told(&chat), told, "{}", line.label);
        let letters = desk.dead_letters().await;
        assert_eq!(letters.iter().map(|(reason, _)| reason.as_str()).collect::<Vec<_>>(), ["send_refused"]);
        assert_sent(&desk, &["Hello?"]);
        // What the topic brings once more is no second try; what the owner puts back is.
        for item in &items {
            desk.notify(item).await;
        }
        desk.drain().await;
        assert_eq!((desk.sent().len(), desk.told(&chat).len()), (1, 1), "{}", line.label);
        desk.redrive(&letters).await;
        desk.drain().await;
        assert_eq!(texts(&desk), ["Hello?", "Hello?"], "{}", line.label);
        assert_eq!(desk.told(&chat), told);
        assert_eq!(desk.dead_letters().await, []);
    }
}

#[tokio::test]
async fn a_raw_dead_letter_keeps_what_its_attributes_say() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    desk.providers.script("twilio", [Reply::refused("twilio")]);
    desk.cloud.connect.agent_says(&chat, "text/plain", "Hello?").unwrap();
    for item in desk.streamed() {
        desk.notify_raw(&item).await;
    }
    desk.drain().await;
    assert_eq!(desk.move_dead_letters().await, 1);
    desk.drain().await;
    assert_eq!(texts(&desk), ["Hello?", "Hello?"]);
    assert_eq!(desk.dead_letters().await, []);
}

#[tokio::test]
async fn an_agent_who_cannot_be_told_is_no_reason_to_keep_the_owner_waiting() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    desk.providers.script("twilio", [Reply::refused("twilio")]);
    desk.cloud.connect.fail(Operation::SendMessage, local::Fault::error(400, "ValidationException"));
    say(&desk, &chat, "text/plain", "Hello?").await;
    assert_eq!(desk.told(&chat), [""; 0]);
    let letters = desk.dead_letters().await;
    assert_eq!(letters.iter().map(|(reason, _)| reason.as_str()).collect::<Vec<_>>(), ["send_refused"]);
}

/// Hands over what is waited for no longer.
async fn last_try(desk: &Desk, body: &str) -> Value {
    let function = desk.function().await;
    desk.invoke(&function, event([body], 8)).await.unwrap()
}

#[tokio::test]
async fn a_bot_is_told_once_and_not_kept_talking() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    desk.providers.always("twilio", Reply::refused("twilio"));
    for (number, role) in [(1, "SYSTEM"), (2, "CUSTOM_BOT"), (3, "SYSTEM"), (4, "AGENT"), (5, "SUPERVISOR")] {
        let said = item(&chat, number, &json!({ "Content": role, "ParticipantRole": role }));
        assert_eq!(hand(&desk, &[&said, &said]).await, [""; 0]);
    }
    let told = |role: &str| format!("[not delivered] {role}\n(the provider refused it)");
    assert_eq!(desk.told(&chat), ["SYSTEM", "AGENT", "SUPERVISOR"].map(told));
    // The owner is told of each.
    assert_eq!(desk.dead_letters().await.len(), 5);
    // But for who wishes no texts: nobody can mend that.
    desk.text_with("SM2", "STOP", Some(shared::sms::message::OptOut::Stop)).await;
    let before = desk.told(&chat).len();
    assert_eq!(hand(&desk, &[&item(&chat, 6, &json!({ "Content": "Sorry?" }))]).await, [""; 0]);
    assert_eq!((desk.told(&chat).len() - before, desk.dead_letters().await.len()), (0, 0));
}

#[tokio::test]
async fn patience_ends_with_a_dead_letter() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    let nothing_failed = json!({ "batchItemFailures": [] });
    let stranger = item("00000000-0000-4000-8000-00000000000f", 1, &json!({ "Content": "Hello" }));
    let body = stranger.notification().to_string();
    assert_eq!(last_try(&desk, &body).await, nothing_failed);
    assert_eq!(desk.dead_letters().await, [("unknown_conversation".to_owned(), body)]);

    desk.providers.always("twilio", Reply::status(401));
    let body = item(&chat, 2, &json!({ "Content": "Hello" })).notification().to_string();
    assert_eq!(last_try(&desk, &body).await, nothing_failed);
    assert_eq!(desk.dead_letters().await, [("send_misconfigured".to_owned(), body)]);
    let told = "[not delivered] Hello\n(the bridge could not send it)";
    assert_eq!(desk.told(&chat), [told]);

    let malformed = "not JSON";
    assert_eq!(last_try(&desk, malformed).await, nothing_failed);
    assert_eq!(desk.dead_letters().await, [("malformed".to_owned(), malformed.to_owned())]);

    // The next reply does not wait behind what was given up.
    desk.providers.always("twilio", Reply::taken("twilio"));
    say(&desk, &chat, "text/plain", "Better now").await;
    assert_eq!(texts(&desk).last().unwrap(), "Better now");
}

#[tokio::test]
async fn what_no_phone_can_show_the_agent_is_told() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    say(&desk, &chat, "application/json", "{\"x\":1}").await;
    assert_eq!(desk.sent(), []);
    let told = desk.told(&chat);
    assert_eq!(told, ["[not delivered] a message of a kind that can't be sent as a text\n(the provider refused it)"]);
    assert_eq!(desk.dead_letters().await.len(), 1);
}

#[tokio::test]
async fn an_account_that_only_receives_says_so() {
    let (mut desk, chat) = Desk::with_chat(TWILIO).await;
    desk.settings["accounts"][0].as_object_mut().unwrap().remove("account_sid");
    let says = |number, text| item(&chat, number, &json!({ "Content": text, "ParticipantRole": "AGENT" }));
    let body = says(2, "Hello").notification().to_string();
    assert_eq!(last_try(&desk, &body).await, json!({ "batchItemFailures": [] }));
    assert_eq!(desk.told(&chat), ["[not delivered] Hello\n(the bridge could not send it)"]);
    desk.settings = json!({ "accounts": [] });
    let body = says(3, "Hello again").notification().to_string();
    assert_eq!(last_try(&desk, &body).await, json!({ "batchItemFailures": [] }));
    assert_eq!(desk.told(&chat).len(), 2);
    assert_eq!(desk.sent(), []);
    assert_eq!(desk.dead_letters().await.len(), 2);
}

#[tokio::test]
async fn a_chat_that_has_ended_has_nobody_to_tell() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    desk.providers.always("twilio", Reply::refused("twilio"));
    desk.cloud.connect.agent_says(&chat, "text/plain", "Bye").unwrap();
    desk.cloud.connect.end(&chat).unwrap();
    desk.hand_over().await;
    desk.drain().await;
    assert_eq!(texts(&desk), ["Bye"]);
    assert_eq!(desk.told(&chat), [""; 0]);
    assert_eq!(desk.dead_letters().await.len(), 1);
}
