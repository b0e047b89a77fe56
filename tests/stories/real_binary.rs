//! The deployed binary, as Lambda runs it: what it answers, what it calls, and above all what it prints.

use local::{Fault, Operation, StandIn};
use serde_json::{Value, json};
use tests::{Answer, Http, TOPIC, environment, runtime::Binary};

/// What must never be printed, each recognisable wherever it turns up.
const SECRETS: [&str; 8] = [
    "Zebulon",
    "+14155550123",
    "my card number is",
    "idempotency-key-0123456789",
    "/cart?session=",
    "customer-77",
    "eyJhbGciOiJIUzI1NiJ9",
    "AWSSECRETKEY",
];

fn told() -> Value {
    json!({
        "ParticipantDetails": { "DisplayName": "Zebulon" },
        "Attributes": { "phone": "+14155550123", "page": "/cart?session=1" },
        "InitialMessage": { "ContentType": "text/plain", "Content": "my card number is 4" },
        "ClientToken": "idempotency-key-0123456789", "CustomerId": "customer-77",
    })
}

#[tokio::test]
async fn two_lines_a_request_and_nothing_of_the_customers() {
    let connect = StandIn::start().await.unwrap();
    let mut environment = environment();
    environment.extend([
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "AWSKEYID".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "AWSSECRETKEY".to_owned()),
        ("AWS_ENDPOINT_URL_CONNECT", connect.url().to_owned()),
        ("UNSIGNED_IDENTITY", "true".to_owned()),
        // The most talkative setting there is.
        ("RUST_LOG", "trace".to_owned()),
    ]);
    let mut binary = Binary::start("start-chat", &environment).await;
    let good = Http::chat(&told()).header("x-amz-security-token", "eyJhbGciOiJIUzI1NiJ9.e30.sig").http_api();
    let mut bad = told();
    bad["Attributes"]["phone"] = json!(["+14155550123"]);
    let bad = Http::chat(&bad).http_api();
    let quoting = Fault::error(400, "InvalidRequestException").message("Value '+14155550123' of Zebulon is not valid");

    for (label, event, fault, status, code, calls) in [
        ("started", &good, None, 200, "OK", 1),
        ("refused here", &bad, None, 400, "VALIDATION_ERROR", 0),
        ("refused by Connect, in the customer's words", &good, Some(quoting), 400, "CONNECT_REJECTED", 1),
        ("quota", &good, Some(Fault::limit_exceeded()), 429, "CHAT_QUOTA_EXCEEDED", 1),
        ("reset", &good, Some(Fault::reset()), 200, "OK", 2),
    ] {
        if let Some(fault) = fault {
            connect.fail(Operation::StartChatContact, fault);
        }
        connect.forget_calls();
        let answer = Answer::of(&binary.invoke(event).await.unwrap());
        assert_eq!(answer.status, status, "{label}: {answer:?}");
        assert_eq!(connect.calls().len(), calls, "{label}");

        let output = binary.output().await;
        for line in &output {
            for secret in SECRETS
                .into_iter()
                .chain(answer.body.pointer("/data/startChatResult/ParticipantToken").and_then(Value::as_str))
            {
                assert!(!line.contains(secret), "{label}: {secret} in {line}");
            }
        }
        let lines: Vec<Value> = output
            .iter()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{label}: not JSON: {line}")))
            .filter(|line: &Value| line["service"] == "start-chat")
            .collect();
        let (metrics, logs): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line["_aws"].is_object());
        assert_eq!((logs.len(), metrics.len()), (1, 1), "{label}: {output:?}");
        assert_eq!(
            (logs[0]["code"].as_str(), logs[0]["status"].as_u64()),
            (Some(code), Some(status.into())),
            "{label}"
        );
        assert!(logs[0]["request_id"].as_str().unwrap().starts_with("invocation-"), "{label}");
        assert!(logs[0]["duration_ms"].is_u64(), "{label}");
        assert_eq!(logs[0]["connect_calls"].as_u64(), Some(calls as u64), "{label}");
        let contact = answer.body["data"]["startChatResult"]["ContactId"].as_str().unwrap_or_default();
        assert_eq!(logs[0]["contact_id"].as_str(), Some(contact), "{label}");
        let counted = if status == 200 { "ChatStarted" } else { "ChatRejected" };
        assert_eq!(metrics[0][counted], 1, "{label}: {}", metrics[0]);
        assert_eq!(metrics[0]["FunctionName"], "bridge-start-chat", "{label}");
        assert_eq!(metrics[0]["ConnectLatency"].is_u64(), calls > 0, "{label}");
    }
}

