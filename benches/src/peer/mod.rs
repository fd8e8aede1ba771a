//! The executors that are compared. Each is a process-wide one with its own defaults and two workers, unless another number is
//! chosen. It is started once, and is never stopped.

#[cfg(feature = "forte")]
mod forte;
mod interface;
#[cfg(feature = "origin")]
mod origin;
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
