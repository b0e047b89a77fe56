//! A channel of the owner's own (`webhook`), both ways and on both of Connect's routes: each line of its contract.

use jiff::Timestamp;
use local::{
    Fault,
    Operation::{
        self, CreateParticipantConnection, DisconnectParticipant, SendChatIntegrationEvent, SendEvent, SendMessage,
        StartChatContact,
    },
};
use serde_json::{Value, json};
use shared::inbound::Inbound;
use tests::{
    Answer, Http, invoke,
    providers::{Call, Reply, line},
    receive_message,
    replies::{Desk, Line, TWILIO},
    sqs::Sqs,
};

const BASE: &str = "https://sms.example.com";
const TYPING: &str = "application/vnd.amazonaws.connect.event.typing";
const CUSTOMER: &str = "user-7";

/// A desk whose gateway sends and receives over this channel.
async fn desk(channel: &str) -> Desk {
    let webhook = line("webhook");
    let mut desk = Desk::start(Line { customer: CUSTOMER, ours: "shop", ..webhook }).await;
    desk.settings["accounts"][0]["channel"] = json!(channel);
    desk
}

async fn event_desk(channel: &str) -> Desk {
    let mut desk = desk(channel).await;
    desk.cloud.environment.push(("CONNECT_ROUTE", "integration-event".to_owned()));
    desk
}

/// The gateway posts something: the bridge's answer, and the queue's items.
async fn receive(desk: &Desk, kind: &str, data: Value) -> (Answer, Vec<Inbound>) {
    let body = json!({ "type": kind, "data": data }).to_string();
    let signed = local::sign(&desk.settings["accounts"][0], body, BASE, Timestamp::now()).unwrap();
    let queue = Sqs::start().await;
    let environment = [
        ("BRIDGE_SETTINGS", desk.settings.to_string()),
        ("PUBLIC_BASE_URL", BASE.to_owned()),
        ("INBOUND_QUEUE_URL", format!("{}/123456789012/inbound.fifo", queue.url())),
    ];
    let function = receive_message(&environment, queue.url()).await;
    let headers = signed.headers.into_iter().filter(|(name, _)| *name != "content-type");
    let request = headers
        .fold(Http::new("POST", &signed.path).body(signed.body), |request, (name, value)| request.header(name, &value));
    let answer = invoke(&function, &request.http_api()).await;
    let items = queue.items().iter().map(|item| Inbound::from_item(&item.to_string()).unwrap()).collect();
    (answer, items)
}

/// The same, delivered.
async fn post(desk: &Desk, kind: &str, data: Value) {
    let (answer, items) = receive(desk, kind, data).await;
    assert_eq!((answer.status, answer.body), (200, json!({ "success": true })), "{kind}");
    desk.cloud.send(&items).await;
    desk.cloud.drain(&desk.cloud.function().await).await;
}

fn named(id: &str) -> Value {
    json!({ "id": id, "from": CUSTOMER, "to": "shop" })
}

async fn say(desk: &Desk, id: &str, text: &str) {
    post(desk, "message", json!({ "id": id, "from": CUSTOMER, "to": "shop", "text": text })).await;
}

/// What happens in the chat is brought to the gateway.
async fn bring(desk: &Desk) {
    desk.hand_over().await;
    desk.drain().await;
}

fn chat(desk: &Desk) -> local::Contact {
    desk.cloud.connect.contacts().pop().unwrap()
}

fn operations(desk: &Desk) -> Vec<Operation> {
    desk.cloud.connect.calls().into_iter().filter_map(|call| call.operation).collect()
}

fn kinds(desk: &Desk) -> Vec<String> {
    desk.sent().iter().map(|call| call.json()["type"].as_str().unwrap().to_owned()).collect()
}

/// A gateway's request: signed, and named by one id.
fn body_of(call: &Call) -> Value {
    line("webhook").api().assert_signed(call);
    assert_eq!((call.method.as_str(), call.path.as_str()), ("POST", "/out"));
    assert!(call.headers.contains_key("webhook-id"));
    call.json()
}

