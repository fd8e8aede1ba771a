//! Timelines: a [`Flight`](moirai_core::Flight) in the formats that viewers of traces open.
//!
//! [`perfetto()`] writes the format of Perfetto, whose viewer is a web page, and [`chrome()`] the older JSON of `chrome://tracing`, which
//! Perfetto and others open, too. Both have a track for each thread, with a slice for each poll, each part of fork-join work and each
//! time of idleness; marks for spawns, wake-ups, late timers, thefts and stalls; flows, drawn as arrows, that lead from the spawn or
//! wake-up of a task to its next poll; and counters of the tasks that are active and queued.
//!
//! The counters are what follows from the flight alone. A task whose spawn or wake-up the rings no longer hold, or which a thread that
//! is not the executor's has spawned or woken, counts from its next event on, so they are too low at the beginning of a flight.
//!
//! With the feature `dial9`, `dial9` writes the format of tokio's flight recorder of that name, which has no place for the others.
//!
//! ```
//! use moirai_core::{Clock, Flight};
//! use moirai_metrics::trace;
//!
//! let flight = Flight::new(Clock::system().now(), Vec::new(), Vec::new());
//! let mut json = Vec::new();
//! trace::chrome(&flight, &mut json)?;
//! assert!(json.starts_with(b"{"));
//! let mut pftrace = Vec::new();
//! trace::perfetto(&flight, &mut pftrace)?;
//! # Ok::<(), std::io::Error>(())
//! ```

mod chrome;
#[cfg(feature = "dial9")]
mod dial9;
mod perfetto;
#[cfg(test)]
mod tests;
mod timeline;

pub use chrome::chrome;
#[cfg(feature = "dial9")]
pub use dial9::dial9;
pub use perfetto::perfetto;
