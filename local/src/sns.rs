//! As much of Amazon SNS as `receive-message` meets: the certificates that the webhooks in `events/` and those of the phone
//! are signed with, and `ConfirmSubscription`. `make doctor` asks for `GetTopicAttributes`.

use std::sync::Arc;

use axum::{
    Form, Router,
    extract::State as Shared,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;

use crate::{phone::aws_sns, service::Service};

/// The certificate of the events' signatures: its private key was never kept.
const CERTIFICATE: &str = include_str!("sns_certificate.pem");
const CERTIFICATE_PATH: &str = "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem";

const NAMESPACE: &str = "xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"";

/// A call of SNS, which speaks the AWS query protocol.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Call {
    action: String,
    #[serde(default)]
    topic_arn: String,
    #[serde(default)]
    token: String,
}

pub(crate) fn router() -> Router<Arc<Service>> {
    Router::new()
        .route(CERTIFICATE_PATH, get(([(CONTENT_TYPE, "application/x-pem-file")], CERTIFICATE)))
        .route(aws_sns::CERTIFICATE_PATH, get(([(CONTENT_TYPE, "application/x-pem-file")], aws_sns::CERTIFICATE)))
        .route("/", post(call))
}

async fn call(Shared(service): Shared<Arc<Service>>, Form(call): Form<Call>) -> Response {
    match call.action.as_str() {
        "ConfirmSubscription" => confirm_subscription(&call),
        "GetTopicAttributes" => get_topic_attributes(&service, &call.topic_arn),
        _ => error("InvalidAction", "This stand-in knows ConfirmSubscription and GetTopicAttributes"),
    }
}

/// "ConfirmSubscription", Amazon SNS API reference.
fn confirm_subscription(call: &Call) -> Response {
    if call.token.is_empty() || !call.topic_arn.starts_with("arn:") {
        return error("InvalidParameter", "TopicArn and Token are required");
    }
    let arn = format!("{}:2bcfbf39-05c3-41de-beaa-fcfcc21c8f55", call.topic_arn);
    xml(
        StatusCode::OK,
        &format!(
            "<ConfirmSubscriptionResponse {NAMESPACE}><ConfirmSubscriptionResult><SubscriptionArn>{arn}</SubscriptionArn>\
         </ConfirmSubscriptionResult></ConfirmSubscriptionResponse>"
        ),
    )
}

/// "GetTopicAttributes", Amazon SNS API reference.
fn get_topic_attributes(service: &Service, arn: &str) -> Response {
    if !service.state().config().instance.has_topic(arn) {
        return refused(StatusCode::NOT_FOUND, "NotFound", "Topic does not exist");
    }
    let arn = arn.replace('&', "&amp;").replace('<', "&lt;");
    xml(
        StatusCode::OK,
        &format!(
            "<GetTopicAttributesResponse {NAMESPACE}><GetTopicAttributesResult><Attributes><entry><key>TopicArn</key>\
         <value>{arn}</value></entry></Attributes></GetTopicAttributesResult></GetTopicAttributesResponse>"
        ),
    )
}

fn error(code: &str, message: &str) -> Response {
    refused(StatusCode::BAD_REQUEST, code, message)
}

fn refused(status: StatusCode, code: &str, message: &str) -> Response {
    xml(
        status,
        &format!(
            "<ErrorResponse {NAMESPACE}><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
         </ErrorResponse>"
        ),
    )
}

fn xml(status: StatusCode, body: &str) -> Response {
    (status, [(CONTENT_TYPE, "text/xml")], body.to_owned()).into_response()
}
