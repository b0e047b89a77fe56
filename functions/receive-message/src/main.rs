//! The `receive-message` Lambda function.

use lambda_runtime::service_fn;
use receive_message::ReceiveMessage;
use shared::{aws, config, gateway, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    gateway::quiet_panics();
    let function = start().await.inspect_err(|error| tracing::error!(cause = error.message(), "cannot start"))?;
    function.warn();
    lambda_runtime::run(service_fn(|event| function.serve(event))).await
}

async fn start() -> shared::Result<ReceiveMessage> {
    Ok(ReceiveMessage::new(config::ReceiveMessage::from_env()?, &aws::sdk_config().await?))
}
