//! The laptop's phone against the real functions: what it signs is believed, and what Connect streams reaches the queue
//! of replies.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, Router, extract::Path, routing::post};
use local::{Bridge, Channel, Config, Pipeline, StandIn, Writing};
use serde_json::{Value, json};
use shared::{inbound::Inbound, sms::providers::ProviderId};
use tests::{
    FLOW, Http, INSTANCE, TOPIC,
    aws::moto,
    invoke, providers, receive_message,
    replies::{Desk, lines},
    sqs::Sqs,
};

const BASE: &str = "http://localhost:9000";

/// The accounts of the laptop, and one for each provider under test.
fn settings() -> Value {
    let mut settings: Value = serde_json::from_str(include_str!("../../local/settings.json")).unwrap();
    for provider in providers::names() {
        let mut account = providers::account(provider, "http://127.0.0.1:1");
        account["name"] = json!(format!("{provider}-under-test"));
        settings["accounts"].as_array_mut().unwrap().push(account);
    }
    settings
}

async fn phone() -> StandIn {
    phone_with(settings()).await
}

async fn phone_with(settings: Value) -> StandIn {
    let bridge = Bridge { functions: BASE.to_owned(), public_base_url: BASE.to_owned(), settings };
    StandIn::start_with(Config { bridge: Some(bridge), ..Config::default() }).await.unwrap()
}

fn environment(queue: &Sqs, phone: &StandIn) -> Vec<(&'static str, String)> {
    vec![
        ("BRIDGE_SETTINGS", settings().to_string()),
        ("PUBLIC_BASE_URL", BASE.to_owned()),
        ("INBOUND_QUEUE_URL", format!("{}/123456789012/inbound.fifo", queue.url())),
        ("AWS_ENDPOINT_URL_SNS", phone.url().to_owned()),
    ]
}

#[tokio::test]
async fn what_the_phone_signs_is_believed() {
    let phone = phone().await;
    let queue = Sqs::start().await;
    let function = receive_message(&environment(&queue, &phone), queue.url()).await;
    let words = "Grüße = 1 & \"2\"\n😀 100%+";
    let settings = settings();
    let accounts = settings["accounts"].as_array().unwrap().iter().map(|account| {
        let name = account["name"].as_str().or(account["provider"].as_str());
        name.unwrap().to_owned()
    });
    let of_both = accounts.flat_map(|account| [(account.clone(), Channel::Sms), (account, Channel::Whatsapp)]);
    let mut believed = BTreeSet::new();
    for (account, channel) in of_both {
        queue.forget();
        let writing = Writing {
            account: account.clone(),
            channel: Some(channel),
            from: "+14155550123".to_owned(),
            to: "+12025550100".to_owned(),
            text: words.to_owned(),
            choice: None,
        };
        // Not every provider has both channels.
        let Ok(webhooks) = phone.write(&writing) else { continue };
        let [webhook] = webhooks.try_into().unwrap();
        let request = |body: &str, authorization: Option<&str>| {
            let mut request = Http::new("POST", &webhook.path).body(body);
            for (name, value) in &webhook.headers {
                let shown = authorization.filter(|_| *name == "authorization").unwrap_or(value);
                request = request.header(name, shown);
            }
            request.http_api()
        };
        let answer = invoke(&function, &request(&webhook.body, None)).await;
        assert_eq!(answer.status, 200, "{account} {channel:?} {:?}", answer.body);
        let [item] = queue.items().try_into().unwrap();
        let item = Inbound::from_item(item["MessageBody"].as_str().unwrap_or(&item.to_string())).unwrap();
        let message = &item.message;
        assert_eq!(
            (message.from.as_str(), message.to.as_str(), &*message.text),
            ("+14155550123", "+12025550100", words)
        );
        let expected = match channel {
            // Its accounts name a channel of their own.
            _ if item.provider == ProviderId::Webhook => "webhook",
            Channel::Sms => "sms",
            Channel::Whatsapp => "whatsapp",
        };
        assert_eq!((message.channel.as_str(), &*item.account), (expected, &*account));
        believed.extend(webhook.path.split('/').nth(2).map(str::to_owned));

        // One letter changed, and nobody believes it: of the password, where that is all there is to believe.
        let (forged, status) = match item.provider.facts().challenge {
            None => (request(&webhook.body.replace("100", "900"), None), 403),
            Some(_) => (request(&webhook.body, Some(&format!("Basic {}", tests::base64(b"user:wrong")))), 401),
        };
        assert_eq!(invoke(&function, &forged).await.status, status, "{account} {channel:?}");
    }
    assert_eq!(believed, ProviderId::ALL.iter().map(ToString::to_string).collect(), "every provider is believed");
}

