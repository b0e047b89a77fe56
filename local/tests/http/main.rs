//! The stand-in over real HTTP, as its callers meet it.

#[cfg(test)]
mod client;
#[cfg(test)]
mod connect;
#[cfg(test)]
mod control;
#[cfg(test)]
mod events;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod front;
#[cfg(test)]
mod guard;
#[cfg(test)]
mod integration_events;
#[cfg(test)]
mod participant;
#[cfg(test)]
mod phone;
#[cfg(test)]
mod poller;
#[cfg(test)]
mod streaming;
#[cfg(test)]
mod websocket;
