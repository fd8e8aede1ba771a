//! Fork-join work: Moirai beside chili, rayon, Forte, and one thread alone.
//!
//! Each peer is called from the benchmark's own thread:
//!
//! - *Outside*, the work is called on that thread, which is not a worker. In Moirai it takes part in the work and counts as one of
//!   the workers.
//! - *Inside*, the work is called in a parallel task. That thread waits for the task with `join`, and takes parts of its work
//!   meanwhile.
//! - In rayon, the work is called in `install`, which runs it on the pool while that thread sleeps.
//! - In chili, that thread is always one of the threads of the pool, so there is no difference.

mod coarse;
mod data;
mod fine;
mod groups;
mod many;
mod mixed;
mod setup;
mod sorts;

pub(super) use groups::groups;
