//! A stand-in for Amazon Connect: for a laptop without an AWS account, and for tests.
//!
//! It serves the Connect API as far as chats need it, the Participant Service, and the customer's websocket, on one
//! port; it ignores signatures. It validates as the service models say, keeps contacts and their transcripts, records
//! every call, and fails where it is told to. The agents and the flow are whoever calls its methods, or its control API
//! under `/_local/`. Beside it are a telephone with the providers' send APIs, and the page of `make dev`.
//!
//! Outside rules carry their source where they are checked. Where the references are silent, this was decided:
//!
//! * A request that cannot be read as one (not JSON, a member missing or of the wrong type, members that exclude each
//!   other) is InvalidRequestException; a value outside its constraint is InvalidParameterException.
//! * `InitialMessage` is said when the customer is connected (by `ConnectParticipant` or by the websocket's
//!   subscription), and is the first item of the transcript. No agent, bot or flow speaks before that.
//! * A repeated ClientToken of StartChatContact is answered with the original contact, whatever else the request says.
//! * A DISCONNECT integration event that maps to no open chat is answered without `InitialContactId`, and starts none.
//! * The end of a chat closes its tokens, but a repeat of the DisconnectParticipant that ended it succeeds.
//! * When the customer leaves, the chat is over for the agent, too.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! use local::{Fault, Operation, StandIn};
//!
//! let stand_in = StandIn::start().await?;
//! stand_in.fail(Operation::StartChatContact, Fault::limit_exceeded().times(2));
//! // … point a client at stand_in.url() …
//! assert!(stand_in.calls_to(Operation::StartChatContact).is_empty());
//! # Ok(())
//! # }
//! ```

mod actions;
mod attachment;
mod bridge;
mod config;
mod connect;
mod connection;
mod contact;
mod control;
mod error;
mod events;
mod fault;
mod guard;
mod instance;
mod integration;
mod operation;
mod page;
mod participant;
mod phone;
mod pipeline;
mod poller;
mod quota;
mod record;
mod server;
mod service;
mod session;
mod sns;
mod state;
mod streaming;
mod transcript;
mod validate;
mod versions;
mod websocket;

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use tokio::task::JoinHandle;

pub use crate::{
    actions::Line,
    attachment::Attachment,
    bridge::terminal::Terminal,
    config::{Bridge, Config, Limits, Rate},
    contact::{Contact, Integration, Item, ItemType, Participant, Role, Streaming, Visibility},
    error::Refused,
    fault::Fault,
    instance::{Flow, Instance},
    operation::Operation,
    phone::{
        contract::Signed,
        sign::{sign, webhooks},
        text::{Channel, Choice, Text, Writing},
    },
    pipeline::Pipeline,
    poller::{Poller, invoke_over_http},
    record::Call,
    streaming::{MessageAttribute, StreamSubscriber, StreamedItem},
};
use crate::{poller::Observer, service::Service, state::State};

/// A running stand-in. Dropping it stops the server.
#[derive(Debug)]
pub struct StandIn {
    service: Arc<Service>,
    url: String,
    task: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Starts one at 127.0.0.1, on a free port.
    pub async fn start() -> io::Result<Self> {
        Self::start_with(Config::default()).await
    }

    /// Starts one at an address.
    pub async fn start_at(address: SocketAddr) -> io::Result<Self> {
        Self::start_with(Config { address, ..Config::default() }).await
    }

    /// Starts one.
    pub async fn start_with(config: Config) -> io::Result<Self> {
        let (service, address, task) = server::serve(config).await?;
        Ok(Self { service, url: format!("http://{address}"), task: Some(task) })
    }

    /// `http://127.0.0.1:PORT`: the endpoint of Connect, of the Participant Service and of the control API.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops the server, and returns when its port is free again.
    pub async fn stop(mut self) {
        self.service.stop();
        if let Some(task) = self.task.take() {
            // It neither panics nor is aborted; and if it did, it has stopped.
            let _ = task.await;
        }
    }

