//! The cell of a task: what a task is made of, and the protocol by which threads share it.
//!
//! One allocation, the *cell*, holds a [`Header`] and a stage: the future or closure, and later its output. The rest of the
//! executor knows three kinds of pointers to it: a [`RawRunnable`], which is the right to run the task; a [`JoinHandle`]; and
//! wakers. What the cell needs from its executor is behind the trait [`Schedule`], so that loom models can run this very code on an
//! executor of their own.
//!
//! # The protocol
//!
//! One word holds the flags and a reference count ([`state`]). The *runner* is the thread that holds the `RawRunnable`, or that is
//! polling the task.
//!
//! | phase | ACTIVE | WOKEN | COMPLETE | the stage holds | who may touch the stage |
//! | --- | --- | --- | --- | --- | --- |
//! | queued | 1 | 0/1 | 0 | future | the owner of the `RawRunnable` |
//! | polled | 1 | 0/1 | 0 | future | the runner |
//! | waiting | 0 | 0 | 0 | future | no thread |
//! | complete, handle alive | 0 | 0 | 1 | output, or nothing once it is taken | the handle |
//! | complete, no handle | 0 | 0 | 1 | output, then nothing | the runner |
//!
//! 1. **One `RawRunnable`.** ACTIVE is set exactly while one `RawRunnable` exists. The thread that sets it (spawner, waker or
//!    canceller) gets the `RawRunnable` and must queue it. The owner of the `RawRunnable` has exclusive access to the stage, to the
//!    registry record and to the fields of the header that are marked as *the runner's*. A wake that finds ACTIVE set sets WOKEN
//!    instead, and the runner queues the task again when the poll returns `Pending`. A task is created ACTIVE, so its first poll
//!    needs no exchange.
//! 2. **References.** One belongs to the task itself until it is complete, whether or not there are others. Therefore a
//!    `RawRunnable` and the registry's listing need none of their own, and a task that nothing will wake stays in the registry,
//!    where `cancel_task` and shutdown find it. One belongs to the handle, and one to each waker. Dropping the last one frees the
//!    cell. A waker that is consumed drops its reference in the exchange that sets WOKEN, and also in the one that sets ACTIVE, if
//!    the thread keeps the executor alive otherwise: the task's own reference keeps the cell until the `RawRunnable` is queued.
//! 3. **The outcome.** Only the runner ends a task, and in this order: the future is dropped (its panics are caught); the terminal
//!    status is published in the registry, which also ends the listing by id, and the hooks are called; the output is stored in the
//!    stage; COMPLETE is set; then the handle's waker and the tasks that wait for the id are notified. So a thread that learns of
//!    the end finds the record already final. A poll that returns `Poll::Ready` has decided `Completed`, and one that unwinds has
//!    decided `Failed` (or `Cancelled`, if it is the unwinding that stops the fork-join of a cancelled task). CANCEL decides
//!    `Cancelled`, but only between polls: the exchange that ends a poll either sees CANCEL or is seen by the exchange that sets
//!    it.
//! 4. **Cancelling** sets CANCEL, and also ACTIVE if the task waits; the thread that sets ACTIVE queues the task. So the future of
//!    a cancelled task is dropped by a worker, and never inside the caller's `cancel`.
//! 5. **The output** belongs to the handle if HANDLE was set when COMPLETE was set, and to the runner otherwise. The exchange that
//!    clears HANDLE either sees COMPLETE or is seen by the exchange that sets it, so exactly one of the two drops the output.
//! 6. **The handle's waker.** While JOIN_WAKER is clear, the place of the waker is the handle's. While it is set, the place is only
//!    read. To replace or drop the waker, the handle clears the bit, which fails once the task is complete. If a runner completes the
//!    task with the bit set, the waker is the runner's, which copies it out of the place, and wakes and so drops it. From then on
//!    the bit and the place stay as they are: the handle may still compare a waker with what is in the place, but takes nothing out.
//!    The freeing of the cell never drops a waker: otherwise cells that hold each other's wakers would be freed in a chain, or never.
//! 7. **A `RawRunnable` that is dropped** unrun ends the task as cancelled at once, on the thread that drops it. If no cancellation
//!    was asked for before, the cause is that of [`Schedule::cause_if_dropped`]: the executor's shutdown, once that has begun.
//! 8. **User code** (polls, destructors, wakers) runs under `catch_unwind` and with no lock held.
//! 9. **The last reference.** A thread that has a reference and sees that it is the only one needs no exchange any more: a new
//!    reference is made from an existing one or through the registry, and the registry lists the task only as long as the task's
//!    own reference exists. A runner that is alone with the cell does not even set COMPLETE.
//! 10. **Yields.** A poll that wants to be followed by another one, after the tasks that are queued now, need not wake its task: it
//!     notes that in the header, as the runner ([`yield_task`]), and the runner queues the task again without an exchange of the
//!     state word. A wake that comes meanwhile has set WOKEN, which the next poll clears; a cancellation is seen at the end of this
//!     poll or at the beginning of the next.
//! 11. **Children.** A task that is watched may have children, which the executor asks to stop after the task was asked, and after it
//!     has failed. Whoever registers a child marks the parent under the lock of the children's table: either it sees CANCEL or
//!     COMPLETE, or the canceller, or the runner, sees WATCHED and finds the child in the table.
//!
//! Header, vtable and state word follow the cells of tokio and of async-task. Two things differ here: a task is created active, and
//! what keeps it alive is the reference that goes with its listing in the registry (rule 2).

mod cell;
mod end;
mod header;
mod join_handle;
mod memory;
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

pub(crate) use header::{Header, Outcome, PollKey, RawRunnable, Schedule};
pub(crate) use join_handle::JoinHandle;
pub(crate) use memory::trim as trim_memory;
pub(crate) use new::{NewTask, published};
pub(crate) use reference::{TaskRef, Watched};
pub(crate) use state::TaskPtr;
pub(crate) use waker::{waker_table, yield_task};
pub(crate) use work::{Closure, Work};
