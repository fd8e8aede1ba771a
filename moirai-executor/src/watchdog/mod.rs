//! The watchdog tick: what sees to it that work goes on while workers are stuck, and says in what they are.
//!
//! A worker can be in one task, or in one piece of fork-join work, for seconds. The watchdog thread looks every [`TICK`] at what each
//! worker is in ([`activities`]). When a worker has not gone on to something else since the last look, then
//!
//! - what is queued where this worker looks first, and others last or not at all, is put where all look: its queue, its slot;
//! - if work waits and another worker sleeps, that one is woken;
//! - if work waits and no worker has gone on, a *rescuer* is asked for ([`compensate`], [`compensation`]): a thread without a core, which
//!   takes async tasks from the queues as any thread may that is no worker, and polls them until a worker goes on again. If the rescuer
//!   gets stuck as well, then another comes, up to a limit. A rescuer that is not needed ends after a while;
//! - as many rescuers run parallel closures, and pieces of fork-join work, as threads are *blocked*: stuck, not on a
//!   processor since the last look, and asleep ([`cpu_clock`]). For these others may compute without there being
//!   more threads that compute than there are cores. So rescuers are asked for also when some workers go on and others are blocked;
//! - a poll that goes on past its budget is reported ([`watchdog`]).
//!
//! Idle costs nothing (promise P12):
//!
//! 1. *Armed*, the thread looks once a tick. When it has seen twice in a row that every worker is idle, and no rescuer in anything,
//!    it disarms: it clears `armed`, makes a fence, and looks once more. If somebody is busy now, it arms again; otherwise it sleeps
//!    without limit.
//! 2. A worker that stops being idle makes that visible first (in the word of [`Sleepers`](moirai_scheduler::Sleepers)), makes a
//!    fence, and looks at `armed`. If it is clear, it sets it under the lock, and wakes the thread.
//!
//! One of the two fences is first. If it is the thread's, the worker sees `armed` clear. If it is the worker's, the thread sees the
//! worker busy. So no worker is busy for long while the thread sleeps.

pub(crate) mod activity;
mod arming;
pub(crate) mod compensation;
pub(crate) mod cpu_clock;
mod shared;
pub(crate) mod stalls;

pub(crate) use shared::Watchdog;