/// What the bridge sends reaches the phone by each provider's send API, and only with the account's credentials.
#[tokio::test]
async fn what_the_bridge_sends_reaches_the_phone() {
    // The phone's account at Bird has one channel.
    for line in lines().into_iter().filter(|line| line.label != "bird, whatsapp") {
        let account = |secret| providers::account_with(line.provider, secret);
        let phone = phone_with(json!({ "accounts": [account("good")] })).await;
        // AWS's SDK signs with credentials of its own, and this private key is the same in all accounts.
        let has_secret = !line.api().is_called_by_sdk() && line.provider != "vonage-messages";
        for (secret, arrives) in [("good", true), ("wrong", !has_secret)] {
            let (mut desk, chat) = Desk::with_chat(line).await;
            let mut account = account(secret);
            line.api().send_to(&mut account, &format!("{}/_phone/{}", phone.url(), line.provider));
            desk.settings = json!({ "accounts": [account] });
            let text = format!("Hello by {secret}");
            desk.cloud.connect.agent_says(&chat, "text/plain", &text).unwrap();
            desk.hand_over().await;
            let function = desk.function().await;
            desk.poll_by(async |event| desk.invoke(&function, event).await).await;
            let arrived = phone.texts().iter().any(|sent| !sent.from_phone && sent.text == text);
            assert_eq!(arrived, arrives, "{} {secret} {:?}", line.label, phone.calls());
        }
    }
}

#[tokio::test]
async fn a_long_text_by_vonage_comes_in_parts() {
    let phone = phone().await;
    let queue = Sqs::start().await;
    let function = receive_message(&environment(&queue, &phone), queue.url()).await;
    let writing = Writing {
        account: "vonage".to_owned(),
        channel: None,
        from: "+14155550123".to_owned(),
        to: "+12025550100".to_owned(),
        text: "word ".repeat(70),
        choice: None,
    };
    let webhooks = phone.write(&writing).unwrap();
    assert_eq!(webhooks.len(), 3);
    for webhook in webhooks {
        let request = webhook
            .headers
            .iter()
            .fold(Http::new("POST", &webhook.path), |request, (name, value)| request.header(name, value));
        assert_eq!(invoke(&function, &request.body(webhook.body).http_api()).await.status, 200);
    }
    let items: Vec<_> = queue
        .items()
        .iter()
        .map(|item| Inbound::from_item(item["MessageBody"].as_str().unwrap_or(&item.to_string())).unwrap())
        .collect();
    let concat: Vec<_> = items.iter().map(|item| item.message.concat.clone().unwrap()).collect();
    assert_eq!(concat.iter().map(|part| (part.part, part.total)).collect::<Vec<_>>(), [(1, 3), (2, 3), (3, 3)]);
    assert!(concat.iter().all(|part| part.reference == concat[0].reference));
    assert_eq!(items.iter().map(|item| &*item.message.text).collect::<String>(), writing.text);
}

