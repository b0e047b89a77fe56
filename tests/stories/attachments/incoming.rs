//! A customer's picture: fetched with the account's credentials, stored, completed, and in the agent's chat once.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use local::{Fault, Operation, Role};
use serde_json::{Value, json};
use shared::{
    inbound::Inbound,
    settings::Settings,
    sms::message::{Media, Message},
};
use tests::{
    aws::Cloud,
    providers::{Line, PICTURE, PROVIDERS, Picture, Providers, Reply, account, line},
};

type MakeFault = fn() -> Fault;

/// A contact centre that takes files.
struct Centre {
    cloud: Cloud,
    providers: Providers,
    line: Line,
    settings: Value,
}

impl Centre {
    async fn start(line: Line) -> Self {
        let providers = Providers::start().await;
        let settings = json!({ "accounts": [account(line.provider, &providers.base_url(line.provider))] });
        let cloud = Cloud::start()
            .await
            .with("FEATURE_ATTACHMENTS", "true")
            .with("BRIDGE_SETTINGS", &settings.to_string())
            .time(Duration::from_secs(10));
        Self { cloud, providers, line, settings }
    }

    fn message(&self, id: &str, text: &str, media: &[Value]) -> Inbound {
        let settings = Settings::from_json(self.settings.to_string().as_bytes()).unwrap();
        let line = &self.line;
        let mut message = Message::new(line.provider, line.channel, id, line.customer, line.ours);
        text.clone_into(&mut message.text);
        message.media = media.iter().map(|media| serde_json::from_value::<Media>(media.clone()).unwrap()).collect();
        message.reply_from = line.ours_id.map(str::to_owned);
        Inbound::new(&settings.accounts[0], message)
    }

    async fn deliver(&self, messages: &[Inbound]) {
        self.cloud.send(messages).await;
        self.cloud.drain(&self.cloud.function().await).await;
    }

    /// The customer's side of all chats: texts, and files as `name type bytes`.
    fn said(&self) -> Vec<String> {
        let mut said = Vec::new();
        for contact in self.cloud.connect.contacts() {
            for item in &contact.transcript {
                if item.participant.as_ref().is_none_or(|author| author.role != Role::Customer) {
                    continue;
                }
                said.extend(item.content.clone());
                for file in &item.attachments {
                    let bytes = self.cloud.connect.attachment(&file.attachment_id).unwrap();
                    let bytes = String::from_utf8(bytes.to_vec()).unwrap();
                    said.push(format!("{} {} {bytes}", file.attachment_name, file.content_type));
                }
            }
        }
        said
    }

    fn gets(&self) -> Vec<(String, Option<String>)> {
        let calls = self.providers.all_calls().into_iter().filter(|call| call.method == "GET");
        let read = calls.map(|call| {
            let whole = call.whole();
            let query = if call.query.is_empty() { String::new() } else { format!("?{}", call.query) };
            let authorization = whole["headers"]["authorization"].as_str().map(str::to_owned);
            (format!("{}{query}", call.path), authorization)
        });
        read.collect()
    }
}

fn picture_of(provider: &Providers, line: &Line) -> Picture {
    line.api().picture(&provider.base_url(line.provider)).unwrap()
}

fn stored() -> String {
    format!("image.png image/png {PICTURE}")
}

#[tokio::test]
async fn every_providers_picture_is_fetched_and_follows_its_words() {
    let mut tried = 0;
    for provider in PROVIDERS {
        let centre = Centre::start(provider.line()).await;
        let Some(picture) = provider.picture(&centre.providers.base_url(provider.name())) else { continue };
        tried += 1;
        centre.providers.script(provider.name(), picture.answers);
        centre.deliver(&[centre.message("1", "Look", &[picture.media])]).await;
        assert_eq!(centre.said(), ["Look".to_owned(), stored()], "{}", provider.label());
        assert_eq!(centre.gets(), picture.gets, "{}", provider.label());
        assert_eq!(centre.cloud.dead_letters().await, [], "{}", provider.label());
    }
    assert_eq!(tried, 11);
}

