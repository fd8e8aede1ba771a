//! The executors that are compared. Each is a process-wide one with its own defaults and two workers, unless another number is
//! chosen. It is started once, and is never stopped.
//!
//! The benches are another package, which takes minutes to be built. The [`path`]s of a task need little of it.
#![deny(unsafe_code)]

#[cfg(feature = "forte")]
mod forte;
pub mod help;
mod interface;
#[cfg(feature = "origin")]
mod origin;
pub mod path;
pub mod scheduled;
mod smol;
mod tokio;

#[cfg(feature = "forte")]
pub use forte::Forte;
pub use interface::{DEFAULT_WORKERS, MOST_WORKERS, Peer, set_workers, workers};
#[cfg(feature = "origin")]
pub use origin::Origin;
pub use scheduled::Ours;
pub use smol::{Smol, StaticSmol};
pub use tokio::Tokio;
