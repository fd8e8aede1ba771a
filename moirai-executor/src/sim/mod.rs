//! A whole executor on one thread, with its order drawn from a seed and a time of its own.
//!
//! [`Simulation::run`] makes an executor without threads and polls its tasks on the caller's, one at a time, in an order that the
//! [`Deterministic`](moirai_scheduler::Deterministic) scheduler draws. Time stands still while anything can go on, and then
//! jumps to the next moment for which somebody waits. So the same seed gives the same interleaving, the same moments and the same
//! writer, in every run and on every machine, and an hour of timeouts takes a moment.
//!
//! # What is simulated
//!
//! - **Tasks**: a step is a poll. Each step is made by one of the simulated workers, drawn as well.
//! - **Closures**, parallel and blocking, are one step each, unless they wait for a task.
//! - **Waiting for a task** in the middle of a step, by `join` of a handle, `block_on`, or a channel's future in it: others go on meanwhile,
//!   and the wait ends when what it waits for has happened and it is drawn.
//! - **`join`, `scope` and what is built on them**: which closure goes first is drawn; each runs to its end.
//! - **Time**: [`time`](crate::time), deadlines of tasks, timeouts of waits, and the ages of records.
//!
//! What is *not*: threads that the program starts, the operating system's clock, files, sockets, the iteration order of a `HashMap`: a
//! program whose course depends on those is not deterministic. And a wait for something that is no task, by a channel of `std` or a blocking
//! wait of `moirai-sync`, stops the simulation itself: for ever, if another task was to end it.
//!
//! # The protocol
//!
//! 1. **One thread has the turn**, and only it touches what is simulated. At first it is the caller's.
//! 2. The thread with the turn is *between steps*: it makes the next step, or gives the turn to a thread that can go on.
//! 3. A thread that has to wait *in the middle of a step* is entered in the list of those that wait, with what wakes it, and gives the turn
//!    to a thread between steps; if there is none, it starts one. When it gets the turn back it goes on, and is between steps when the
//!    step is done.
//! 4. A turn is given under the lock and taken under the lock, so all that is simulated happens in one order.
//! 5. **The end** comes when the scenario has, or when nothing can go on. From then on threads that wait in the middle of a step unwind when
//!    they get the turn, as cancelled tasks do; what is queued or waiting is cancelled; then the other threads end, and last the
//!    caller's returns.

mod driver;
mod explore;
mod failure;
mod simulation;

pub use explore::Exploration;
pub use failure::{Cause, Failure};
pub use simulation::{Run, Simulation};
