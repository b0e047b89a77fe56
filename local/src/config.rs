//! What can be set about a stand-in.

use std::{fmt, net::SocketAddr, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use crate::instance::Instance;

/// How a stand-in is to be. The default is as Connect's own defaults are, without quotas, on a free port.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen. Port 0: a free one. The websocket URLs say 127.0.0.1 whatever stands here, since
    /// amazon-connect-chatjs takes no other host without TLS.
    pub address: SocketAddr,
    /// What exists at Connect.
    pub instance: Instance,
    /// The AWS account that streamed items name.
    pub account_id: String,
    /// Quotas.
    pub limits: Limits,
    /// A chat whose customer has not connected by then is over (5 minutes, StartChatContact API reference).
    pub connect_within: Duration,
    /// A connected chat in which nothing is said for this long is over. Off by default, as it is in Connect.
    pub idle_after: Option<Duration>,
    /// How long a connection token lives (1 day, CreateParticipantConnection API reference). Keep it under 24.8 days:
    /// amazon-connect-chatjs puts it into a JavaScript timer.
    pub connection_token_lifetime: Duration,
    /// How long a websocket URL can be opened (100 s, CreateParticipantConnection API reference).
    pub websocket_url_lifetime: Duration,
    /// The bridge that the page's widget and phone talk to; `None`: there is no phone.
    pub bridge: Option<Bridge>,
}

/// The bridge, as a visitor's browser and the providers know it.
#[derive(Clone)]
pub struct Bridge {
    /// The functions' own URL.
    pub functions: String,
    /// Their public URL before `/sms/…` (`PUBLIC_BASE_URL`): what providers sign.
    pub public_base_url: String,
    /// The settings document: the accounts that texts come from, and the secrets that the phone signs with.
    pub settings: Value,
}

/// Without the settings, which are secrets.
impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge").field("functions", &self.functions).finish_non_exhaustive()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            instance: Instance::default(),
            account_id: "123456789012".to_owned(),
            limits: Limits::default(),
            connect_within: Duration::from_secs(5 * 60),
            idle_after: None,
            connection_token_lifetime: Duration::from_secs(24 * 60 * 60),
            websocket_url_lifetime: Duration::from_secs(100),
            bridge: None,
        }
    }
}

/// Quotas of an account. `None`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Chats that may be open at once; one more answers LimitExceededException.
    pub concurrent_chats: Option<usize>,
    /// StartChatContact, StartContactStreaming and StopContactStreaming together (administrator guide, "API throttling
    /// quotas": 5 a second, burst 8); above it they answer TooManyRequestsException.
    pub start_rate: Option<Rate>,
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// What it is filled with.
    pub per_second: f64,
    /// What it holds.
    pub burst: u32,
}
