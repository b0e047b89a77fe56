//! The `receive-reply` Lambda function.

use lambda_runtime::service_fn;
use receive_reply::ReceiveReply;
use shared::{aws, config, gateway, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    gateway::quiet_panics();
    let function = start().await.inspect_err(|error| tracing::error!(cause = error.message(), "cannot start"))?;
    lambda_runtime::run(service_fn(|event| function.handle(event))).await
}

async fn start() -> shared::Result<ReceiveReply> {
    Ok(ReceiveReply::new(config::ReceiveReply::from_env()?, &aws::sdk_config().await?))
}
