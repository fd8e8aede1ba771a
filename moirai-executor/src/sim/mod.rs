//! A whole executor on one thread, with an order drawn from a seed and a simulated time.
//!
//! [`Simulation::run`] creates an executor without threads and polls its tasks on the calling thread, one at a time, in an order
//! that the [`Deterministic`](moirai_scheduler::Deterministic) scheduler draws. Time stands still while anything can go on, and
//! then advances to the next moment that something waits for. So the same seed gives the same interleaving, the same times and the
//! same records, in every run and on every machine, and an hour of timeouts takes a moment.
//!
//! # What is simulated
//!
//! - **Tasks**: a step is a poll. The worker that makes it is drawn as well.
//! - **Closures**, parallel and blocking, take one step each, unless they wait for a task.
//! - **Waiting for a task** in the middle of a step, by `join` of a handle or by `block_on`, also of a channel's future: other
//!   tasks go on meanwhile, and the wait ends when what it waits for has happened and the waiting thread is drawn.
//! - **`join`, `scope` and what is built on them**: which closure goes first is drawn; each runs to its end.
//! - **Time**: [`time`](crate::time), deadlines of tasks, timeouts of waits, and the ages of records.
//!
//! Threads that the program starts, the operating system's clock, files, sockets and the iteration order of a `HashMap` are *not*
//! simulated. A program whose course depends on them is not deterministic. And a step that blocks on anything but a task, such as a
//! channel of `std` or a blocking wait of `moirai-sync`, blocks the simulation itself: forever, if another task would have to end
//! the wait.
//!
//! # The protocol
//!
//! 1. **One thread has the turn**, and only it accesses what is simulated. At first it is the caller's.
//! 2. The thread with the turn is *between steps*: it makes the next step, or gives the turn to a thread that can go on.
//! 3. A thread that has to wait *in the middle of a step* enters itself, with what wakes it, in the list of threads that wait, and
//!    gives the turn to a thread between steps. If there is none, it starts one. When it gets the turn back it goes on, and when
//!    the step is done it is between steps.
//! 4. A turn is given and taken under the lock, so everything that is simulated happens in one order.
//! 5. **The end** comes when the scenario has ended, or when nothing can go on. From then on a thread that waits in the middle of a
//!    step unwinds when it gets the turn, as a cancelled task does. Tasks that are queued or waiting are cancelled. Then the other
//!    threads end, and last the call on the caller's thread returns.

mod driver;
mod explore;
mod failure;
mod simulation;

pub use explore::Exploration;
pub use failure::{Cause, Failure};
pub use simulation::{Run, Simulation};
