//! The watchdog: it keeps work going while workers are stuck, and reports the tasks in which they are.
//!
//! A worker can be in one task, or in one stolen job, for seconds. In each tick, every [`TICK`](crate::runtime::watchdog_thread),
//! the watchdog thread looks at what each worker is in ([`activity`]). When a worker has not gone on to something else since the
//! last tick, then
//!
//! - the tasks that are queued where this worker looks first, and others last or not at all (its queue and its slot), are moved to
//!   where all workers look;
//! - if work waits and another worker sleeps, that worker is woken;
//! - if work waits and no worker has gone on, a *compensation thread* is requested ([`compensation`]; its body is in
//!   [`runtime`](crate::runtime::compensation_thread)). This is a thread without a core, which takes async tasks from the queues as any
//!   thread that is not a worker may, and polls them until a worker goes on again. If the compensation thread gets stuck as well,
//!   then another one is started, up to a limit. A compensation thread that is not needed ends after a while;
//! - compensation threads run parallel closures and stolen jobs, too, but no more of them at a time than threads are *blocked*:
//!   stuck, not on a processor since the last tick, and asleep ([`cpu_clock`]). In place of a blocked thread another may compute,
//!   without there being more threads that compute than there are cores. So compensation threads are requested also when some
//!   workers go on and others are blocked;
//! - a poll that goes on past its budget is reported ([`stall_budgets`]).
//!
//! With no work, no thread wakes (promise P12):
//!
//! 1. While it is *armed*, the watchdog thread looks once a tick. When it has seen twice in a row that every worker and every
//!    compensation thread is idle, it disarms: it clears `armed`, executes a fence, and looks once more. If a thread is busy now,
//!    it arms again; otherwise it sleeps without a limit.
//! 2. A worker that stops being idle first makes that visible (in the word of [`Sleepers`](moirai_scheduler::Sleepers)), then
//!    executes a fence, and then looks at `armed`. If that is clear, the worker sets it under the lock, and wakes the watchdog
//!    thread.
//!
//! One of the two fences comes first. If it is the watchdog thread's, the worker sees that `armed` is clear. If it is the worker's,
//! the watchdog thread sees that the worker is busy. So no worker is busy for long while the watchdog thread sleeps.

pub(crate) mod activity;
mod arming;
pub(crate) mod compensation;
pub(crate) mod cpu_clock;
mod shared;
pub(crate) mod stall_budgets;

pub(crate) use shared::Watchdog;