#[tokio::test]
async fn a_picture_joins_the_names_of_its_customer() {
    const USER: &str = "US.13491208655302741918";
    let centre = Centre::start(line("twilio")).await;
    let picture = picture_of(&centre.providers, &centre.line);
    centre.providers.script(centre.line.provider, picture.answers);
    let mut by_user = centre.message("1", "Hello", &[]);
    by_user.message.from = USER.to_owned();
    let mut by_both = centre.message("2", "Look", &[picture.media]);
    by_both.message.alt_ids = Some(vec![USER.to_owned()]);
    for message in [by_user, by_both, centre.message("3", "Thanks", &[])] {
        centre.deliver(&[message]).await;
    }
    assert_eq!(centre.said(), ["Hello".to_owned(), "Look".to_owned(), stored(), "Thanks".to_owned()]);
    assert_eq!(centre.cloud.connect.contacts().len(), 1);
}

#[tokio::test]
async fn aws_puts_a_whatsapp_picture_where_connect_wants_it() {
    let centre = Centre::start(line("aws-sns whatsapp")).await;
    let described = json!({ "mimeType": "image/png", "fileSize": PICTURE.len() });
    let slowly = Reply::new(200, &described).after(Duration::from_millis(500));
    centre.providers.script("aws-sns", [Reply::new(200, &described), slowly]);
    // What AWS does before it answers the second call.
    let puts = async {
        let asked = loop {
            match centre.providers.calls("aws-sns").get(1) {
                Some(call) => break call.json(),
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        let destination = &asked["destinationS3PresignedUrl"];
        let mut request = reqwest::Client::new().put(destination["url"].as_str().unwrap()).body(PICTURE);
        for (name, value) in destination["headers"].as_object().unwrap() {
            request = request.header(name, value.as_str().unwrap());
        }
        assert_eq!(request.send().await.unwrap().status(), 200);
        asked
    };
    let media = [json!({ "id": "1234", "content_type": "image/png" })];
    let message = centre.message("1", "Look", &media);
    let messages = [message];
    let ((), asked) = tokio::join!(centre.deliver(&messages), puts);
    assert_eq!(centre.said(), ["Look".to_owned(), stored()]);
    let first = centre.providers.calls("aws-sns")[0].json();
    let number = centre.line.ours_id.unwrap();
    assert_eq!(first, json!({ "mediaId": "1234", "originationPhoneNumberId": number, "metadataOnly": true }));
    assert_eq!((&asked["mediaId"], &asked["originationPhoneNumberId"]), (&json!("1234"), &json!(number)));
}

#[tokio::test]
async fn media_alone_open_a_chat_without_words_and_keep_their_order() {
    let centre = Centre::start(line("twilio")).await;
    let picture = picture_of(&centre.providers, &centre.line);
    let mut named = picture.media.clone();
    named["name"] = json!("mug.jpg");
    let too_odd = json!({ "url": picture.media["url"], "content_type": "audio/ogg; codecs=opus" });
    centre.providers.always("twilio", Reply::new(200, PICTURE));
    let media = [picture.media.clone(), too_odd, named, picture.media];
    centre.deliver(&[centre.message("1", "", &media), centre.message("2", "Hello?", &[])]).await;
    let expected = [
        stored(),
        "[audio] of a type that the chat does not take (.ogg)".to_owned(),
        format!("mug.png image/png {PICTURE}"),
        format!("image-4.png image/png {PICTURE}"),
        "Hello?".to_owned(),
    ];
    assert_eq!(centre.said(), expected);
    let start = &centre.cloud.connect.calls_to(Operation::StartChatContact)[0];
    assert!(start.body.get("InitialMessage").is_none(), "{}", start.body);
    // What is known not to be taken is not fetched.
    assert_eq!(centre.gets().len(), 3);
    let put = centre.cloud.connect.calls_to(Operation::UploadAttachment);
    assert!(put.iter().all(|call| call.status == Some(200)), "{put:?}");
}

#[tokio::test]
async fn what_is_not_taken_or_not_fetched_is_told_of_in_its_place() {
    let long = "x".repeat(300);
    for (label, answers, expected, gets) in [
        ("too large", vec![Reply::new(200, &long)], "[image] larger than 200 bytes", 1),
        ("empty", vec![Reply::new(200, "")], "[image] empty", 1),
        ("gone", vec![Reply::status(404)], "[image] no longer available", 1),
        ("denied", vec![Reply::status(401)], "[image] its provider does not hand it out", 1),
        ("fails for ever", vec![Reply::status(503); 9], "[image] could not be fetched", 5),
        ("breaks off", vec![Reply::cut_short(200); 9], "[image] could not be fetched", 5),
        (
            "to metadata",
            vec![Reply::redirect(302, "https://169.254.169.254/latest/meta-data")],
            "[image] its link leads to no public address",
            1,
        ),
        (
            "to a private name",
            vec![Reply::redirect(307, "https://localhost/a")],
            "[image] its link leads to no public address",
            1,
        ),
        ("to http", vec![Reply::redirect(302, "http://127.0.0.1:1/a")], "[image] its link is not https", 1),
        ("in circles", vec![Reply::redirect(302, "/twilio/next"); 9], "[image] its link redirects too often", 6),
    ] {
        let mut centre = Centre::start(line("twilio")).await;
        centre.cloud = centre.cloud.with("ATTACHMENT_MAX_BYTES", "200");
        let picture = picture_of(&centre.providers, &centre.line);
        centre.providers.script("twilio", answers);
        let messages = [centre.message("1", "Look", &[picture.media]), centre.message("2", "Next", &[])];
        centre.deliver(&messages).await;
        assert_eq!(centre.said(), ["Look", expected, "Next"], "{label}");
        assert_eq!(centre.gets().len(), gets, "{label}");
        assert_eq!(centre.cloud.dead_letters().await, [], "{label}");
    }
}

#[tokio::test]
async fn credentials_go_with_the_first_request_only() {
    let centre = Centre::start(line("twilio")).await;
    let picture = picture_of(&centre.providers, &centre.line);
    centre.providers.script("twilio", [Reply::redirect(307, "/twilio/cdn/1?x=y"), Reply::new(200, PICTURE)]);
    centre.deliver(&[centre.message("1", "Look", &[picture.media])]).await;
    assert_eq!(centre.said(), ["Look".to_owned(), stored()]);
    let gets = centre.gets();
    assert_eq!(gets[0], picture.gets[0]);
    assert_eq!(gets[1], ("/cdn/1?x=y".to_owned(), None));
}

/// Each call that a file adds × what can go wrong with it × the process dying after it.
#[tokio::test]
async fn whatever_fails_a_file_is_in_the_chat_once() {
    const CALLS: [Operation; 3] =
        [Operation::StartAttachmentUpload, Operation::UploadAttachment, Operation::CompleteAttachmentUpload];
    let faults: [(&str, MakeFault); 7] = [
        ("429", Fault::throttling),
        ("403", || Fault::error(403, "AccessDeniedException")),
        ("409", || Fault::error(409, "ConflictException")),
        ("500", || Fault::error(500, "InternalServerException")),
        ("hang", Fault::hang),
        ("reset", Fault::reset),
        ("reset after", Fault::reset_after),
    ];
    let mut cells = Vec::new();
    for operation in CALLS {
        for (name, fault) in faults {
            for crash in [false, true] {
                // Only a completion is in conflict.
                if name != "409" || operation == Operation::CompleteAttachmentUpload {
                    cells.push((operation, name, fault, crash));
                }
            }
        }
    }
    let wrong = stream::iter(cells)
        .map(|(operation, name, fault, crash)| async move {
            let mut centre = Centre::start(line("twilio")).await;
            centre.cloud = centre.cloud.time(Duration::from_secs(4));
            let picture = picture_of(&centre.providers, &centre.line);
            centre.providers.always("twilio", Reply::new(200, PICTURE));
            let messages = [centre.message("1", "Look", &[picture.media]), centre.message("2", "Next", &[])];
            centre.cloud.connect.fail(operation, fault());
            centre.cloud.send(&messages).await;
            if crash {
                let function = centre.cloud.function().await;
                let dies = async {
                    while centre.cloud.connect.calls_to(operation).is_empty() {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                };
                let dies = std::cell::RefCell::new(Some(Box::pin(dies)));
                let polled = centre.cloud.poller.poll_once(async |event| {
                    let dies = dies.borrow_mut().take().unwrap();
                    tokio::select! {
                        answer = centre.cloud.invoke(&function, event) => answer,
                        () = dies => Err("died".to_owned()),
                    }
                });
                polled.await.unwrap();
            }
            centre.cloud.drain(&centre.cloud.function().await).await;
            let (said, letters) = (centre.said(), centre.cloud.dead_letters().await);
            let is_right = said == ["Look".to_owned(), stored(), "Next".to_owned()] && letters.is_empty();
            (!is_right).then(|| format!("{operation:?} {name} crash={crash}: {said:?} {letters:?}"))
        })
        .buffer_unordered(4)
        .filter_map(std::future::ready)
        .collect::<Vec<_>>()
        .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_connect_refuses_for_good_is_a_line() {
    for (operation, status, kind, expected) in [
        (
            Operation::StartAttachmentUpload,
            402,
            "ServiceQuotaExceededException",
            "[image] the chat takes no more files",
        ),
        (Operation::StartAttachmentUpload, 400, "ValidationException", "[image] the chat does not take this file"),
        (Operation::CompleteAttachmentUpload, 400, "ValidationException", "[image] the chat does not take this file"),
    ] {
        let centre = Centre::start(line("twilio")).await;
        let picture = picture_of(&centre.providers, &centre.line);
        centre.providers.always("twilio", Reply::new(200, PICTURE));
        centre.cloud.connect.fail(operation, Fault::error(status, kind));
        centre.deliver(&[centre.message("1", "Look", &[picture.media])]).await;
        assert_eq!(centre.said(), ["Look", expected], "{operation:?} {kind}");
    }
}

#[tokio::test]
async fn a_chat_that_ends_before_its_media_is_followed_by_one_that_begins_with_them() {
    let centre = Centre::start(line("twilio")).await;
    let picture = picture_of(&centre.providers, &centre.line);
    centre.providers.always("twilio", Reply::new(200, PICTURE));
    // Hands the first upload back, so that the chat can end between the words and the picture.
    centre.cloud.connect.fail(Operation::StartAttachmentUpload, Fault::throttling());
    centre.cloud.send(&[centre.message("1", "Look", &[picture.media])]).await;
    let function = centre.cloud.function().await;
    let connect = &centre.cloud.connect;
    centre.cloud.poll_until(&function, || !connect.calls_to(Operation::StartAttachmentUpload).is_empty()).await;
    let chat = connect.contacts()[0].initial_id.clone();
    connect.end(&chat).unwrap();
    centre.cloud.drain(&function).await;
    let contacts = connect.contacts();
    assert_eq!(contacts.len(), 2);
    assert_eq!(contacts[1].initial_message, None);
    assert_eq!(centre.said(), ["Look".to_owned(), stored()]);
    assert_eq!(contacts[1].attachments(Role::Customer).len(), 1);
}

#[tokio::test]
async fn without_the_feature_media_are_words() {
    for variables in [&[][..], &[("CONNECT_ROUTE", "integration-event"), ("FEATURE_ATTACHMENTS", "true")]] {
        let mut centre = Centre::start(line("twilio")).await;
        centre.cloud.environment.retain(|(name, _)| *name != "FEATURE_ATTACHMENTS");
        for (name, value) in variables {
            centre.cloud = centre.cloud.with(name, value);
        }
        let picture = picture_of(&centre.providers, &centre.line);
        centre.deliver(&[centre.message("1", "Look", &[picture.media])]).await;
        assert_eq!(centre.said(), ["Look\n[image]"], "{variables:?}");
        assert_eq!(centre.gets(), []);
    }
}
