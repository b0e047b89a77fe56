//! The deployed `deliver-message`, as Lambda runs it: one line an item, and nothing of the customer in it.

use local::{Fault, Operation, StandIn};
use serde_json::{Value, json};
use tests::{aws::text_from, environment, runtime::Binary};

/// What must never be printed.
const SECRETS: [&str; 5] = ["+14155550123", "my card number is", "Zebulon", "AWSSECRETKEY", "+12025550100"];

fn event(body: &str, receipts: u32) -> Value {
    let sent_at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    json!({ "Records": [{
        "messageId": "item-1", "receiptHandle": "handle-1", "body": body, "eventSource": "aws:sqs", "awsRegion": "us-east-1",
        "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:inbound.fifo", "messageAttributes": {},
        "attributes": { "ApproximateReceiveCount": receipts.to_string(), "SentTimestamp": sent_at.to_string(),
                        "MessageGroupId": "group", "MessageDeduplicationId": "d", "SequenceNumber": "1" },
    }] })
}

#[tokio::test]
async fn one_line_an_item_and_nothing_of_the_customers() {
    let connect = StandIn::start().await.unwrap();
    let mut environment = environment();
    environment.extend([
        ("STREAMING_TOPIC_ARN", tests::TOPIC.to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "AWSKEYID".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "AWSSECRETKEY".to_owned()),
        ("AWS_ENDPOINT_URL_CONNECT", connect.url().to_owned()),
        ("AWS_ENDPOINT_URL_CONNECTPARTICIPANT", connect.url().to_owned()),
        // Nobody listens there: visibility can't be set, which is no reason to fail.
        ("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1".to_owned()),
        ("RUST_LOG", "trace".to_owned()),
    ]);
    let mut binary = Binary::start("deliver-message", &environment).await;
    let told = binary.output().await.join("\n");
    assert!(told.contains("CONVERSATIONS_TABLE is not set"), "{told}");

    let item = |id: &str| {
        let mut message = text_from("+14155550123", id, "my card number is 4");
        message.message.profile_name = Some("Zebulon".to_owned());
        message.to_item().unwrap()
    };
    let quoting = Fault::error(400, "ValidationException").message("'my card number is 4' of Zebulon is not valid");
    for (label, body, fault, failed, code, outcome, counted) in [
        ("new", item("1"), None, 0, "OK", "done", "ConversationStarted"),
        ("next", item("2"), None, 0, "OK", "done", "MessageDelivered"),
        ("again", item("2"), None, 0, "OK", "done", "DuplicateMessage"),
        ("refused in the customer's words", item("3"), Some(quoting), 1, "CONNECT_REJECTED", "later", "DeliveryFailed"),
        ("quota", item("4"), Some(Fault::limit_exceeded()), 1, "CHAT_QUOTA_EXCEEDED", "later", "DeliveryFailed"),
        ("no item", "my card number is 5".to_owned(), None, 1, "VALIDATION_ERROR", "later", "DeliveryFailed"),
    ] {
        if let Some(fault) = fault {
            connect.fail(Operation::SendMessage, fault);
        }
        let answer = binary.invoke(&event(&body, 1)).await.unwrap();
        assert_eq!(answer["batchItemFailures"].as_array().unwrap().len(), failed, "{label}: {answer}");
        let output = binary.output().await;
        for line in &output {
            for secret in SECRETS {
                assert!(!line.contains(secret), "{label}: {secret} in {line}");
            }
            for contact in connect.contacts() {
                assert!(!line.contains(&contact.participant_id), "{label}: {line}");
            }
        }
        let lines: Vec<Value> = output.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let logs: Vec<_> = lines.iter().filter(|line| line["outcome"].is_string()).collect();
        let metrics: Vec<_> = lines.iter().filter(|line| line["_aws"].is_object()).collect();
        assert_eq!((logs.len(), metrics.len()), (1, 1), "{label}: {output:?}");
        assert_eq!((logs[0]["code"].as_str(), logs[0]["outcome"].as_str()), (Some(code), Some(outcome)), "{label}");
        assert_eq!(logs[0]["receipts"], 1, "{label}");
        assert_eq!(metrics[0][counted], 1, "{label}: {}", metrics[0]);
        assert!(metrics[0]["QueueTime"].is_u64(), "{label}");
    }
    assert_eq!(connect.contacts().len(), 1);
}

#[tokio::test]
async fn an_incomplete_environment_is_said_by_name() {
    for missing in ["CONNECT_INSTANCE_ID", "CONNECT_CONTACT_FLOW_ID", "STREAMING_TOPIC_ARN", "AWS_REGION"] {
        let mut environment = environment();
        environment.extend([("AWS_REGION", "us-east-1".to_owned()), ("STREAMING_TOPIC_ARN", tests::TOPIC.to_owned())]);
        environment.retain(|(name, _)| *name != missing);
        let mut binary = Binary::start("deliver-message", &environment).await;
        let output = binary.last_words().await.join("\n");
        assert!(output.contains(&format!("{missing} is not set")), "{missing}: {output}");
    }
}

/// What stands in `events/deliver-message` is for `cargo lambda invoke`; it works as it says.
#[tokio::test]
async fn the_events_in_the_repository_work() {
    let cloud = tests::aws::Cloud::start().await;
    let function = cloud.function().await;
    let read = |name: &str| -> Value {
        let path = format!("{}/../events/deliver-message/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let event = std::fs::read_to_string(path).unwrap();
        let queue = cloud.queue_url.rsplit('/').next().unwrap();
        serde_json::from_str(&event.replace("inbound.fifo", queue)).unwrap()
    };
    for (name, failures) in
        [("one-message", 0), ("batch-of-two-customers", 0), ("parts", 0), ("opt-out", 0), ("malformed", 0)]
    {
        let answer = cloud.invoke(&function, read(name)).await.unwrap();
        assert_eq!(answer["batchItemFailures"].as_array().unwrap().len(), failures, "{name}: {answer}");
    }
    assert_eq!(
        cloud.said_by("+14155550101"),
        [
            "Hello, is anybody there?",
            "My order is late",
            "It was due on Monday",
            "A long message in two parts",
            "[opted out] STOP"
        ]
    );
    assert_eq!(cloud.said_by("+14155550102"), ["What are your hours?"]);
    assert_eq!(cloud.dead_letters().await.len(), 1);
}