    /// Every call so far, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.service.record().calls()
    }

    /// Every call to an operation so far, in order.
    pub fn calls_to(&self, operation: Operation) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(|call| call.operation == Some(operation));
        calls
    }

    /// Empties the record.
    pub fn forget_calls(&self) {
        self.service.record().clear();
    }

    /// Plans a fault, after those already planned for the operation.
    pub fn fail(&self, operation: Operation, fault: Fault) {
        self.service.faults().add(operation, fault);
        self.service.versions().next();
    }

    /// Forgets the faults that have not happened yet.
    pub fn clear_faults(&self) {
        self.service.faults().clear();
        self.service.versions().next();
    }

    /// Sets the account's quotas.
    pub fn set_limits(&self, limits: Limits) {
        self.service.state().set_limits(limits);
    }

    /// A chat as it is now, by any contact id of its chain.
    pub fn contact(&self, contact_id: &str) -> Option<Contact> {
        actions::contact(&self.state(), contact_id)
    }

    /// Every chat as it is now, in the order in which they were started.
    pub fn contacts(&self) -> Vec<Contact> {
        self.state().chats().map(|chat| chat.contact.clone()).collect()
    }

    /// An agent accepts the chat; if one has, nothing happens. Returns the agent's participant id.
    pub fn agent_joins(&self, contact_id: &str) -> Result<String, Refused> {
        Ok(actions::join(&mut self.state(), contact_id)?.id)
    }

    /// The agent says something, and joins first if need be. Returns the item's id.
    pub fn agent_says(&self, contact_id: &str, content_type: &str, content: &str) -> Result<String, Refused> {
        let line = Line {
            role: Role::Agent,
            display_name: None,
            content_type: content_type.to_owned(),
            content: content.to_owned(),
            visibility: Visibility::All,
        };
        self.says(contact_id, &line)
    }

    /// Anyone says something: the flow, a bot, a supervisor to the agent only. Returns the item's id.
    pub fn says(&self, contact_id: &str, line: &Line) -> Result<String, Refused> {
        actions::say(&mut self.state(), contact_id, line)
    }

    /// The agent types, or has read a message (`…event.message.read` with `{"messageId": …}`). Returns the item's id.
    pub fn agent_event(&self, contact_id: &str, content_type: &str, content: Option<&str>) -> Result<String, Refused> {
        actions::agent_event(&mut self.state(), contact_id, content_type, content)
    }

    /// The agent sends a file, and joins first if need be. `status` is `APPROVED`, or `IN_PROGRESS` while it is scanned.
    /// Returns the attachment's id.
    pub fn agent_sends(
        &self,
        contact_id: &str,
        (name, content_type): (&str, &str),
        bytes: impl Into<bytes::Bytes>,
        status: &str,
    ) -> Result<String, Refused> {
        attachment::agent_sends(&mut self.state(), contact_id, (name, content_type), bytes.into(), status)
    }

    /// What came of the scan of an agent's file: `APPROVED` or `REJECTED`.
    pub fn scanned(&self, attachment_id: &str, status: &str) -> Result<(), Refused> {
        attachment::scanned(&mut self.state(), attachment_id, status)
    }

    /// The bytes of a file, once they are stored.
    pub fn attachment(&self, attachment_id: &str) -> Option<bytes::Bytes> {
        attachment::bytes(&mut self.state(), attachment_id)
    }

    /// The agent hands the chat on. Returns the new contact's id; the initial one stays as it is.
    pub fn transfer(&self, contact_id: &str) -> Result<String, Refused> {
        actions::transfer(&mut self.state(), contact_id)
    }

    /// The agent ends the chat.
    pub fn end(&self, contact_id: &str) -> Result<(), Refused> {
        actions::end(&mut self.state(), contact_id)
    }

    /// The customer's connection tokens expire; the participant token gets new ones.
    pub fn expire_connection_tokens(&self, contact_id: &str) -> Result<(), Refused> {
        actions::expire_connection_tokens(&mut self.state(), contact_id)
    }

    /// The customer's websockets break off.
    pub fn drop_websockets(&self, contact_id: &str) -> Result<(), Refused> {
        actions::drop_websockets(&mut self.state(), contact_id)
    }

    /// The webhooks that a text on the phone becomes: for whoever has the functions at hand instead of their URL. Nothing
    /// is sent and nothing kept.
    pub fn write(&self, writing: &Writing) -> Result<Vec<Signed>, String> {
        self.service.phone().write(writing).map(|(_, webhooks)| webhooks)
    }

    /// Every text that went from the phone or came to it, in order.
    pub fn texts(&self) -> Vec<Text> {
        self.service.phone().texts().to_vec()
    }

    /// Subscribes to what is streamed from now on.
    pub fn stream(&self) -> StreamSubscriber {
        self.state().streams().subscribe()
    }

    /// Opens the door in front of the functions: requests to this address go on to `cargo lambda watch` at `watch`, and
    /// are told of on the page and in the terminal. `public_base_url` is what signatures are checked against.
    pub async fn open_front(
        &self,
        address: SocketAddr,
        watch: &str,
        public_base_url: &str,
        terminal: Terminal,
    ) -> io::Result<()> {
        bridge::front::serve(address, watch, public_base_url, Arc::clone(&self.service), terminal).await
    }

    /// Reads what the functions print from a named pipe, for the page and the terminal.
    pub fn read_log(&self, pipe: PathBuf, terminal: Terminal) {
        bridge::log::read(pipe, Arc::clone(&self.service), terminal);
    }

    /// What is told of the messages of queues.
    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        Arc::clone(&self.service) as Arc<dyn Observer>
    }

    /// Follows a reply from here on: something that was said for a customer who has no widget.
    pub(crate) fn note_reply(&self, streamed: &StreamedItem) {
        let item = streamed.item();
        let text = |name: &str| item.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
        let is_said = text("Type") == "MESSAGE" && text("ParticipantRole") != "CUSTOMER";
        let is_for_customer = streamed.attribute("MessageVisibility") != Some("AGENT");
        let Some(contact) = self.contact(text("InitialContactId")) else { return };
        if is_said && is_for_customer && contact.attributes.contains_key("account") {
            self.service.rows().reply(text("Id"), &contact.initial_id, text("DisplayName"));
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.service.state()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.service.stop();
    }
}
