//! The customer's websocket (`amazon-connect-websocket-manager.js` of amazon-connect-chatjs).
//!
//! Frames are JSON with a `topic`: `aws/subscribe`, `aws/heartbeat` and `aws/ping` are answered in kind; `aws/chat`
//! carries items, each as a JSON *string* in `content`.

use std::sync::Arc;

use axum::{
    Router,
    extract::{
        Path, State as Shared,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::{service::Service, state::ChatKey};

pub(crate) fn router() -> Router<Arc<Service>> {
    Router::new().route("/websocket/{token}", get(open))
}

async fn open(Shared(service): Shared<Arc<Service>>, Path(token): Path<String>, upgrade: WebSocketUpgrade) -> Response {
    let opened = service.state().open_websocket(&token);
    match opened {
        Ok((key, id, frames)) => upgrade.on_upgrade(move |socket| async move {
            talk(&service, socket, key, id, frames).await;
            service.state().close_websocket(key, id);
        }),
        Err(error) => error.into_response(),
    }
}

/// Until either side is gone.
async fn talk(
    service: &Service,
    mut socket: WebSocket,
    key: ChatKey,
    id: Uuid,
    mut frames: mpsc::UnboundedReceiver<String>,
) {
    loop {
        let frame = tokio::select! {
            // None: the stand-in drops the socket.
            frame = frames.recv() => match frame {
                Some(frame) => Some(frame),
                None => return,
            },
            received = socket.recv() => match received {
                Some(Ok(Message::Text(text))) => answer(service, key, id, text.as_str()),
                Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => None,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
            () = service.stopped() => return,
        };
        if let Some(frame) = frame
            && socket.send(Message::Text(frame.into())).await.is_err()
        {
            return;
        }
    }
}

/// The answer to a frame, if it has one.
fn answer(service: &Service, key: ChatKey, id: Uuid, frame: &str) -> Option<String> {
    let frame: Value = serde_json::from_str(frame).ok()?;
    let answer = match frame.get("topic")?.as_str()? {
        "aws/subscribe" => {
            let topics = frame.pointer("/content/topics")?.as_array()?;
            let known = topics.iter().all(|topic| topic == "aws/chat");
            if known && !topics.is_empty() {
                // Items that connecting makes are queued behind this answer: nothing is sent from here but by `talk`.
                service.state().subscribe_websocket(key, id);
            }
            let status = if known { "success" } else { "failure" };
            json!({ "topic": "aws/subscribe", "content": { "status": status, "topics": topics } })
        }
        "aws/heartbeat" => json!({ "topic": "aws/heartbeat" }),
        "aws/ping" => json!({ "topic": "aws/ping", "statusCode": 200, "statusContent": "OK" }),
        _ => return None,
    };
    Some(answer.to_string())
}
