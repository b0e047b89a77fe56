//! What is remembered between invocations, in the table of `CONVERSATIONS_TABLE` or in this process.

pub mod conversations;
pub mod replies;
mod send_order;
mod table;
pub mod used_tokens;