#[tokio::test]
async fn a_message_reaches_the_agent_with_all_its_fields() {
    let desk = desk("line").await;
    let whole = json!({
        "id": "1", "from": CUSTOMER, "to": "shop", "text": "Look", "profile_name": "Jo", "choice_id": "unknown",
        "received_at": "2026-11-20T10:00:00+01:00",
        "media": [{ "url": "https://m.example/1.png", "content_type": "image/png" }, { "url": "ftp://m.example/2" }],
        "location": { "latitude": 48.1, "longitude": 11.5, "name": "Office" } });
    post(&desk, "message", whole).await;
    let contact = chat(&desk);
    let expected = "Look\n[image] https://m.example/1.png\n[file]\n[location] Office, 48.1, 11.5";
    assert_eq!(contact.messages(), [expected]);
    assert_eq!(contact.display_name, "Jo");
    let attributes: Value = json!(contact.attributes);
    assert_eq!(
        attributes,
        json!({ "channel": "line", "provider": "webhook", "account": "webhook", "customerAddress": CUSTOMER,
                "businessAddress": "shop", "providerMessageId": "1", "profileName": "Jo" })
    );
    for (id, more, expected) in [
        ("2", json!({}), "[empty message]"),
        ("3", json!({ "choice_id": "tuesday" }), "tuesday"),
        ("4", json!({ "media": [{ "url": "https://m.example/a b", "name": "a.pdf" }] }), "[file]"),
        ("5", json!({ "location": { "latitude": 91, "longitude": 0 }, "text": "here" }), "here"),
        ("6", json!({ "text": "[not delivered] x" }), "Customer wrote: [not delivered] x"),
        ("7", json!({ "text": "Stop" }), "Stop"),
    ] {
        let mut data = named(id);
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        post(&desk, "message", data).await;
        assert_eq!(chat(&desk).messages().last(), Some(&expected), "{id}");
    }
    assert_eq!(desk.cloud.connect.contacts().len(), 1);
    assert!(desk.cloud.dead_letters().await.is_empty());
}

#[tokio::test]
async fn what_is_out_of_bounds_is_400_and_what_is_unknown_is_200() {
    let desk = desk("line").await;
    let with = |name: &str, value: Value| {
        let mut data = named("1");
        data[name] = value;
        data
    };
    for kind in ["message", "opt_out", "opt_in", "end", "typing"] {
        for name in ["id", "from", "to"] {
            if kind == "typing" && name == "id" {
                continue;
            }
            for value in [Value::Null, json!(""), json!("x".repeat(256)), json!("a\u{1}"), json!(7)] {
                let (answer, items) = receive(&desk, kind, with(name, value.clone())).await;
                assert_eq!((answer.status, items.len()), (400, 0), "{kind} {name} {value}");
            }
        }
        for data in [Value::Null, json!([]), json!("x")] {
            assert_eq!(receive(&desk, kind, data.clone()).await.0.status, 400, "{kind} {data}");
        }
    }
    for kind in ["reaction", "", "Message", "message.created"] {
        let (answer, items) = receive(&desk, kind, Value::Null).await;
        assert_eq!((answer.status, answer.body, items.len()), (200, json!({ "success": true }), 0), "{kind}");
    }
}

#[tokio::test]
async fn typing_is_shown_in_an_open_chat_and_tried_once() {
    let desk = desk("line").await;
    let typing = || json!({ "from": CUSTOMER, "to": "shop" });
    post(&desk, "typing", typing()).await;
    assert_eq!(operations(&desk), [], "no chat is started");
    say(&desk, "1", "Hello").await;
    let calls = || {
        let calls = operations(&desk);
        desk.cloud.connect.forget_calls();
        calls
    };
    calls();
    assert_eq!(chat(&desk).typing_at, None);
    post(&desk, "typing", typing()).await;
    assert_eq!(desk.cloud.connect.calls_to(SendEvent)[0].body["ContentType"], TYPING);
    assert_eq!(calls(), [SendEvent]);
    assert!(chat(&desk).typing_at.is_some());
    // Each is one of its own, though it has no id.
    post(&desk, "typing", typing()).await;
    assert_eq!(calls(), [SendEvent]);
    for fault in [
        Fault::error(500, "InternalServerException"),
        Fault::error(429, "ThrottlingException"),
        Fault::error(403, "AccessDeniedException"),
    ] {
        desk.cloud.connect.fail(SendEvent, fault);
        post(&desk, "typing", typing()).await;
        assert_eq!(calls(), [SendEvent], "no second try, and no new token");
    }
    desk.cloud.connect.end(&chat(&desk).initial_id).unwrap();
    post(&desk, "typing", typing()).await;
    assert_eq!(desk.cloud.connect.contacts().len(), 1);
    assert_eq!(desk.cloud.dead_letters().await, []);
}

