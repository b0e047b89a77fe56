//! The right to deliver for one customer, where no FIFO queue keeps a customer's messages in order.

use std::time::Duration;

use uuid::Uuid;

use crate::{
    deadline::{Deadline, now},
    error::{Error, Kind, Result},
    inbound::Inbound,
    store::{
        conversations::Store,
        table::{Condition, Item, Write},
    },
};

/// How long a direct delivery that found another one under way waits before it looks again, at most.
const LEASE_WAIT: Duration = Duration::from_millis(150);

/// The right to deliver for one customer.
pub struct Lease {
    key: String,
    owner: String,
}

impl Store {
    /// Waits for the right to deliver for this customer. It ends with the deadline, whatever becomes of its holder.
    pub async fn lease(&self, inbound: &Inbound, deadline: Deadline) -> Result<Lease> {
        let key = format!("lease#{}", inbound.group_id());
        let owner = Uuid::new_v4().simple().to_string();
        loop {
            let left = i64::try_from(deadline.remaining().as_secs()).unwrap_or(i64::MAX / 2);
            let item = Item::default().text("by", &owner).until(now() + left + 2);
            if self.table.write(&[Write::put(&key, item).only_if(Condition::Free)], deadline).await? {
                return Ok(Lease { key, owner });
            }
            let known = self.table.read(std::slice::from_ref(&key), deadline).await?.pop().flatten();
            if known.is_some_and(|item| item.get("by") == Some(&owner)) {
                return Ok(Lease { key, owner });
            }
            let wait = LEASE_WAIT.mul_f64(0.3 + 0.7 * fastrand::f64());
            if deadline.remaining() <= wait {
                return Err(Error::new(Kind::NotStored, "Another message of this customer is being delivered"));
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Gives it back.
    pub async fn release(&self, lease: Lease, deadline: Deadline) -> Result<()> {
        let mine = Condition::Text("by", lease.owner);
        self.table.write(&[Write::delete(lease.key).only_if(mine)], deadline).await.map(drop)
    }
}
