//! Opens customers' media by HTTP: the one place that fetches what a webhook names.
//!
//! A webhook was signed by its provider, but its links may be the customer's doing, so none leads into our own network:
//!
//! * https on port 443 only, and public addresses only: all addresses of the name, looked at when the connection is made, so
//!   that a second answer of the name server can't lead elsewhere. The same at each redirect, of which five are followed.
//! * The account's credentials go with the first request only, and only to the provider's own hosts.
//! * `send_base_url` stands for those hosts: it may be http and private, as its owner wishes.
//! * A name or password in a URL is not sent.

use std::{
    error::Error as StdError,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::OnceLock,
    time::Duration,
};

use http::{
    HeaderValue, StatusCode,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER, USER_AGENT},
};
use reqwest::{
    Client, ClientBuilder, Response, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};
use serde_json::Value;

use crate::{
    aws::FRESH,
    json,
    media::{
        address::is_public,
        body::{Broken, Exactly, NotSpooled, of_file, spool},
    },
    sms::media::MediaRequest,
    url::BaseUrl,
};

/// How long a server may be silent.
const STALL: Duration = Duration::from_secs(8);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

const REDIRECTS: usize = 5;

/// More than an answer has that says where a file is.
const LOOKUP_BYTES: usize = 64 * 1024;

/// Meta's servers turn away who names no program.
const PROGRAM: &str = concat!("connect-chat-bridge/", env!("CARGO_PKG_VERSION"));

/// A file that is open.
pub(crate) struct Fetched {
    /// Its length.
    pub(crate) length: u64,
    /// What its server says that it is.
    pub(crate) content_type: Option<String>,
    /// Its bytes.
    pub(crate) body: Exactly,
    /// Whether they broke off.
    pub(crate) broken: Broken,
}

/// Why a medium was not fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotFetched {
    /// For good, in words for the agent.
    Refused(&'static str),
    /// It is longer than it may be.
    TooLarge,
    /// Another try may succeed, not before this long if the server said so.
    Failed(Option<Duration>),
}

const NOT_HTTPS: NotFetched = NotFetched::Refused("its link is not https");
const NOT_PUBLIC: NotFetched = NotFetched::Refused("its link leads to no public address");
const TOO_FAR: NotFetched = NotFetched::Refused("its link redirects too often");
const NOT_FOLLOWED: NotFetched = NotFetched::Refused("its link redirects elsewhere");
const GONE: NotFetched = NotFetched::Refused("no longer available");
const NOT_OPENED: NotFetched = NotFetched::Refused("its provider does not hand it out");

/// The clients, made when first used.
#[derive(Default)]
pub(crate) struct Fetcher {
    /// For public addresses.
    public: OnceLock<Client>,
    /// For what `send_base_url` stands for.
    own: OnceLock<Client>,
}

/// Where a request goes.
struct Target {
    url: Url,
    /// It is a host of the provider's own.
    is_own: bool,
    /// `send_base_url` stands for it.
    is_base: bool,
}

