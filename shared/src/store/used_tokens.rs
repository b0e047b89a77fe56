//! Signed tokens that have started a chat, in the DynamoDB table of `CONVERSATIONS_TABLE`: each starts one.
//!
//! One conditional write per signed request, and no read: DynamoDB hands the earlier item over with its refusal. A token
//! that comes back with the same request is a retry, and gets the `ClientToken` of the first time, so that Connect
//! answers with the same chat; so a chat that could not be started can still be. An item is of no use once its token has
//! expired, and DynamoDB deletes it then.
//!
//! When the table can't be written to, no chat is started: a token could be used again otherwise, which is what the
//! table is there to prevent.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_dynamodb::{
    Client,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    operation::put_item::PutItemError,
    types::{AttributeValue, ReturnValuesOnConditionCheckFailure},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::{
    deadline::Deadline,
    error::{Error, Kind, Result},
    retry,
};

/// The write may take this long in all, and half of the time that is left: Connect needs the rest.
const BUDGET: Duration = Duration::from_secs(4);

/// The tokens seen so far.
pub struct UsedTokens {
    client: Client,
    table: String,
}

/// A token's use. Not `Debug`, as what it is made of.
pub struct Use<'a> {
    /// The token's digest.
    pub token: &'a str,
    /// The request's digest.
    pub request: &'a str,
    /// The `ClientToken` that the request starts its chat with.
    pub client_token: &'a str,
    /// Unix time, in seconds, from which on the token is refused anyway.
    pub expires_at: i64,
}

/// What was known of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing: it has been written down now.
    New,
    /// The same request came with it before, with this `ClientToken`.
    SameRequest(String),
    /// Another request came with it before.
    OtherRequest,
}

impl UsedTokens {
    /// A client; no call is made.
    pub fn new(config: &SdkConfig, table: impl Into<String>) -> Self {
        Self { client: Client::new(config), table: table.into() }
    }

    /// Writes a token's use down, unless it has been.
    pub async fn record(&self, this: &Use<'_>, deadline: Deadline) -> Result<Known> {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("pk", text(&format!("widget-token#{}", this.token)))
            .item("request", text(this.request))
            .item("client_token", text(this.client_token))
            .item("expires_at", AttributeValue::N(this.expires_at.to_string()))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let budget = Deadline::after((deadline.remaining() / 2).min(BUDGET));
        retry::until(budget, async || match Box::pin(put.clone().send()).await {
            Ok(_) => Ok(Known::New),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                    let item = refused.item();
                    let kept = |name: &str| Some(item?.get(name)?.as_s().ok()?.as_str());
                    Ok(match (kept("request"), kept("client_token")) {
                        (Some(request), Some(client_token)) if request == this.request => {
                            Known::SameRequest(client_token.to_owned())
                        }
                        _ => Known::OtherRequest,
                    })
                }
                _ => Err(classify(&error)),
            },
        })
        .await
        .map_err(|error| match (error.kind(), std::error::Error::source(&error)) {
            (Kind::Throttled | Kind::ConnectUnavailable, Some(cause)) => not_recorded(cause.to_string()),
            // What hangs is `retry`'s to say, in words about Connect.
            (Kind::ConnectUnavailable | Kind::Timeout, _) => not_recorded("PutItem: no answer in time".to_owned()),
            _ => error,
        })
    }
}

fn not_recorded(cause: String) -> Error {
    Error::new(Kind::NotStored, "The request could not be recorded; try again")
        .retry_after(Duration::from_secs(1))
        .caused_by(cause)
}

/// Whether to try again. DynamoDB's text names the table and the role, not what is in the item.
fn classify(error: &SdkError<PutItemError, HttpResponse>) -> Error {
    let passing = |kind, cause: String| Error::new(kind, "DynamoDB is not available").caused_by(cause);
    let Some(service) = error.as_service_error() else {
        return passing(Kind::ConnectUnavailable, format!("PutItem: {}", DisplayErrorContext(error)));
    };
    let code = service.code().unwrap_or("unknown error");
    let cause = format!("PutItem: {code}: {}", service.message().unwrap_or_default());
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    match code {
        // "Error handling with DynamoDB", the codes whose column "OK to retry?" says yes.
        "LimitExceededException"
        | "ProvisionedThroughputExceededException"
        | "ReplicatedWriteConflictException"
        | "RequestLimitExceeded"
        | "ThrottlingException" => passing(Kind::Throttled, cause),
        _ if status >= 500 => passing(Kind::ConnectUnavailable, cause),
        _ => Error::internal(cause),
    }
}