#[tokio::test]
async fn who_leaves_ends_the_chat_after_the_last_words() {
    let desk = desk("line").await;
    post(&desk, "end", named("0")).await;
    assert_eq!(operations(&desk), [], "no chat is started, and none ended");
    // Both wait in the queue.
    let mut items =
        receive(&desk, "message", json!({ "id": "1", "from": CUSTOMER, "to": "shop", "text": "Bye" })).await.1;
    items.extend(receive(&desk, "end", named("1")).await.1);
    desk.cloud.send(&items).await;
    desk.cloud.drain(&desk.cloud.function().await).await;
    let contact = chat(&desk);
    assert_eq!((contact.messages(), contact.end_reason.as_deref()), (vec!["Bye"], Some("CUSTOMER_DISCONNECT")));
    assert_eq!(operations(&desk), [StartChatContact, CreateParticipantConnection, DisconnectParticipant]);
    // A repeat changes nothing; the next message starts another chat, at once.
    desk.cloud.send_as(&items, "again").await;
    desk.cloud.drain(&desk.cloud.function().await).await;
    assert_eq!(desk.cloud.connect.calls_to(DisconnectParticipant).len(), 1);
    desk.cloud.connect.forget_calls();
    say(&desk, "2", "One more thing").await;
    assert_eq!(operations(&desk), [StartChatContact, CreateParticipantConnection]);

    // The token is old, then Connect fails.
    desk.cloud.connect.expire_connection_tokens(&chat(&desk).initial_id).unwrap();
    desk.cloud.connect.fail(DisconnectParticipant, Fault::error(500, "InternalServerException"));
    post(&desk, "end", named("3")).await;
    assert!(chat(&desk).ended);
    // The chat has ended before.
    say(&desk, "4", "Hello").await;
    desk.cloud.connect.end(&chat(&desk).initial_id).unwrap();
    post(&desk, "end", named("5")).await;
    assert_eq!(desk.cloud.dead_letters().await, []);
    assert_eq!(desk.cloud.connect.contacts().len(), 3);
}

#[tokio::test]
async fn an_agents_typing_goes_out_once_and_at_once() {
    let desk = desk("line").await;
    say(&desk, "1", "Hello").await;
    bring(&desk).await;
    let contact = chat(&desk).initial_id;
    desk.cloud.connect.agent_joins(&contact).unwrap();
    desk.cloud.connect.agent_event(&contact, TYPING, None).unwrap();
    let typing: Vec<_> = desk.streamed().into_iter().filter(|item| item.message.contains(TYPING)).collect();
    assert_eq!(typing.len(), 1);
    desk.notify(&typing[0]).await;
    desk.drain().await;
    let [call] = desk.sent().try_into().unwrap();
    assert_eq!(
        body_of(&call),
        json!({ "type": "typing", "data": { "from": "shop", "to": CUSTOMER, "contact_id": contact } })
    );
    // Too old, by anybody else, and where the gateway fails.
    let changed = |name: &str, value: &str| {
        let mut item = typing[0].clone();
        let mut message: Value = serde_json::from_str(&item.message).unwrap();
        message[name] = json!(value);
        message["Id"] = json!(format!("{name}-{value}"));
        item.message = message.to_string();
        item
    };
    let old = Timestamp::now().checked_sub(jiff::SignedDuration::from_secs(11)).unwrap().to_string();
    desk.notify(&changed("AbsoluteTime", &old)).await;
    desk.notify(&changed("ParticipantRole", "CUSTOM_BOT")).await;
    desk.notify(&changed("ParticipantRole", "CUSTOMER")).await;
    desk.drain().await;
    assert_eq!(kinds(&desk), ["typing"]);
    desk.providers.script("webhook", [Reply::status(500)]);
    desk.notify(&changed("DisplayName", "Ana")).await;
    desk.drain().await;
    assert_eq!(kinds(&desk), ["typing", "typing"], "one try");
    // Who has opted out is not to see it.
    post(&desk, "opt_out", named("2")).await;
    desk.notify(&changed("DisplayName", "Eve")).await;
    desk.drain().await;
    assert_eq!(kinds(&desk), ["typing", "typing"]);
    assert_eq!(desk.dead_letters().await, []);
}

