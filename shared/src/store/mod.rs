//! What is remembered between invocations, in the table of `CONVERSATIONS_TABLE` or in this process.

pub mod conversations;
pub mod media;
pub mod replies;
mod table;
pub mod tries;
pub mod used_tokens;
