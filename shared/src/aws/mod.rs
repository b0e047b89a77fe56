//! Calls to AWS: Connect and its Participant Service, Secrets Manager, SNS. The clients of SQS, DynamoDB and the send APIs
//! are owned by [`crate::queue`], [`crate::store`] and [`crate::sender`].

pub(crate) mod attachments;
pub mod connect;
pub(crate) mod failure;
pub mod participant;
pub mod session;
pub mod settings;
pub mod sns;
mod tls;

use std::time::Duration;

use aws_config::{
    BehaviorVersion, ConfigLoader, Region, SdkConfig, environment::EnvironmentVariableRegionProvider,
    meta::region::RegionProviderChain, profile::ProfileFileRegionProvider, retry::RetryConfig,
};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::error::{Error, Kind, Result};

/// Connections that were idle for longer are not used where a call can't be repeated: Lambda freezes the process between
/// invocations, and a connection that died meanwhile takes the request with it.
pub(crate) const FRESH: Duration = Duration::from_secs(5);

/// How often a request of a stranger may cause a call of one kind: a read of the settings, the fetch of a certificate, the
/// confirmation of a subscription.
pub const GATE: Duration = Duration::from_secs(30);

/// What calls that can't be repeated are made with, in place of the configuration's own client.
pub(crate) fn fresh_connections(config: &SdkConfig) -> SharedHttpClient {
    tls::fresh_client(config.region().map(Region::as_ref))
}

/// What every client has in common. The SDK's own retries are off: its classifier would repeat
/// `LimitExceededException`, which no repetition can cure, and it knows nothing of the invocation's deadline.
/// [`crate::retry`] does it instead.
pub fn loader() -> ConfigLoader {
    aws_config::defaults(BehaviorVersion::v2026_01_12()).retry_config(RetryConfig::disabled())
}

/// The configuration that every client is made of, read from the SDKs' own variables (`AWS_REGION`, credentials,
/// `AWS_ENDPOINT_URL_<SERVICE>`). It makes no network call: the region comes from the environment or a profile, and never
/// from an instance's metadata service.
pub async fn sdk_config() -> Result<SdkConfig> {
    let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::new())
        .region()
        .await
        .ok_or_else(|| Error::new(Kind::Internal, "AWS_REGION is not set"))?;
    let client = tls::client(Some(region.as_ref()));
    Ok(loader().region(region).http_client(client).load().await)
}
