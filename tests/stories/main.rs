//! End-to-end stories: a Lambda event in, the real AWS client over HTTP to the stand-in, the answer and the calls
//! asserted whole. One file a story.

mod attachments;
mod chat_end;
mod choices;
mod connect_faults;
mod connect_shaped;
mod content;
mod conversations;
mod delivery_faults;
mod delivery_load;
mod forward_faults;
mod fuzz_entry_points;
mod gateways;
mod identities;
mod no_input_breaks_it;
mod own_channel;
mod phone;
mod plivo_nonce;
mod real_binary;
mod real_binary_delivery;
mod real_binary_replies;
mod receive_reply;
mod replies;
mod reply_faults;
mod senders;
mod settings_source;
mod statuses;
mod webhook_vectors;
mod webhooks;
mod widget_clients;
mod widget_parameters;
mod widget_refusals;
mod widget_tokens;
