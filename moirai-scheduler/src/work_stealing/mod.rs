//! The default scheduler: a queue per worker, and whoever runs dry steals.

mod bands;
mod in_flight;
mod local;
mod scheduler;
#[allow(unsafe_code)]
mod slot;

#[cfg(all(test, moirai_loom))]
mod loom;

pub use bands::{ELEVATED_RUN, HIGH_EVERY, LOW_EVERY};
pub use local::{INJECTOR_EVERY, SLOT_RUN, WorkStealingLocal};
pub use scheduler::WorkStealing;
