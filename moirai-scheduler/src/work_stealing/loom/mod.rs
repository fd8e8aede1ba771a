//! Models of the work-stealing scheduler.

mod batches;
mod handover;
mod priorities;
mod slot;