#[tokio::test]
async fn an_incomplete_environment_is_said_by_name() {
    for missing in ["CONNECT_INSTANCE_ID", "CONNECT_CONTACT_FLOW_ID", "ALLOWED_ORIGINS", "AWS_REGION"] {
        let mut environment = environment();
        environment.push(("AWS_REGION", "us-east-1".to_owned()));
        environment.retain(|(name, _)| *name != missing);
        let mut binary = Binary::start("start-chat", &environment).await;
        let output = binary.last_words().await.join("\n");
        assert!(output.contains(&format!("{missing} is not set")), "{missing}: {output}");
    }
}

#[tokio::test]
async fn a_webhooks_sender_and_words_are_never_printed() {
    let connect = StandIn::start().await.unwrap();
    let path = format!("{}/../events/receive-message/twilio-whatsapp.json", env!("CARGO_MANIFEST_DIR"));
    let event: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let token = "12345678901234567890123456789012";
    let account = json!({ "name": "twilio", "provider": "twilio", "auth_tokens": [token] });
    let mut environment = environment();
    environment.extend([
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "AWSKEYID".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "AWSSECRETKEY".to_owned()),
        ("AWS_ENDPOINT_URL", connect.url().to_owned()),
        ("STREAMING_TOPIC_ARN", TOPIC.to_owned()),
        ("PUBLIC_BASE_URL", "http://localhost:9000".to_owned()),
        ("BRIDGE_SETTINGS", json!({ "accounts": [account] }).to_string()),
        ("RUST_LOG", "trace".to_owned()),
    ]);
    let mut binary = Binary::start("receive-message", &environment).await;
    let mut forged = event.clone();
    forged["headers"]["x-twilio-signature"] = json!("Zm9yZ2VkIHNpZ25hdHVyZSBvZiAyMA==");
    // The customer's number and profile name, our number, the text, the secrets, and the signature that was sent.
    let signature = event["headers"]["x-twilio-signature"].as_str().unwrap();
    let secrets =
        ["4133881111", "2028831111", "Zoë", "Zo%C3%AB", "Hello agent", "Hello+agent", token, signature, "AWSSECRETKEY"];
    for (label, event, fault, status, code) in [
        (
            "not delivered",
            &event,
            Some(Fault::error(400, "InvalidRequestException").message("+14133881111 said Hello agent")),
            503,
            "NOT_STORED",
        ),
        ("delivered", &event, None, 200, "OK"),
        ("forged", &forged, None, 403, "UNVERIFIED"),
    ] {
        if let Some(fault) = fault {
            connect.fail(Operation::StartChatContact, fault);
        }
        let answer = Answer::of(&binary.invoke(event).await.unwrap());
        assert_eq!(answer.status, status, "{label}: {answer:?}");
        let output = binary.output().await;
        for line in &output {
            for secret in secrets {
                assert!(!line.contains(secret), "{label}: {secret} in {line}");
            }
            let _: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{label}: not JSON: {line}"));
        }
        assert!(output.iter().any(|line| line.contains(&format!("\"code\":\"{code}\""))), "{label}: {output:?}");
        assert!(answer.body.to_string().len() < 300 && !answer.body.to_string().contains("4133881111"), "{label}");
    }
}