/// `cargo lambda watch`, as far as the pollers see it: what it is invoked with. Invocations of a function fail as a whole
/// while it has failures left.
async fn functions(failures: usize) -> (String, Arc<Mutex<Vec<(String, Value)>>>) {
    let invoked: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
    let left = Arc::new(Mutex::new(failures));
    let kept = Arc::clone(&invoked);
    let invoke = async move |Path(name): Path<String>, body: String| {
        let mut left = left.lock().unwrap();
        if *left > 0 {
            *left -= 1;
            return Err(axum::http::StatusCode::INTERNAL_SERVER_ERROR);
        }
        kept.lock().unwrap().push((name, serde_json::from_str(&body).unwrap()));
        Ok(Json(json!({ "batchItemFailures": [] })))
    };
    let router = Router::new().route("/2015-03-31/functions/{name}/invocations", post(invoke));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, invoked)
}

/// The queues and the table have fixed names, so this is one story.
#[tokio::test]
async fn what_connect_streams_is_handed_to_receive_reply_once() {
    let connect = StandIn::start().await.unwrap();
    let aws = tokio::task::spawn_blocking(moto).await.unwrap();
    let (functions, invoked) = functions(1).await;
    let pipeline = Pipeline::start(aws, &functions).await.unwrap();
    let http = reqwest::Client::new();
    let story = async {
        let start = json!({
            "InstanceId": INSTANCE, "ContactFlowId": FLOW, "ParticipantDetails": { "DisplayName": "Jo" },
            "ChatStreamingConfiguration": { "StreamingEndpointArn": TOPIC },
        });
        let started = http.put(format!("{}/contact/chat", connect.url())).json(&start).send().await.unwrap();
        let started: Value = started.json().await.unwrap();
        let join = http
            .post(format!("{}/participant/connection", connect.url()))
            .header("x-amz-bearer", started["ParticipantToken"].as_str().unwrap())
            .json(&json!({ "Type": ["CONNECTION_CREDENTIALS"], "ConnectParticipant": true }));
        assert_eq!(join.send().await.unwrap().status(), 200);
        let contact = started["ContactId"].as_str().unwrap();
        let id = connect.agent_says(contact, "text/plain", "Hello").unwrap();
        connect.end(contact).unwrap();
        let inbound = json!({
            "QueueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/inbound.fifo", "MessageBody": "an item",
            "MessageGroupId": "group", "MessageDeduplicationId": "1",
        });
        let sent = http
            .post(pipeline.endpoint())
            .header("x-amz-target", "AmazonSQS.SendMessage")
            .header("content-type", "application/x-amz-json-1.0")
            .header("authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request")
            .body(inbound.to_string());
        assert_eq!(sent.send().await.unwrap().status(), 200);

        let all = || -> Vec<(String, Value)> {
            let invoked = invoked.lock().unwrap();
            let records = |event: &Value| event["Records"].as_array().unwrap().clone();
            invoked.iter().flat_map(|(name, event)| records(event).into_iter().map(|r| (name.clone(), r))).collect()
        };
        // The customer joined, the agent joined, spoke and left, and the chat ended; and the item.
        for _ in 0..200 {
            if all().len() >= 6 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Time for one too many.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let all = all();
        let of = |name: &str| -> Vec<Value> {
            all.iter().filter(|(function, _)| function == name).map(|(_, record)| record.clone()).collect()
        };
        let [item] = of("deliver-message").try_into().unwrap();
        assert_eq!(item["body"], "an item");
        let replies = of("receive-reply");
        assert_eq!(replies.len(), 5);
        let mut said = Vec::new();
        for record in replies {
            assert_eq!(record["eventSourceARN"], "arn:aws:sqs:us-east-1:123456789012:replies");
            let notification: Value = serde_json::from_str(record["body"].as_str().unwrap()).unwrap();
            assert_eq!((&notification["Type"], &notification["TopicArn"]), (&json!("Notification"), &json!(TOPIC)));
            let item: Value = serde_json::from_str(notification["Message"].as_str().unwrap()).unwrap();
            if item["Type"] == "MESSAGE" {
                said.push((item["Id"].clone(), item["Content"].clone()));
            }
        }
        assert_eq!(said, [(json!(id), json!("Hello"))]);
    };
    tokio::select! {
        () = pipeline.run(&connect) => unreachable!("it runs until it is dropped"),
        () = story => (),
    }
}
