//! The public URL that providers sign.

use std::fmt;

use http::Uri;

/// The public URL before the route: scheme, host, port and path prefix, such as `https://sms.example.com/mapping`.
///
/// It is configured, or made of what the gateway says; never of `Host` or `X-Forwarded-*`, which a caller chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    scheme: &'static str,
    host: String,
    port: Option<u16>,
    prefix: String,
}

/// Why a text is no base URL: a rule in words, which never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotABaseUrl(&'static str);

impl fmt::Display for NotABaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NotABaseUrl {}

impl BaseUrl {
    /// For what came to no URL: an event of a queue or a topic.
    pub(super) fn none() -> Self {
        Self { scheme: "https", host: "localhost".to_owned(), port: None, prefix: String::new() }
    }

    /// Reads `https://host[:port][/prefix]`. User info is refused: whether providers sign it is documented nowhere, and
    /// it would stand in logs.
    pub fn parse(text: &str) -> Result<Self, NotABaseUrl> {
        let text = text.trim();
        if text.contains('#') {
            return Err(NotABaseUrl("must have no fragment"));
        }
        let uri: Uri = text.parse().map_err(|_| NotABaseUrl("must be an absolute http or https URL"))?;
        let scheme = match uri.scheme_str() {
            Some("https") => "https",
            Some("http") => "http",
            _ => return Err(NotABaseUrl("must be an absolute http or https URL")),
        };
        let authority = uri.authority().ok_or(NotABaseUrl("must name a host"))?;
        if authority.as_str().contains('@') {
            return Err(NotABaseUrl("must have no user name or password"));
        }
        if authority.host().is_empty() {
            return Err(NotABaseUrl("must name a host"));
        }
        if uri.query().is_some() {
            return Err(NotABaseUrl("must have no query"));
        }
        let port = authority.port_u16();
        if port.is_none() && authority.as_str() != authority.host() {
            return Err(NotABaseUrl("must have a valid port, or none"));
        }
        Ok(Self {
            scheme,
            host: authority.host().to_owned(),
            port,
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The URL with `port`, or without one.
    fn render(&self, port: Option<u16>) -> String {
        let Self { scheme, host, prefix, .. } = self;
        match port {
            Some(port) => format!("{scheme}://{host}:{port}{prefix}"),
            None => format!("{scheme}://{host}{prefix}"),
        }
    }

    /// The URL as it was written.
    pub fn as_written(&self) -> String {
        self.render(self.port)
    }

    /// The URL without its port, whatever that is.
    pub fn without_port(&self) -> String {
        self.render(None)
    }

    /// The URL with its port, which is the scheme's own where none was written.
    pub fn with_port(&self) -> String {
        let default = if self.scheme == "https" { 443 } else { 80 };
        self.render(Some(self.port.unwrap_or(default)))
    }
}

#[cfg(test)]
mod tests {
    use super::BaseUrl;

    #[test]
    fn ports_are_folded_both_ways() {
        for (text, written, without, with) in [
            ("https://a.example", "https://a.example", "https://a.example", "https://a.example:443"),
            ("https://a.example/", "https://a.example", "https://a.example", "https://a.example:443"),
            ("http://a.example/m/", "http://a.example/m", "http://a.example/m", "http://a.example:80/m"),
            ("https://a.example:443", "https://a.example:443", "https://a.example", "https://a.example:443"),
            ("https://a.example:8443/m", "https://a.example:8443/m", "https://a.example/m", "https://a.example:8443/m"),
            ("https://[::1]:9/m", "https://[::1]:9/m", "https://[::1]/m", "https://[::1]:9/m"),
        ] {
            let base = BaseUrl::parse(text).unwrap();
            assert_eq!(base.as_written(), written);
            assert_eq!(base.without_port(), without);
            assert_eq!(base.with_port(), with);
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused() {
        for text in [
            "",
            "sms.example.com",
            "/path",
            "ftp://a.example",
            "https://",
            "https://user:secret@a.example",
            "https://user@a.example",
            "https://a.example?x=1",
            "https://a.example/#x",
            "https://a.example:99999",
            "https://a example",
        ] {
            let error = BaseUrl::parse(text).expect_err(text);
            assert!(!error.to_string().contains("secret"));
        }
    }
}