#[tokio::test]
async fn the_end_of_a_chat_goes_out_whoever_ended_it() {
    for by_customer in [false, true] {
        let desk = desk("line").await;
        say(&desk, "1", "Hello").await;
        let contact = chat(&desk).initial_id;
        if by_customer {
            post(&desk, "end", named("2")).await;
        } else {
            desk.cloud.connect.agent_says(&contact, "text/plain", "Bye").unwrap();
            desk.cloud.connect.end(&contact).unwrap();
        }
        desk.providers.always("webhook", Reply::new(200, ""));
        // Not now, and then not at all for a moment: again by the same id.
        let failures = [Reply::status(503).header("retry-after", "1"), Reply::status(500)];
        let before = usize::from(!by_customer);
        let taken = std::iter::repeat_n(Reply::new(204, ""), before);
        desk.providers.script("webhook", taken.chain(failures));
        bring(&desk).await;
        let sent = desk.sent();
        let ends = &sent[before..];
        assert_eq!(ends.len(), 3, "{by_customer}: {sent:?}");
        for call in ends {
            assert_eq!(
                body_of(call),
                json!({ "type": "end", "data": { "from": "shop", "to": CUSTOMER, "contact_id": contact } })
            );
            assert_eq!(call.headers["webhook-id"], ends[0].headers["webhook-id"]);
        }
        assert_eq!(desk.dead_letters().await, []);
        // The customer's next message starts another chat.
        say(&desk, "3", "Again").await;
        assert_eq!(desk.cloud.connect.contacts().len(), 2, "{by_customer}");
    }
}

#[tokio::test]
async fn who_does_not_care_for_the_end_is_left_alone() {
    let only_receives = |desk: &mut Desk| {
        let account = desk.settings["accounts"][0].as_object_mut().unwrap();
        account.remove("send_url");
        account.remove("send_secrets");
    };
    for (label, answer, calls) in [
        ("it only receives", None, 0),
        ("it knows no such type", Some(400), 1),
        ("it has no such path", Some(404), 1),
        ("the customer has gone", Some(410), 1),
        ("it redirects", Some(302), 1),
    ] {
        let mut desk = desk("line").await;
        match answer {
            None => only_receives(&mut desk),
            Some(status) => desk.providers.always("webhook", Reply::status(status)),
        }
        say(&desk, "1", "Hello").await;
        desk.cloud.connect.end(&chat(&desk).initial_id).unwrap();
        bring(&desk).await;
        assert_eq!(desk.sent().len(), calls, "{label}");
        assert_eq!(desk.dead_letters().await, [], "{label}");
    }
    // Other providers have no such thing.
    let (desk, contact) = Desk::with_chat(TWILIO).await;
    desk.cloud.connect.agent_joins(&contact).unwrap();
    desk.cloud.connect.agent_event(&contact, TYPING, None).unwrap();
    desk.cloud.connect.end(&contact).unwrap();
    bring(&desk).await;
    assert_eq!(desk.sent(), []);
    assert_eq!(desk.dead_letters().await, []);
}

#[tokio::test]
async fn a_410_is_an_opt_out_that_only_opt_in_clears() {
    for channel in ["line", "sms"] {
        stands_until_opt_in(channel).await;
    }
}

