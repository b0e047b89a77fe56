//! What a customer sent reaches the agent, as it was written or as a line that says what it was.

use serde_json::json;
use shared::{inbound::Inbound, sms::message::Referral};
use tests::{
    aws::{Cloud, text_from},
    fuzz::read_texts,
    providers::PROVIDERS,
};

const JO: &str = "+14155550101";

async fn deliver(cloud: &Cloud, messages: &[Inbound]) {
    let function = cloud.function().await;
    cloud.send(messages).await;
    cloud.drain(&function).await;
}

#[tokio::test]
async fn a_customers_words_are_told_from_notes_of_the_bridge() {
    let cloud = Cloud::start().await;
    let mut order = text_from(JO, "4", "");
    order.message.describe("[order] gift wrap please: 2 × mug, 8 EUR");
    let messages = [
        text_from(JO, "1", "[not delivered] Your refund"),
        text_from(JO, "2", "I like [brackets]"),
        text_from(JO, "3", "[ ] milk"),
        order,
    ];
    deliver(&cloud, &messages).await;
    let said = [
        "Customer wrote: [not delivered] Your refund",
        "I like [brackets]",
        "[ ] milk",
        "[order] gift wrap please: 2 × mug, 8 EUR",
    ];
    assert_eq!(cloud.said_by(JO), said);
}

#[tokio::test]
async fn an_advertisement_is_told_and_kept_with_the_chat() {
    let cloud = Cloud::start().await;
    let mut message = text_from(JO, "1", "Is this still there?");
    message.message.referral = Referral::of(Some("1201"), Some("Mugs"), Some("https://fb.me/x"));
    deliver(&cloud, &[message]).await;
    assert_eq!(cloud.said_by(JO), ["Is this still there?\n[advertisement] Mugs, https://fb.me/x"]);
    let attributes = &cloud.connect.calls()[0].body["Attributes"];
    let known = ["referralSourceId", "referralHeadline", "referralUrl"].map(|name| attributes[name].clone());
    assert_eq!(known, [json!("1201"), json!("Mugs"), json!("https://fb.me/x")]);
}

/// SNS's nesting has tests of its own.
#[test]
fn one_bad_character_costs_no_message() {
    for provider in PROVIDERS.iter().filter(|provider| provider.name() != "aws-sns") {
        for (label, json, form, expected) in [
            ("half a pair", r"See you at 6 \ud83d", "See+you+at+6+%ED%A0%BD", "See you at 6 \u{fffd}"),
            ("a half within", r"6 \udc00 pm", "6+%FF+pm", "6 \u{fffd} pm"),
            ("U+FFFE", r"at \ufffe 6", "at+%EF%BF%BE+6", "at \u{fffd} 6"),
            ("U+FFFF", "at \u{ffff} 6", "at+%EF%BF%BF+6", "at \u{fffd} 6"),
            ("NUL", r"at\u0000 6", "at%00+6", "at 6"),
            ("a pair", r"\ud83d\ude00", "%F0%9F%98%80", "😀"),
        ] {
            let texts = read_texts(*provider, json, form);
            let mended =
                |text: &String| text.replace("\u{fffd}\u{fffd}", "\u{fffd}").replace("\u{fffd}\u{fffd}", "\u{fffd}");
            assert!(
                texts.iter().any(|text| mended(text).contains(expected)),
                "{}: {label}: {texts:?}",
                provider.label()
            );
        }
    }
}