impl Fetcher {
    /// Opens a file of `most` bytes at most. `base` is the account's `send_base_url`.
    pub(crate) async fn open(
        &self,
        request: &MediaRequest,
        base: Option<&BaseUrl>,
        most: u64,
    ) -> Result<Fetched, NotFetched> {
        let answer = self.get(request, base).await?;
        let content_type = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).map(str::to_owned);
        // The header and not the body's own hint, which is 0 where nothing is known.
        let length = answer.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.trim().parse().ok());
        let broken = Broken::default();
        match length {
            Some(length) if length > most => Err(NotFetched::TooLarge),
            Some(length) => {
                let body = Exactly::new(reqwest::Body::from(answer), length, broken.clone());
                Ok(Fetched { length, content_type, body, broken })
            }
            None => match spool(answer, most).await {
                Ok((file, length)) => {
                    let body = Exactly::new(of_file(file), length, broken.clone());
                    Ok(Fetched { length, content_type, body, broken })
                }
                Err(NotSpooled::TooLong) => Err(NotFetched::TooLarge),
                Err(NotSpooled::Source(error)) => {
                    tracing::warn!(cause = root(&error), "a medium broke off");
                    Err(NotFetched::Failed(None))
                }
                Err(NotSpooled::Disk(error)) => {
                    tracing::warn!(%error, "a medium of unknown length could not be put on disk");
                    Err(NotFetched::Failed(None))
                }
            },
        }
    }

    /// Asks where a file is: `url` of a JSON answer.
    pub(crate) async fn look_up(
        &self,
        request: MediaRequest,
        base: Option<&BaseUrl>,
    ) -> Result<MediaRequest, NotFetched> {
        let mut answer = self.get(&request, base).await?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|_| NotFetched::Failed(None))? {
            if body.len() + chunk.len() > LOOKUP_BYTES {
                return Err(NOT_OPENED);
            }
            body.extend_from_slice(&chunk);
        }
        let body: Value = json::parse(&body).map_err(|_| NotFetched::Failed(None))?;
        let url = body.get("url").and_then(Value::as_str).ok_or(NOT_OPENED)?.to_owned();
        Ok(request.then(url))
    }

    /// A GET, along its redirects.
    async fn get(&self, request: &MediaRequest, base: Option<&BaseUrl>) -> Result<Response, NotFetched> {
        let mut url = Url::parse(&request.url).map_err(|_| NOT_HTTPS)?;
        for step in 0..=REDIRECTS {
            let target = target(url, request, base)?;
            let authorization = request.authorization.as_ref().filter(|_| step == 0 && target.is_own);
            let answer = self.send(&target, authorization).await?;
            let status = answer.status();
            if status.is_success() {
                return Ok(answer);
            }
            if !matches!(status.as_u16(), 301..=303 | 307 | 308) {
                return Err(failure(&answer));
            }
            if !request.follows_redirects {
                return Err(NOT_FOLLOWED);
            }
            let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            url = location.and_then(|location| target.url.join(location).ok()).ok_or(NOT_FOLLOWED)?;
        }
        Err(TOO_FAR)
    }

    async fn send(&self, target: &Target, authorization: Option<&HeaderValue>) -> Result<Response, NotFetched> {
        let client =
            if target.is_base { client(&self.own, ClientBuilder::new)? } else { client(&self.public, public)? };
        let mut request = client.get(target.url.clone()).header(USER_AGENT, PROGRAM);
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request.send().await.map_err(|error| {
            if is_not_public(&error) {
                return NOT_PUBLIC;
            }
            tracing::warn!(cause = root(&error), "a medium's server did not answer");
            NotFetched::Failed(None)
        })
    }
}

/// Where this URL is to be fetched from, if it may be.
fn target(mut url: Url, request: &MediaRequest, base: Option<&BaseUrl>) -> Result<Target, NotFetched> {
    // Neither fails where there is a host.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let host = url.host_str().ok_or(NOT_HTTPS)?;
    let is_named = request.hosts.iter().any(|own| own.eq_ignore_ascii_case(host));
    if let Some(base) = base {
        let stands = Url::parse(&base.as_written()).map_err(|_| NOT_HTTPS)?;
        if stands.origin() == url.origin() {
            return Ok(Target { url, is_own: true, is_base: true });
        }
        if is_named {
            let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
            let url = Url::parse(&format!("{}{}{query}", base.as_written(), url.path())).map_err(|_| NOT_HTTPS)?;
            return Ok(Target { url, is_own: true, is_base: true });
        }
    }
    if url.scheme() != "https" || url.port_or_known_default() != Some(443) {
        return Err(NOT_HTTPS);
    }
    // No name server is asked for these.
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    if literal.is_ok_and(|address| !is_public(address)) {
        return Err(NOT_PUBLIC);
    }
    Ok(Target { is_own: is_named, is_base: false, url })
}

fn failure(answer: &Response) -> NotFetched {
    let wait = answer.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.trim().parse().ok());
    match answer.status() {
        StatusCode::NOT_FOUND | StatusCode::GONE => GONE,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            NotFetched::Failed(wait.map(Duration::from_secs))
        }
        status if status.is_server_error() => NotFetched::Failed(wait.map(Duration::from_secs)),
        _ => NOT_OPENED,
    }
}

fn client(kept: &OnceLock<Client>, builder: fn() -> ClientBuilder) -> Result<&Client, NotFetched> {
    if let Some(client) = kept.get() {
        return Ok(client);
    }
    let made = builder()
        .redirect(Policy::none())
        .no_proxy()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(STALL)
        .pool_idle_timeout(FRESH)
        .retry(reqwest::retry::never())
        .build();
    match made {
        Ok(made) => Ok(kept.get_or_init(|| made)),
        Err(error) => {
            tracing::error!(cause = root(&error), "the client for media could not be made");
            Err(NotFetched::Failed(None))
        }
    }
}

