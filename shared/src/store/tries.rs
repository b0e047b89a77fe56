//! How often a queue item has failed, and how. The queue's own count would not do: it counts every receipt, whatever the
//! cause, and also those of items that only came along with a failed one.

use crate::{
    deadline::{Deadline, now},
    error::Result,
    store::{
        conversations::Store,
        table::{Item, Write},
    },
};

/// As long as the queues keep an item.
const REMEMBERED: i64 = 14 * 24 * 60 * 60;

const TOLD: &str = "told";
const TRIED: &str = "tried";

/// What is on record of an item's tries.
#[derive(Default)]
pub struct TryRecord(Item);

impl TryRecord {
    /// Counts a try that ended with this code: how often that has been now.
    pub fn add(&mut self, code: &'static str) -> u32 {
        let count = self.0.get_number(code).unwrap_or_default().saturating_add(1);
        self.0 = std::mem::take(&mut self.0).number(code, count).number(TRIED, 1);
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// Whether the item was tried.
    pub fn was_tried(&self) -> bool {
        self.0.get_number(TRIED).is_some()
    }

    /// Whether the delay notice was given.
    pub fn was_told(&self) -> bool {
        self.0.get_number(TOLD).is_some()
    }

    /// Somebody was.
    pub fn tell(&mut self) {
        self.0 = std::mem::take(&mut self.0).number(TOLD, 1);
    }
}

impl Store {
    /// What is on record of a queue item: one call.
    pub async fn tries(&self, item_id: &str, deadline: Deadline) -> Result<TryRecord> {
        let found = self.table.read(&[key(item_id)], deadline).await?.pop().flatten();
        Ok(TryRecord(found.unwrap_or_default()))
    }

    /// Puts it on record: one call. A queue item is in one pair of hands at a time.
    pub async fn put_tries(&self, item_id: &str, record: TryRecord, deadline: Deadline) -> Result<()> {
        let write = Write::put(key(item_id), record.0.until(now() + REMEMBERED));
        self.table.write(&[write], deadline).await.map(drop)
    }
}

fn key(item_id: &str) -> String {
    format!("tries#{item_id}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn each_code_has_a_count_of_its_own() {
        let store = Store::in_memory();
        let soon = || Deadline::after(Duration::from_secs(1));
        for (code, count) in [("THROTTLED", 1), ("INTERNAL", 1), ("THROTTLED", 2), ("THROTTLED", 3), ("INTERNAL", 2)] {
            let mut record = store.tries("m-1", soon()).await.unwrap();
            assert_eq!(record.add(code), count, "{code}");
            store.put_tries("m-1", record, soon()).await.unwrap();
        }
        let mut record = store.tries("m-1", soon()).await.unwrap();
        assert!(record.was_tried() && !record.was_told());
        record.tell();
        store.put_tries("m-1", record, soon()).await.unwrap();
        assert!(store.tries("m-1", soon()).await.unwrap().was_told());
        assert!(!store.tries("m-2", soon()).await.unwrap().was_tried());
    }
}
