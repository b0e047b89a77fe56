//! Customers who have opted out.

use std::time::Duration;

use tests::{
    providers::Reply,
    replies::{Desk, TWILIO, lines},
};

use super::{assert_sent, say, texts};

#[tokio::test]
async fn who_has_opted_out_is_not_texted_and_the_agent_is_told() {
    for line in lines().iter().filter(|line| line.channel == shared::sms::message::Channel::Sms) {
        let (desk, chat) = Desk::with_chat(*line).await;
        desk.text_with("SM2", "STOP", Some(shared::sms::message::OptOut::Stop)).await;
        let notes = desk.told(&chat);
        say(&desk, &chat, "text/plain", "Are you still there?").await;
        assert_eq!(desk.sent(), [], "{}", line.label);
        let told = desk.told(&chat);
        assert_eq!(
            told[notes.len()..],
            ["[not delivered] Are you still there?\n(the customer has opted out of messages)"],
            "{}",
            line.label
        );
        assert_eq!(desk.dead_letters().await, [], "nobody can mend it");
        desk.text_with("SM3", "START", Some(shared::sms::message::OptOut::Start)).await;
        say(&desk, &chat, "text/plain", "Welcome back").await;
        assert_sent(&desk, &["Welcome back"]);
    }
}

#[tokio::test]
async fn who_opts_out_between_two_parts_is_sent_no_other() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    let words: Vec<_> = (0..400).map(|number| format!("w{number:04}")).collect();
    desk.providers.script("twilio", [Reply::taken("twilio").after(Duration::from_secs(2))]);
    desk.cloud.connect.agent_says(&chat, "text/plain", &words.join(" ")).unwrap();
    desk.hand_over().await;
    let opts_out = async {
        while desk.sent().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        desk.text_with("SM2", "STOP", Some(shared::sms::message::OptOut::Stop)).await;
    };
    tokio::join!(desk.drain(), opts_out);
    let sent = texts(&desk);
    assert_eq!(sent.len(), 1, "{sent:?}");
    let told: Vec<_> = desk.told(&chat).into_iter().filter(|said| said.starts_with("[not delivered]")).collect();
    let rest = words.join(" ").strip_prefix(&sent[0]).unwrap().trim().to_owned();
    assert_eq!(told, [format!("[not delivered] {rest}\n(the customer has opted out of messages)")]);
    assert_eq!(desk.dead_letters().await, []);
}

#[tokio::test]
async fn opt_out_after_chat_end_is_dead_lettered() {
    let (desk, chat) = Desk::with_chat(TWILIO).await;
    desk.text_with("SM2", "STOP", Some(shared::sms::message::OptOut::Stop)).await;
    desk.cloud.connect.agent_says(&chat, "text/plain", "Bye").unwrap();
    desk.cloud.connect.end(&chat).unwrap();
    desk.hand_over().await;
    desk.drain().await;
    assert_eq!(desk.sent(), []);
    let letters = desk.dead_letters().await;
    assert_eq!(letters.iter().map(|(reason, _)| reason.as_str()).collect::<Vec<_>>(), ["opted_out"]);
}

#[tokio::test]
async fn who_has_opted_out_at_the_provider_is_told_of_likewise() {
    for line in lines() {
        let Some(opted_out) = line.api().opted_out() else { continue };
        let (desk, chat) = Desk::with_chat(line).await;
        desk.providers.script(line.provider, [opted_out]);
        say(&desk, &chat, "text/plain", "Hello?").await;
        assert_sent(&desk, &["Hello?"]);
        assert_eq!(
            desk.told(&chat),
            ["[not delivered] Hello?\n(the customer has opted out of messages)"],
            "{}",
            line.label
        );
        assert_eq!(desk.dead_letters().await, []);
    }
}
