//! Parts of a long message: stored as they come, and joined when all are there or the rest has been waited for.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use crate::{deadline::Deadline, deliver::Conversations, error::Result, inbound::Inbound, store::conversations::Parts};

/// How long the parts of a message wait for the missing ones.
pub(super) const PARTS_WAIT: Duration = Duration::from_secs(60);

/// What a part of a message makes.
pub enum Collected {
    /// A message to deliver: whole as it came, or joined; then [`Conversations::handed_on`] takes the key.
    Whole(Box<Inbound>, Option<String>),
    /// Nothing yet. A flush of the key must come back, if this is the first part.
    Waiting {
        /// Whether this is the first part to come.
        first: bool,
        /// The set's key.
        key: String,
    },
    /// Nothing: it came before.
    Duplicate,
}

/// What is to be done about parts that wait.
pub enum Flush {
    /// Nothing: the message is complete, or was delivered.
    Nothing,
    /// Come back then.
    NotYet(Duration),
    /// Put what has come into the customer's group.
    Send(Box<Inbound>),
}

impl Conversations {
    /// Puts a part to those of its message that have come. What is no part is whole.
    pub async fn collect(&self, inbound: &Inbound, deadline: Deadline) -> Result<Collected> {
        let alone = |inbound: &Inbound| {
            let mut whole = inbound.clone();
            whole.message.concat = None;
            Ok(Collected::Whole(Box::new(whole), None))
        };
        let (Some(key), Some(concat)) = (inbound.parts_key(), &inbound.message.concat) else { return alone(inbound) };
        if concat.part == 0 || concat.part > concat.total {
            return alone(inbound);
        }
        let id = &inbound.message.message_id;
        loop {
            let known = self.store.parts(&key, deadline).await?;
            let fresh = || Parts {
                since: Timestamp::now().as_millisecond(),
                id: id.clone(),
                total: concat.total,
                parts: BTreeMap::new(),
                handed_on: false,
            };
            let (mut parts, version, is_known) = match known {
                None => (fresh(), None, false),
                Some((parts, version)) => {
                    let same = parts.parts.get(&concat.part).map(|known| known.message.message_id == *id);
                    match (same, parts.handed_on) {
                        (Some(true), true) => return Ok(Collected::Duplicate),
                        (Some(true), false) => (parts, Some(version), true),
                        // The reference is in use again.
                        (Some(false), true) => (fresh(), Some(version), false),
                        // Too late, or a reference that two messages share: better alone than lost.
                        (None, true) | (Some(false), false) => return alone(inbound),
                        (None, false) => (parts, Some(version), false),
                    }
                }
            };
            if !is_known {
                parts.parts.insert(concat.part, inbound.clone());
                if !self.store.put_parts(&key, &parts, version, deadline).await? {
                    continue;
                }
            }
            return Ok(match parts.join() {
                Some(whole) if parts.is_complete() => Collected::Whole(Box::new(whole), Some(key)),
                _ => Collected::Waiting { first: parts.id == *id, key },
            });
        }
    }

    /// The joined message was delivered, or put elsewhere.
    pub async fn handed_on(&self, key: &str, deadline: Deadline) -> Result<()> {
        while let Some((mut parts, version)) = self.store.parts(key, deadline).await? {
            if parts.handed_on {
                break;
            }
            parts.handed_on = true;
            if self.store.put_parts(key, &parts, Some(version), deadline).await? {
                break;
            }
        }
        Ok(())
    }

    /// Whether it is time to go on without the missing parts. From then on they are late.
    pub async fn flush(&self, key: &str, deadline: Deadline) -> Result<Flush> {
        loop {
            let Some((mut parts, version)) = self.store.parts(key, deadline).await? else { return Ok(Flush::Nothing) };
            // The part that completed it delivers it.
            if parts.is_complete() {
                return Ok(Flush::Nothing);
            }
            let age = Timestamp::now().as_millisecond().saturating_sub(parts.since);
            let age = Duration::from_millis(u64::try_from(age).unwrap_or_default());
            if age < self.parts_wait {
                return Ok(Flush::NotYet(self.parts_wait.saturating_sub(age)));
            }
            if !parts.handed_on {
                parts.handed_on = true;
                if !self.store.put_parts(key, &parts, Some(version), deadline).await? {
                    continue;
                }
            }
            return Ok(parts.join().map_or(Flush::Nothing, |whole| Flush::Send(Box::new(whole))));
        }
    }
}

impl Parts {
    fn is_complete(&self) -> bool {
        self.parts.len() == usize::from(self.total)
    }

    /// One message of what has come; where parts are missing, a sign stands for them.
    fn join(&self) -> Option<Inbound> {
        let mut joined = self.parts.values().next()?.clone();
        let message = &mut joined.message;
        // Not the id of the part: the queue would take it for that.
        message.message_id = format!("{}#joined", self.id);
        message.concat = None;
        message.media = self.parts.values().flat_map(|part| part.message.media.clone()).collect();
        let mut text = String::new();
        let mut missing = false;
        for number in 1..=self.total {
            match self.parts.get(&number) {
                Some(part) => text += &part.message.text,
                None if !missing => text += " [part missing] ",
                None => (),
            }
            missing = !self.parts.contains_key(&number);
        }
        text.trim().clone_into(&mut message.text);
        // It then begins with our own sign.
        message.described |= !self.parts.contains_key(&1);
        Some(joined)
    }
}
