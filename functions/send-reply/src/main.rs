//! The `send-reply` Lambda function.

use lambda_runtime::service_fn;
use send_reply::SendReply;
use shared::{aws, config, gateway, queue::event, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    gateway::quiet_panics();
    let function = start().await.inspect_err(|error| tracing::error!(cause = error.message(), "cannot start"))?;
    lambda_runtime::run(service_fn(|event| event::serve(event, async |event| function.handle(event).await))).await
}

async fn start() -> shared::Result<SendReply> {
    let config = config::SendReply::from_env()?;
    if config.public_base_url.is_none() {
        tracing::warn!("PUBLIC_BASE_URL is not set: no provider is asked what becomes of the texts that it takes");
    }
    Ok(SendReply::new(config, &aws::sdk_config().await?))
}
