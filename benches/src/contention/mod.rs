//! What each shared cache line costs as the number of workers grows, measured without a machine of many cores, and a model of what
//! it costs on one.
//!
//! The [`OPERATIONS`] drive N workers' writers of the registry, local queues or places to sleep from one thread or two. So they
//! show what grows with N by itself: searches through all queues, batches that become smaller, more memory that is in use. What one
//! thread cannot show is how long a line takes from one core to another, and that two of them cannot have it at once. The [`model`]
//! adds that, from an [`inventory`] of the lines.

pub mod inventory;
mod measure;
pub mod model;
mod operations;
mod queues;
mod records;
mod sleepers;
mod threads;

pub use measure::{Cell, Plan, Row, measure};
pub use operations::{OPERATIONS, Operation};
pub use threads::Load;
