//! What the functions of connect-chat-bridge are made of.
