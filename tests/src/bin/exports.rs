//! Prints as JSON what the template and `openapi.yaml` are checked against: the variables that each function reads,
//! observed while it reads them, the metrics, the errors, and the providers.

use std::{cell::RefCell, collections::BTreeSet};

use serde_json::{Value, json};
use shared::{
    config::{DeliverMessage, Env, ReceiveMessage, ReceiveReply, SendReply, StartChat},
    error::{Kind, Result},
    sms::providers::ProviderId,
    telemetry::METRICS,
    widget::connect_shape::exception,
};

/// A value for each variable that can't be read without one, as the template would set it.
const GIVEN: &[(&str, &str)] = &[
    ("ALLOWED_ORIGINS", "https://shop.example"),
    ("BRIDGE_SETTINGS_ARN", "arn:aws:secretsmanager:us-east-1:123456789012:secret:bridge-AbCdEf"),
    ("CONNECT_CONTACT_FLOW_ID", "33333333-3333-4333-8333-333333333333"),
    ("CONNECT_INSTANCE_ID", "44444444-4444-4444-8444-444444444444"),
    ("INBOUND_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/123456789012/inbound.fifo"),
    ("OUTBOUND_QUEUE_URL", "https://sqs.us-east-1.amazonaws.com/123456789012/outbound.fifo"),
    ("STREAMING_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:chat"),
];

/// The variables that `read` asks for.
fn variables<T>(read: impl Fn(&Env<'_>) -> Result<T>) -> Result<BTreeSet<String>> {
    let asked = RefCell::new(BTreeSet::new());
    let lookup = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        GIVEN.iter().find(|(given, _)| *given == name).map(|(_, value)| (*value).to_owned())
    };
    read(&Env::new(&lookup))?;
    Ok(asked.into_inner())
}

/// Every kind of error, with what an answer says of it.
fn errors() -> Value {
    let describe = |kind: &Kind| {
        let said = json!({ "code": kind.code(), "status": kind.status().as_u16(), "exception": exception(*kind) });
        (format!("{kind:?}"), said)
    };
    Kind::ALL.iter().map(describe).collect()
}

fn main() -> Result<()> {
    let exports = json!({
        "variables": {
            "start-chat": variables(StartChat::read)?,
            "receive-message": variables(ReceiveMessage::read)?,
            "deliver-message": variables(DeliverMessage::read)?,
            "receive-reply": variables(ReceiveReply::read)?,
            "send-reply": variables(SendReply::read)?,
        },
        "metrics": METRICS,
        "errors": errors(),
        "providers": ProviderId::ALL.iter().map(|provider| provider.as_str()).collect::<Vec<_>>(),
    });
    println!("{exports}");
    Ok(())
}
