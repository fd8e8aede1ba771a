//! Flights: what the threads of an executor did lately, from its flight recorder.
//!
//! Each thread of an executor writes its events into a ring of its own, in two words each; see [`raw`]. A [`Flight`] is what was read
//! from all rings, decoded. When something goes wrong, the executor keeps a copy of the rings as an [`Incident`].

mod config;
mod decode;
mod event;
mod incident;
pub mod raw;
mod snapshot;

pub use config::FlightRecorderConfig;
pub use event::{FlightEvent, FlightEventKind, PollOutcome};
pub use incident::{Incident, IncidentCause};
pub use snapshot::{Flight, FlightThread};
