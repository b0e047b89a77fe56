//! Which pages may call: `ALLOWED_ORIGINS`.
//!
//! An origin is a scheme, a host and a port, compared as such (RFC 6454), lower-cased, with the scheme's default port
//! left out as browsers leave it out.

/// Hosts whose ports need not be named, for pages under development.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The allowed origins.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    any: bool,
    exact: Vec<String>,
    /// Hosts of the machine itself, whose pages may be on any port: `http://localhost:*`.
    any_port: Vec<String>,
    /// Scheme, what follows `*.`, and the port.
    below: Vec<Parts>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Parts {
    fn parse(origin: &str) -> Option<Self> {
        let origin = origin.to_ascii_lowercase();
        let (scheme, authority) = origin.split_once("://")?;
        let scheme_ok = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        // The colons of an IPv6 address are inside its brackets.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port.parse().ok()?)),
            _ => (authority, None),
        };
        let host_ok = match host.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                !host.is_empty()
                    && host.split('.').all(|label| {
                        !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
                    })
            }
        };
        let port = port.filter(|port| !matches!((scheme, port), ("https", 443) | ("http", 80)));
        (scheme_ok && host_ok).then(|| Self { scheme: scheme.to_owned(), host: host.to_owned(), port })
    }

    fn text(&self) -> String {
        match self.port {
            Some(port) => format!("{}://{}:{port}", self.scheme, self.host),
            None => format!("{}://{}", self.scheme, self.host),
        }
    }
}

impl Origins {
    /// Reads a comma list of exact origins, `https://*.shop.example`, `http://localhost:*`, or `*`. The error says which rule is broken.
    pub fn parse(list: &str) -> Result<Self, String> {
        let mut origins = Self::default();
        for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            // What people paste from an address bar.
            let item = item.strip_suffix('/').unwrap_or(item);
            let parsed = if item == "*" {
                origins.any = true;
                Some(())
            } else if let Some(host) = item.strip_prefix("http://").and_then(|rest| rest.strip_suffix(":*")) {
                LOOPBACK.contains(&host).then(|| origins.any_port.push(host.to_owned()))
            } else if let Some((scheme, host)) = item.split_once("://*.") {
                Parts::parse(&format!("{scheme}://{host}")).map(|parts| origins.below.push(parts))
            } else {
                Parts::parse(item).map(|parts| origins.exact.push(parts.text()))
            };
            if parsed.is_none() {
                return Err(format!(
                    "holds {item:?}: write https://shop.example, https://*.shop.example or *, without a path"
                ));
            }
        }
        Ok(origins)
    }

    /// Whether every page may call (`*`).
    pub fn any(&self) -> bool {
        self.any
    }

    /// Whether a page of this `Origin` header may call. `null` (a sandboxed page or a file) may only under `*`.
    pub fn allow(&self, origin: &str) -> bool {
        if self.any {
            return true;
        }
        let Some(parts) = Parts::parse(origin) else { return false };
        self.exact.contains(&parts.text())
            || (parts.scheme == "http" && self.any_port.contains(&parts.host))
            || self.below.iter().any(|base| {
                let labels = parts.host.strip_suffix(&base.host).and_then(|rest| rest.strip_suffix('.'));
                parts.scheme == base.scheme
                    && parts.port == base.port
                    && labels.is_some_and(|labels| !labels.is_empty())
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_scheme_host_and_port() {
        let list = "https://shop.example, http://localhost:3000,https://*.corp.example, https://*.dev.example:8443, \
                    capacitor://localhost, https://[::1]:4000";
        let origins = Origins::parse(list).unwrap();
        for (origin, allowed) in [
            ("https://shop.example", true),
            ("HTTPS://Shop.Example", true),
            ("https://shop.example:443", true),
            ("https://shop.example:8443", false),
            ("http://shop.example", false),
            ("https://shop.example.evil.example", false),
            ("https://evilshop.example", false),
            ("https://sub.shop.example", false),
            ("https://shop.example/", false),
            ("https://user@shop.example", false),
            ("http://localhost:3000", true),
            ("http://localhost", false),
            ("http://localhost:3001", false),
            ("https://a.corp.example", true),
            ("https://a.b.corp.example", true),
            ("https://corp.example", false),
            ("https://.corp.example", false),
            ("https://a..corp.example", false),
            ("https://evilcorp.example", false),
            ("http://a.corp.example", false),
            ("https://a.corp.example:8443", false),
            ("https://a.dev.example:8443", true),
            ("https://a.dev.example", false),
            ("https://a/.corp.example", false),
            ("https://evil.example#.corp.example", false),
            ("capacitor://localhost", true),
            ("ionic://localhost", false),
            ("https://[::1]:4000", true),
            ("https://[::2]:4000", false),
            ("null", false),
            ("", false),
            ("https://shop.example, https://shop.example", false),
            ("https://*.corp.example", false),
        ] {
            assert_eq!(origins.allow(origin), allowed, "{origin}");
        }
        assert!(!origins.any());
    }

    #[test]
    fn a_star_allows_all_and_null_too() {
        let origins = Origins::parse("https://shop.example,*").unwrap();
        assert!(origins.any());
        assert!(origins.allow("null"));
        assert!(origins.allow("https://anyone.example"));
    }

    #[test]
    fn ports_of_the_machine_itself_need_not_be_named() {
        let origins = Origins::parse("http://localhost:*, http://[::1]:*").unwrap();
        for (origin, allowed) in [
            ("http://localhost", true),
            ("http://localhost:3000", true),
            ("http://[::1]:3000", true),
            ("https://localhost:3000", false),
            ("http://127.0.0.1:3000", false),
            ("http://localhost.example:3000", false),
            ("http://a.localhost:3000", false),
            ("http://localhost:*", false),
        ] {
            assert_eq!(origins.allow(origin), allowed, "{origin}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused_at_init() {
        for list in [
            "http://shop.example:*",
            "https://localhost:*",
            "http://*:*",
            "shop.example",
            "https://",
            "https://shop.example/chat",
            "https://*",
            "https://*.",
            "https://a.*.example",
            "https://*.*.example",
            "*.shop.example",
            "https://shop.example:port",
            "https://shop.example:99999",
            "https://shöp.example",
            "null",
        ] {
            assert!(Origins::parse(list).is_err(), "{list}");
        }
        assert!(Origins::parse("https://shop.example/").unwrap().allow("https://shop.example"));
    }
}
