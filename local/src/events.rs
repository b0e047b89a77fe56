//! What happens, as server-sent events for the page: `GET /_local/events`.
//!
//! A follower is told everything that there is, then what changes: `contact` (a contact as it is now), `text` (a text of
//! the phone), `row` (what became of a request to the bridge), `faults` (all that are still to happen). `reset` comes first, and whenever everything was forgotten; `ready` once all is
//! told that there was then.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{Stream, unfold};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::watch;

use crate::service::Service;

/// Changes are told together at most this often.
const PAUSE: Duration = Duration::from_millis(30);

struct Follower {
    service: Arc<Service>,
    versions: watch::Receiver<u64>,
    seen: u64,
    epoch: Option<u64>,
    faults: Value,
    waiting: VecDeque<Event>,
}

/// The events for one page, until it or the stand-in is gone.
pub(crate) fn follow(service: Arc<Service>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut versions = service.versions().follow();
    versions.mark_changed();
    let follower = Follower { service, versions, seen: 0, epoch: None, faults: Value::Null, waiting: VecDeque::new() };
    let events = unfold(follower, |mut follower| async move {
        loop {
            if let Some(event) = follower.waiting.pop_front() {
                return Some((Ok(event), follower));
            }
            let service = Arc::clone(&follower.service);
            tokio::select! {
                changed = follower.versions.changed() => changed.ok()?,
                () = service.stopped() => return None,
            }
            tokio::time::sleep(PAUSE).await;
            follower.look();
        }
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

impl Follower {
    fn look(&mut self) {
        // Read before the changes are: what changes meanwhile is told twice, and not left out.
        let version = *self.versions.borrow_and_update();
        let (epoch, contacts) = self.service.state().changed_since(self.seen);
        let is_new = self.epoch != Some(epoch);
        if is_new {
            self.epoch = Some(epoch);
            self.faults = Value::Null;
            self.tell("reset", &epoch);
        }
        for contact in contacts {
            self.tell("contact", &contact);
        }
        let texts = self.service.phone().changed_since(self.seen);
        for text in texts {
            self.tell("text", &text);
        }
        let rows = self.service.rows().changed_since(self.seen);
        for row in rows {
            self.tell("row", &row);
        }
        let faults = self.service.faults().listed();
        if self.faults != faults {
            self.tell("faults", &faults);
            self.faults = faults;
        }
        if is_new {
            self.tell("ready", &epoch);
        }
        self.seen = version;
    }

    fn tell(&mut self, name: &str, what: &impl Serialize) {
        // What these are made of can always be written.
        if let Ok(event) = Event::default().event(name).json_data(what) {
            self.waiting.push_back(event);
        }
    }
}
