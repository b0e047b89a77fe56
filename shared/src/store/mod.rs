//! What is remembered between invocations, in the table of `CONVERSATIONS_TABLE` or in this process.

pub mod conversations;
pub mod identities;
pub mod lease;
pub mod media;
pub mod menus;
pub mod replies;
pub mod statuses;
mod table;
pub mod tries;
pub mod used_tokens;
mod window;
