//! What a method and a path ask for.

use http::Method;
use shared::{Error, Kind, Result};

/// A route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `OPTIONS`, anywhere.
    Preflight,
    /// `POST`, anywhere but at [`Route::EndChat`]: clients that change only their endpoint keep their paths.
    StartChat,
    /// `PUT …/contact/chat`: the Connect API's own shape.
    StartChatContact,
    /// `POST …/chat/end`.
    EndChat,
}

impl Route {
    /// A stage's prefix may stand before a route's path, a slash after it.
    pub(crate) fn of(method: &Method, path: &str) -> Result<Self> {
        match *method {
            Method::OPTIONS => Ok(Self::Preflight),
            // A gateway that sends webhooks here is set up wrongly: they must not start chats.
            _ if path.contains("/sms/") => Err(Error::new(Kind::NotFound, "Webhooks are not served here")),
            Method::POST if ends_with(path, ["chat", "end"]) => Ok(Self::EndChat),
            Method::POST if is_participant_service(path) => Err(Error::new(Kind::NotFound, PARTICIPANT_SERVICE)),
            Method::POST if path.contains("/sms/") => Err(Error::new(Kind::NotFound, WEBHOOK)),
            Method::POST => Ok(Self::StartChat),
            Method::PUT if ends_with(path, ["contact", "chat"]) => Ok(Self::StartChatContact),
            Method::PUT => Err(Error::new(Kind::NotFound, "There is nothing to PUT at this path")),
            _ => Err(Error::new(Kind::MethodNotAllowed, "Use POST to start a chat")),
        }
    }
}

const WEBHOOK: &str = "Webhooks are not taken here: no such route of receive-message";

/// What amazon-connect-chatjs asks of the endpoint that it is given.
const PARTICIPANT_SERVICE: &str = "This is the bridge, which starts chats, and not the Participant Service: leave \
     amazon-connect-chatjs its own endpoint (setGlobalConfig without `endpoint`), or give it the stand-in's \
     (http://localhost:9100 with make dev)";

fn is_participant_service(path: &str) -> bool {
    ["connection", "message", "event", "disconnect", "transcript"]
        .iter()
        .any(|name| ends_with(path, ["participant", name]))
}

fn ends_with(path: &str, [before, last]: [&str; 2]) -> bool {
    let mut segments = path.strip_suffix('/').unwrap_or(path).rsplit('/');
    segments.next() == Some(last) && segments.next() == Some(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_and_slashes() {
        for (method, path, route) in [
            (Method::POST, "/chat/end", Some(Route::EndChat)),
            (Method::POST, "/chat/end/", Some(Route::EndChat)),
            (Method::POST, "/prod/chat/end", Some(Route::EndChat)),
            (Method::POST, "/a/b/chat/end/", Some(Route::EndChat)),
            (Method::POST, "chat/end", Some(Route::EndChat)),
            (Method::POST, "/webchat/end", Some(Route::StartChat)),
            (Method::POST, "/chat/end/x", Some(Route::StartChat)),
            (Method::POST, "/chat/ended", Some(Route::StartChat)),
            (Method::POST, "/CHAT/END", Some(Route::StartChat)),
            (Method::POST, "/end", Some(Route::StartChat)),
            (Method::POST, "/contact/chat", Some(Route::StartChat)),
            (Method::POST, "/participant/connection", None),
            (Method::POST, "/prod/participant/message/", None),
            (Method::POST, "/participant", Some(Route::StartChat)),
            (Method::POST, "/participant/connections", Some(Route::StartChat)),
            (Method::POST, "/sms/twilio", None),
            (Method::POST, "/prod/sms/twilio/us", None),
            (Method::POST, "/sms", Some(Route::StartChat)),
            (Method::POST, "", Some(Route::StartChat)),
            (Method::POST, "/sms", Some(Route::StartChat)),
            (Method::POST, "/sms/twilio", None),
            (Method::POST, "/prod/sms/twilio/us", None),
            (Method::PUT, "/sms/contact/chat", None),
            (Method::OPTIONS, "/sms/twilio", Some(Route::Preflight)),
            (Method::PUT, "/contact/chat", Some(Route::StartChatContact)),
            (Method::PUT, "/prod/contact/chat/", Some(Route::StartChatContact)),
            (Method::PUT, "/mycontact/chat", None),
            (Method::PUT, "/contact/chat/x", None),
            (Method::PUT, "/chat/end", None),
            (Method::PUT, "/chat", None),
            (Method::GET, "/chat/end", None),
            (Method::OPTIONS, "/chat/end", Some(Route::Preflight)),
            (Method::OPTIONS, "/contact/chat", Some(Route::Preflight)),
        ] {
            assert_eq!(Route::of(&method, path).ok(), route, "{method} {path}");
        }
    }
}
