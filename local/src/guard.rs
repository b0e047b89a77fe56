//! Who may ask a stand-in that runs beside a browser: what names this machine as the host (else a page elsewhere, by a name
//! that it points here, would be of the same origin), and for the controls no page but the stand-in's own.

use axum::{
    Json,
    extract::Request,
    http::{HeaderMap, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::json;

/// Paths for the stand-in's own page. The others are for widgets of any origin, as AWS's are.
const OWN: [&str; 2] = ["/_local", "/_phone"];

pub(crate) async fn check(request: Request, next: Next) -> Response {
    let Some(host) = host(request.uri(), request.headers()) else {
        return refused("this stand-in answers to localhost only");
    };
    let origin = request.headers().get(header::ORIGIN);
    let is_own = origin.is_none_or(|origin| origin.as_bytes() == format!("http://{host}").as_bytes());
    if !is_own && OWN.iter().any(|path| request.uri().path().starts_with(path)) {
        return refused("only the stand-in's own page may ask for this");
    }
    next.run(request).await
}

/// The host that a request names, where it is this machine.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let host = match uri.authority() {
        Some(authority) => authority.as_str(),
        None => headers.get(header::HOST)?.to_str().ok()?,
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    let name = name.to_ascii_lowercase();
    // Names below it are this machine in every browser (RFC 6761), whatever a DNS says.
    let is_localhost = name == "localhost" || name.ends_with(".localhost");
    let is_loopback = is_localhost || address.is_ok_and(|address| address.is_loopback());
    is_loopback.then(|| host.to_owned())
}

fn refused(why: &str) -> Response {
    (StatusCode::FORBIDDEN, Json(json!({ "error": why }))).into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn hosts() {
        for (name, is_here) in [
            ("localhost", true),
            ("localhost:9100", true),
            ("LOCALHOST:9100", true),
            ("shop.localhost:9100", true),
            ("evillocalhost:9100", false),
            ("127.0.0.1:9100", true),
            ("127.9.9.9", true),
            ("[::1]:9100", true),
            ("[::1]", true),
            ("localhost.example:9100", false),
            ("127.0.0.1.example", false),
            ("192.168.0.1:9100", false),
            ("page.example", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(name))]);
            assert_eq!(host(&Uri::from_static("/"), &headers).is_some(), is_here, "{name}");
        }
        assert_eq!(host(&Uri::from_static("/"), &HeaderMap::new()), None);
    }
}