async fn stands_until_opt_in(channel: &str) {
    let desk = desk(channel).await;
    say(&desk, "1", "Hello").await;
    let contact = chat(&desk).initial_id;
    let reply = async |text: &str| {
        desk.cloud.connect.agent_says(&contact, "text/plain", text).unwrap();
        bring(&desk).await;
    };
    desk.providers.script("webhook", [Reply::status(410)]);
    reply("one").await;
    reply("two").await;
    // The customer writes, and even says so.
    say(&desk, "2", "START").await;
    say(&desk, "3", "I am still here").await;
    reply("three").await;
    assert_eq!(desk.sent().len(), 1, "nothing more is sent");
    let why = "\n(the customer has opted out of messages)";
    let told: Vec<_> = ["one", "two", "three"].iter().map(|text| format!("[not delivered] {text}{why}")).collect();
    assert_eq!(desk.told(&contact), told);
    post(&desk, "opt_in", named("4")).await;
    reply("four").await;
    let texts: Vec<_> = desk.sent().iter().map(|call| call.json()["data"]["text"].clone()).collect();
    assert_eq!(texts, ["one", "four"]);
    // `opt_out` is the same, told by the gateway.
    post(&desk, "opt_out", named("5")).await;
    reply("five").await;
    assert_eq!(desk.sent().len(), 2);
    assert_eq!(desk.dead_letters().await, []);
}

#[tokio::test]
async fn each_answer_means_what_the_contract_says() {
    for (status, tries, told, letter) in [
        (200, 1, 0, None),
        (204, 1, 0, None),
        (429, 2, 0, None),
        (503, 2, 0, None),
        (500, 2, 0, None),
        (502, 2, 0, None),
        (504, 2, 0, None),
        (400, 1, 1, Some("send_refused")),
        (401, 1, 1, Some("send_refused")),
        (404, 1, 1, Some("send_refused")),
        (422, 1, 1, Some("send_refused")),
        (410, 1, 1, None),
    ] {
        let desk = desk("line").await;
        say(&desk, "1", "Hello").await;
        let contact = chat(&desk).initial_id;
        desk.providers.script("webhook", [Reply::status(status).header("retry-after", "1")]);
        desk.cloud.connect.agent_says(&contact, "text/plain", "Yes?").unwrap();
        bring(&desk).await;
        let sent = desk.sent();
        assert_eq!(sent.len(), tries, "{status}");
        for call in &sent {
            let body = body_of(call);
            assert_eq!(call.headers["webhook-id"], sent[0].headers["webhook-id"], "{status}");
            assert_eq!(body["data"]["id"], call.headers["webhook-id"].as_str(), "{status}");
            assert_eq!(body["data"]["contact_id"], contact.as_str());
        }
        assert_eq!(desk.told(&contact).len(), told, "{status}");
        let letters: Vec<_> = desk.dead_letters().await.into_iter().map(|(reason, _)| reason).collect();
        assert_eq!(letters, letter.into_iter().collect::<Vec<_>>(), "{status}");
    }
}

