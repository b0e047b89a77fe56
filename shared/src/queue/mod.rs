//! Work that comes from an SQS queue: the queues themselves, a batch of their items, and what becomes of an item whose work
//! failed.

pub mod batch;
pub mod disposition;
pub mod event;
pub mod fifo;
pub mod gate;
pub mod pace;
pub mod sqs;
