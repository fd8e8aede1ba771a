//! A service under load: requests that wait, compute and wait again, with pings beside them, and how long each takes.
//!
//! The load is *open-loop*: requests arrive by a schedule that is fixed before the run and does not wait for the answers, and a
//! latency is counted from the time at which a request was to arrive. So a run in which requests pile up shows it.
//!
//! - [`schedule`] draws the arrivals: requests at random (a Poisson process with a fixed seed), pings at even distances.
//! - [`work`] is what a request computes: 64 parts, each a fixed number of iterations, which is chosen once for the process such
//!   that a request takes a millisecond of CPU time while all workers compute. The amount of work is fixed rather than the time,
//!   because work that goes on until some time has passed is done sooner by whoever uses more threads than there are cores.
//! - [`rows`] are the ways to serve a request, on tokio, on tokio with rayon, and on Moirai with each of some schedulers.
//! - [`run`] serves one schedule in one of these ways. The driver that lets requests arrive is a thread of its own, which sleeps
//!   with the finest timer of the system and spawns from outside of the executor: it is not a task, which could starve, and it does
//!   not spin, which would take a core away from the workers. While every core computes, the system may let it wait for some
//!   milliseconds, which is part of every latency; so how late it was is measured as well.
//! - [`table`] prints the medians over the runs of each row and the worst of them.

pub mod arguments;
pub mod rows;
pub mod run;
pub mod schedule;
pub mod table;
pub mod work;
