//! As much of Amazon SNS as `receive-message` meets: the certificates that the webhooks in `events/` and those of the phone
//! are signed with, and `ConfirmSubscription`.

use std::sync::Arc;

use axum::{
    Form, Router,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Deserialize;

use crate::{phone::aws_sns, service::Service};

/// The certificate of the events' signatures: its private key was never kept.
const CERTIFICATE: &str = include_str!("sns_certificate.pem");
const CERTIFICATE_PATH: &str = "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem";

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

/// "ConfirmSubscription", Amazon SNS API reference.
async fn call(Form(call): Form<Call>) -> Response {
    if call.action != "ConfirmSubscription" {
        return error("InvalidAction", "This stand-in knows ConfirmSubscription only");
    }
    if call.token.is_empty() || !call.topic_arn.starts_with("arn:") {
        return error("InvalidParameter", "TopicArn and Token are required");
    }
    let arn = format!("{}:2bcfbf39-05c3-41de-beaa-fcfcc21c8f55", call.topic_arn);
    let body = format!(
        "<ConfirmSubscriptionResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><ConfirmSubscriptionResult>\
         <SubscriptionArn>{arn}</SubscriptionArn></ConfirmSubscriptionResult></ConfirmSubscriptionResponse>"
    );
    ([(CONTENT_TYPE, "text/xml")], body).into_response()
}

fn error(code: &str, message: &str) -> Response {
    let body = format!(
        "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error></ErrorResponse>"
    );
    (StatusCode::BAD_REQUEST, [(CONTENT_TYPE, "text/xml")], body).into_response()
}
