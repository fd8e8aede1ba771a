//! What a task is made of.
//!
//! One allocation, the *cell*, holds a [`Header`] and a stage: the future or closure, and later its output. The rest of the
//! executor knows three pointers to it: a [`Runnable`], the right to run the task; a [`TaskHandle`]; and wakers. What the
//! cell needs from the executor is behind [`Schedule`], so that models run this very code on a executor of their own.
//!
//! # The protocol
//!
//! One word of flags and a reference count ([`state`]):
//!
//! | phase | ACTIVE | WOKEN | COMPLETE | the stage holds | who may touch the stage |
//! | --- | --- | --- | --- | --- | --- |
//! | queued | 1 | 0/1 | 0 | future | the owner of the `Runnable` |
//! | polled | 1 | 0/1 | 0 | future | the runner |
//! | waiting | 0 | 0 | 0 | future | nobody |
//! | complete, handle alive | 0 | 0/1 | 1 | output, or nothing once it is taken | the handle |
//! | complete, no handle | 0 | 0/1 | 1 | output, then nothing | the runner |
//!
//! 1. **One `Runnable`.** ACTIVE is set exactly while one `Runnable` exists. Who sets it (the spawner, a waker, a canceller)
//!    gets the `Runnable` and must queue it; who holds the `Runnable` is alone with the stage, the registry record and
//!    the fields of the header marked *the runner's*. A wake that finds ACTIVE sets WOKEN instead, and the runner, when the
//!    poll returns `Pending`, queues the task again. A task is born ACTIVE, so its first poll needs no exchange.
//! 2. **References.** One belongs to the task until it is complete, whether or not anybody else has one: so a `Runnable` and
//!    the registry's listing need none of their own, and a task that nothing will wake stays in the books, where
//!    `cancel_task` and shutdown find it. One belongs to the handle, one to each waker. The last one frees the cell.
//! 3. **The outcome.** Only the runner ends a task, and in this order: the future is dropped (guarded), the terminal status is
//!    published in the registry, which also ends the listing by id, the hooks are told, the output is put in its place,
//!    COMPLETE is set, then the handle's waker and those who wait by id are told. So whoever learns of the end finds the
//!    books settled. A poll that returns `QueueReason` has decided `Completed`, one that unwinds `Failed`; CANCEL decides
//!    `Cancelled`, but only between polls: the exchange that ends a poll sees it or is seen by it.
//! 4. **Cancelling** is CANCEL, and ACTIVE if the task waits; whoever sets ACTIVE queues it. So a cancelled future is dropped
//!    by a worker, and never inside the caller's `cancel`.
//! 5. **The output** belongs to the handle if HANDLE was set when COMPLETE was, else to the runner. The exchange that clears
//!    HANDLE sees COMPLETE or is seen by it, so exactly one of them drops it.
//! 6. **The handle's waker.** While JOIN_WAKER is clear its place is the handle's. While it is set the place is only read.
//!    The handle clears the bit to replace the waker, which fails once the task is complete. Whoever completes the task with
//!    the bit set wakes by reference and then clears it. Whichever comes last of that and of the clearing of HANDLE drops the
//!    waker: never the freeing of the cell, or cells whose wakers are each other's would be freed in a chain, or never.
//! 7. **A `Runnable` that is dropped** unrun ends the task as cancelled by shutdown, then and there.
//! 8. **User code** (polls, destructors, wakers) runs under `catch_unwind` and with no lock held.
//! 9. **Alone with the cell.** Who has a reference and sees that it is the only one needs no exchange any more: a new
//!    reference comes from an old one, or from the books, which publish the task as long as its own reference exists.
//!
//! The idea of header, vtable and state word is that of tokio's and of async-task's cells; that a task is born active, and
//! that the books hold the reference which keeps it alive, is what makes ours differ.

mod cell;
mod header;
mod join;
mod new;
mod reference;
mod run;
mod state;
mod waker;
mod work;

#[cfg(all(test, moirai_loom))]
mod loom;
#[cfg(test)]
mod test_executor;
#[cfg(all(test, not(moirai_loom)))]
mod tests;

pub(crate) use header::{Header, Outcome, RawRunnable, Schedule};
pub(crate) use join::JoinHandle;
pub(crate) use new::{NewTask, Spawned};
pub(crate) use reference::TaskRef;
pub(crate) use state::{CancelReason, TaskPtr};
pub(crate) use work::{Closure, Work};
