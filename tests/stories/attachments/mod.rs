//! Files in both directions: customers' pictures become attachments of the chat, and agents' files reach the phone.

mod incoming;
mod outgoing;