#[tokio::test]
async fn the_event_route_has_message_event_and_disconnect() {
    for (channel, subtype) in [("line", "connect:sms"), ("sms", "connect:sms"), ("whatsapp", "connect:WhatsApp")] {
        let desk = event_desk(channel).await;
        // Without an open chat neither starts one.
        post(&desk, "typing", json!({ "from": CUSTOMER, "to": "shop" })).await;
        post(&desk, "end", named("0")).await;
        assert_eq!(operations(&desk), [], "{channel}");
        say(&desk, "1", "Hello").await;
        post(&desk, "typing", json!({ "from": CUSTOMER, "to": "shop" })).await;
        assert!(chat(&desk).typing_at.is_some(), "{channel}");
        desk.cloud.connect.fail(SendChatIntegrationEvent, Fault::error(500, "InternalServiceException"));
        post(&desk, "typing", json!({ "from": CUSTOMER, "to": "shop" })).await;
        post(&desk, "end", named("1")).await;
        let calls: Vec<_> =
            desk.cloud.connect.calls_to(SendChatIntegrationEvent).into_iter().map(|call| call.body).collect();
        let events: Vec<_> = calls.iter().map(|call| call["Event"].clone()).collect();
        let typing = json!({ "Type": "EVENT", "ContentType": TYPING });
        assert_eq!(
            events,
            [
                json!({ "Type": "MESSAGE", "ContentType": "text/plain", "Content": "Hello" }),
                typing.clone(),
                typing,
                json!({ "Type": "DISCONNECT" }),
            ],
            "{channel}"
        );
        for call in &calls {
            let named = [&call["SourceId"], &call["DestinationId"], &call["Subtype"]];
            assert_eq!(named, [CUSTOMER, "shop", subtype], "{channel}");
        }
        assert_eq!(chat(&desk).end_reason.as_deref(), Some("CUSTOMER_DISCONNECT"), "{channel}");
        // It is over: a second one is none, and the next message starts another chat.
        post(&desk, "end", named("2")).await;
        assert_eq!(desk.cloud.connect.calls_to(SendChatIntegrationEvent).len(), 4, "{channel}");
        bring(&desk).await;
        assert_eq!(kinds(&desk), ["end"], "{channel}");
        say(&desk, "3", "Again").await;
        assert_eq!(desk.cloud.connect.contacts().len(), 2, "{channel}");
        assert_eq!(desk.cloud.dead_letters().await, [], "{channel}");
    }
}

#[tokio::test]
async fn a_disconnect_in_doubt_is_not_repeated_and_a_denied_one_disturbs_nobody() {
    for (status, error, letters) in
        [(500, "InternalServiceException", vec!["may_have_been_delivered"]), (403, "AccessDeniedException", vec![])]
    {
        let desk = event_desk("line").await;
        say(&desk, "1", "Hello").await;
        desk.cloud.connect.fail(SendChatIntegrationEvent, Fault::error(status, error));
        post(&desk, "end", named("2")).await;
        assert_eq!(desk.cloud.connect.calls_to(SendChatIntegrationEvent).len(), 2, "{status}");
        let reasons: Vec<_> = desk.cloud.dead_letters().await.into_iter().map(|(reason, _)| reason).collect();
        assert_eq!(reasons, letters, "{status}");
    }
    // The agent ends the chat: the record of it is closed on this route too.
    let desk = event_desk("line").await;
    say(&desk, "1", "Hello").await;
    desk.cloud.connect.end(&chat(&desk).initial_id).unwrap();
    bring(&desk).await;
    post(&desk, "end", named("2")).await;
    assert_eq!(desk.cloud.connect.calls_to(SendChatIntegrationEvent).len(), 1);
}

#[tokio::test]
async fn without_a_queue_all_of_it_is_done_at_once() {
    let desk = desk("line").await;
    let mut environment = tests::environment();
    environment.extend([
        ("BRIDGE_SETTINGS", desk.settings.to_string()),
        ("PUBLIC_BASE_URL", BASE.to_owned()),
        ("STREAMING_TOPIC_ARN", tests::TOPIC.to_owned()),
    ]);
    let function = receive_message(&environment, desk.cloud.connect.url()).await;
    let data = json!({ "id": "1", "from": CUSTOMER, "to": "shop", "text": "Hello" });
    for (kind, calls) in [
        ("message", vec![StartChatContact, CreateParticipantConnection]),
        ("typing", vec![SendEvent]),
        ("message", vec![SendMessage]),
        ("end", vec![DisconnectParticipant]),
        ("typing", vec![]),
    ] {
        desk.cloud.connect.forget_calls();
        let mut data = data.clone();
        data["id"] = json!(format!("{kind}-{}", calls.len()));
        let body = json!({ "type": kind, "data": data }).to_string();
        let signed = local::sign(&desk.settings["accounts"][0], body, BASE, Timestamp::now()).unwrap();
        let request =
            signed.headers.iter().fold(Http::new("POST", &signed.path).body(signed.body), |request, header| {
                request.header(header.0, &header.1)
            });
        assert_eq!(invoke(&function, &request.http_api()).await.status, 200, "{kind}");
        assert_eq!(operations(&desk), calls, "{kind}");
    }
}
