//! The page of `make dev`: a chat widget, a phone and an agent's console. Its files are read anew for each request, so a
//! reload shows what was edited.

use std::{path::Path, sync::Arc};

use axum::{
    Router,
    extract::Path as Named,
    http::{
        HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
    routing::get,
};

use crate::service::Service;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/page");

/// Installed by npm from `local/page/package-lock.json`, never copied into the repository.
const CHATJS: &str = "node_modules/amazon-connect-chatjs/dist/amazon-connect-chat.js";

/// The page loads nothing from elsewhere, and speaks to this machine only.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; \
                      connect-src 'self' http://localhost:* http://127.0.0.1:* ws://127.0.0.1:*; frame-ancestors 'none'";

pub(crate) fn router() -> Router<Arc<Service>> {
    Router::new()
        .route("/", get(|| file("index.html", "text/html; charset=utf-8")))
        .route("/chatjs.js", get(|| file(CHATJS, "text/javascript; charset=utf-8")))
        .route("/page/{name}", get(named))
}

async fn named(Named(name): Named<String>) -> Response {
    // Names come from the page's own files: no separators, so nothing outside the folder.
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    match name.rsplit_once('.') {
        Some((_, "js")) if is_plain => file(&name, "text/javascript; charset=utf-8").await,
        Some((_, "css")) if is_plain => file(&name, "text/css; charset=utf-8").await,
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn file(name: &str, content_type: &'static str) -> Response {
    // A few kilobytes, for one reader.
    match std::fs::read(Path::new(FOLDER).join(name)) {
        Ok(bytes) => {
            let mut response = bytes.into_response();
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
            response
        }
        Err(_) => (StatusCode::NOT_FOUND, "It is installed by `make dev`.\n").into_response(),
    }
}