fn public() -> ClientBuilder {
    ClientBuilder::new().https_only(true).dns_resolver(PublicOnly)
}

/// Resolves names that have public addresses only.
struct PublicOnly;

#[derive(Debug)]
struct NotPublic;

impl fmt::Display for NotPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address of the name is not public")
    }
}

impl StdError for NotPublic {}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The port is the URL's.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if found.is_empty() || !found.iter().all(|address| is_public(address.ip())) {
                return Err(NotPublic.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    let first: &(dyn StdError + 'static) = error;
    std::iter::successors(Some(first), |error: &&(dyn StdError + 'static)| (*error).source())
}

fn is_not_public(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| cause.is::<NotPublic>())
}

/// The root cause of a reqwest error, without the URL.
pub(crate) fn root(error: &reqwest::Error) -> String {
    causes(error).skip(1).last().map_or_else(|| "no answer".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(url: &str) -> MediaRequest {
        MediaRequest { hosts: vec!["api.own.example".to_owned()], ..MediaRequest::open(url) }
    }

    #[tokio::test]
    async fn nothing_private_is_fetched() {
        let fetcher = Fetcher::default();
        for (url, why) in [
            ("http://example.com/a", NOT_HTTPS),
            ("ftp://example.com/a", NOT_HTTPS),
            ("file:///etc/passwd", NOT_HTTPS),
            ("data:image/png;base64,AAAA", NOT_HTTPS),
            ("https://example.com:8443/a", NOT_HTTPS),
            ("no url", NOT_HTTPS),
            ("https://127.0.0.1/a", NOT_PUBLIC),
            ("https://127.1/a", NOT_PUBLIC),
            ("https://0x7f.0.0.1/a", NOT_PUBLIC),
            ("https://2130706433/a", NOT_PUBLIC),
            ("https://169.254.169.254/latest/meta-data", NOT_PUBLIC),
            ("https://10.0.0.1/a", NOT_PUBLIC),
            ("https://[::1]/a", NOT_PUBLIC),
            ("https://[::ffff:127.0.0.1]/a", NOT_PUBLIC),
            ("https://[fd00:ec2::254]/a", NOT_PUBLIC),
            ("https://user:password@192.168.0.1/a", NOT_PUBLIC),
            // The name is one of the machine's own.
            ("https://localhost/a", NOT_PUBLIC),
        ] {
            assert_eq!(fetcher.open(&open(url), None, 10).await.err(), Some(why), "{url}");
        }
    }

    #[test]
    fn the_base_stands_for_the_providers_hosts_and_credentials_go_nowhere_else() {
        let base = BaseUrl::parse("http://127.0.0.1:9300/own").unwrap();
        for (url, base, expected) in [
            ("https://api.own.example/a?b=c", None, Ok(("https://api.own.example/a?b=c", true, false))),
            ("https://API.own.example/a", None, Ok(("https://api.own.example/a", true, false))),
            (
                "https://api.own.example.evil.example/a",
                None,
                Ok(("https://api.own.example.evil.example/a", false, false)),
            ),
            ("https://u:p@api.own.example/a", None, Ok(("https://api.own.example/a", true, false))),
            ("https://api.own.example/a?b=c", Some(&base), Ok(("http://127.0.0.1:9300/own/a?b=c", true, true))),
            ("http://127.0.0.1:9300/x", Some(&base), Ok(("http://127.0.0.1:9300/x", true, true))),
            ("http://127.0.0.1:9301/x", Some(&base), Err(NOT_HTTPS)),
            ("https://127.0.0.1:9300/x", Some(&base), Err(NOT_HTTPS)),
            ("https://127.0.0.1/x", Some(&base), Err(NOT_PUBLIC)),
            ("https://cdn.example/a", Some(&base), Ok(("https://cdn.example/a", false, false))),
        ] {
            let found = target(Url::parse(url).unwrap(), &open(url), base);
            let found = found.as_ref().map(|target| (target.url.as_str(), target.is_own, target.is_base));
            assert_eq!(found.map_err(|error| *error), expected, "{url}");
        }
    }
}
