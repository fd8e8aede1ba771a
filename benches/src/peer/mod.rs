//! The executors that are compared, set up alike: two workers each, started once a process and never stopped.

#[cfg(feature = "forte")]
mod forte;
mod interface;
pub mod scheduled;
mod smol;
mod tokio;

#[cfg(feature = "forte")]
pub use forte::Forte;
pub use interface::{Peer, WORKERS};
pub use scheduled::Ours;
pub use smol::{Smol, StaticSmol};
pub use tokio::Tokio;
