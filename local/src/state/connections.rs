//! How a customer is connected to a chat: connection tokens and websockets.

use std::time::Instant;

use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{ChatKey, Socket, State, in_future, opaque_token};
use crate::error::ApiError;

/// How long a websocket lives, as the answer tells; chatjs opens a new one a minute earlier.
const WEBSOCKET_LIFETIME: SignedDuration = SignedDuration::from_hours(1);

impl State {
    /// A new connection token: `ConnectionCredentials`.
    pub(crate) fn connection_credentials(&mut self, key: ChatKey) -> Value {
        let lifetime = self.config.connection_token_lifetime;
        let token = opaque_token();
        self.by_connection_token.insert(token.clone(), key);
        if let Some(chat) = self.chat_mut(key) {
            chat.connections.insert(token.clone(), Instant::now() + lifetime);
        }
        let lifetime = SignedDuration::try_from(lifetime).unwrap_or(SignedDuration::MAX);
        json!({ "ConnectionToken": token, "Expiry": in_future(lifetime) })
    }

    /// A new websocket URL: `Websocket`.
    pub(crate) fn websocket(&mut self, key: ChatKey) -> Value {
        let lifetime = self.config.websocket_url_lifetime;
        let token = opaque_token();
        self.by_websocket_token.insert(token.clone(), key);
        if let Some(chat) = self.chat_mut(key) {
            chat.websocket_tokens.insert(token.clone(), Instant::now() + lifetime);
        }
        json!({
            "Url": format!("{}{token}", self.websocket_base),
            "ConnectionExpiry": in_future(WEBSOCKET_LIFETIME),
        })
    }

    /// Connection tokens of a chat are worth nothing from now on; the participant token is.
    pub(crate) fn expire_connection_tokens(&mut self, key: ChatKey) {
        if let Some(chat) = self.chat_mut(key) {
            chat.connections.clear();
        }
    }

    /// A customer's websocket opens. Refused where the URL is unknown or too old, and after the chat's end: chatjs
    /// takes the 403 for just that.
    pub(crate) fn open_websocket(
        &mut self,
        token: &str,
    ) -> Result<(ChatKey, Uuid, mpsc::UnboundedReceiver<String>), ApiError> {
        let key = *self.by_websocket_token.get(token).ok_or_else(ApiError::access_denied)?;
        let chat = self.chat_mut(key).ok_or_else(ApiError::access_denied)?;
        let good = chat.websocket_tokens.get(token).is_some_and(|until| Instant::now() < *until);
        if !good || chat.contact.ended {
            return Err(ApiError::access_denied());
        }
        let (frames, outgoing) = mpsc::unbounded_channel();
        let id = Uuid::new_v4();
        chat.sockets.push(Socket { id, frames, subscribed: false });
        Ok((key, id, outgoing))
    }

    /// The websocket subscribes to the chat, which connects the customer.
    pub(crate) fn subscribe_websocket(&mut self, key: ChatKey, id: Uuid) {
        if let Some(chat) = self.chat_mut(key) {
            chat.sockets.iter_mut().filter(|socket| socket.id == id).for_each(|socket| socket.subscribed = true);
        }
        self.connect(key);
    }

    pub(crate) fn close_websocket(&mut self, key: ChatKey, id: Uuid) {
        if let Some(chat) = self.chat_mut(key) {
            chat.sockets.retain(|socket| socket.id != id);
        }
    }

    /// Drops the customer's websockets, as a lost network does.
    pub(crate) fn drop_websockets(&mut self, key: ChatKey) {
        if let Some(chat) = self.chat_mut(key) {
            chat.sockets.clear();
        }
    }
}
