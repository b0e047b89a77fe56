//! The `deliver-message` Lambda function.

use deliver_message::DeliverMessage;
use lambda_runtime::service_fn;
use shared::{aws, config, gateway, queue::event, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    gateway::quiet_panics();
    let function = start().await.inspect_err(|error| tracing::error!(cause = error.message(), "cannot start"))?;
    lambda_runtime::run(service_fn(|event| event::serve(event, async |event| function.handle(event).await))).await
}

async fn start() -> shared::Result<DeliverMessage> {
    Ok(DeliverMessage::new(config::DeliverMessage::from_env()?, &aws::sdk_config().await?))
}
