//! The `start-chat` Lambda function.

use shared::{aws, config, gateway, telemetry};
use start_chat::StartChat;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::init();
    gateway::quiet_panics();
    let function = start().await.inspect_err(|error| tracing::error!(cause = error.message(), "cannot start"))?;
    gateway::run(&function).await
}

async fn start() -> shared::Result<StartChat> {
    Ok(StartChat::new(config::StartChat::from_env()?, &aws::sdk_config().await?))
}
