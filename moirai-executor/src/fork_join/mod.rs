//! Fork-join: `join` and `scope` on the workers that also run tasks.
//!
//! # Terms
//!
//! A [`join`](LocalJobs::join) runs its first closure at once, and keeps the second, its *half*, in its own stack frame. A thread
//! that is inside fork-join work has a [`LocalJobs`]: the list of the halves that its frames hold, newest first. The
//! [`SharedJobs`] is where halves and the jobs of scopes are *public*: what is taken from it is a *piece*. A [`Frame`] is one
//! origin of work: a call from outside of any fork-join, the run of a stolen half, a scope. Frames form a tree, by which
//! the shared_jobs knows what is *below* what. The [`Host`](host::Host) is what fork-join needs of the executor.
//!
//! Nothing here is a task: halves and jobs belong to the task that called, and are on its account.
//!
//! # The protocol
//!
//! 1. **A half's life.** `PRIVATE → PUBLIC → TAKEN → DONE`, or back from `PUBLIC` to its owner; `WAITED` and `WAKING`
//!    stand between `TAKEN` and `DONE` if the owner sleeps. The owner alone leaves `PRIVATE`, and only under the shared_jobs's lock. `PUBLIC`
//!    is left only under the lock, by who takes the half off the shared_jobs: a thief, or the owner. So while a half is private its
//!    owner can take it back with a load and a store, and no read-modify-write.
//! 2. **What is in it.** The slot of a half holds the closure until it is called, then the result. While it is `PRIVATE` or
//!    `PUBLIC` it is the owner's; from `TAKEN` on it is the thief's; from `DONE` on the owner's again. The lock hands it to
//!    the thief, the store of `DONE` (Release) and the owner's load of it (Acquire) local_jobs it back.
//! 3. **The frame is gone** as soon as the owner sees `DONE`. So the store of `DONE` is the thief's last access to the half.
//!    An owner that goes to sleep leaves its unparker in the half and changes `TAKEN` to `WAITED` (Release); one that wakes for
//!    another reason changes that back. In both states the place of the unparker is the owner's. A thief that finds `WAITED`
//!    changes it to `WAKING` (Acquire), by which the place is the thief's; it takes the unparker out, stores `DONE`, and then wakes
//!    with what it has taken.
//! 4. **Unwinding.** Between a half's entry into the list and its recovery nothing unwinds: the first closure is called
//!    under `catch_unwind`, a thief calls the half under `catch_unwind`, and what a panic carries goes on when both are done.
//! 5. **When halves become public.** A `join` makes the oldest of its thread's private halves public, which is the largest, if
//!    the thread has none that is public; and further ones while the shared_jobs is *wants_jobs*: while fewer pieces are public than
//!    workers are idle. So a single coarse `join` runs in parallel, every thread that has halves has one that an idle worker
//!    finds, and all others stay private. Whoever changes what is on the shared_jobs says under the lock whether it is wants_jobs; a
//!    worker that finds nothing there says that it is. Scopes do the same with their jobs.
//! 6. **Waiting.** Who waits for a half or for a scope runs what the shared_jobs has below it, and nothing else (promise P14). If
//!    there is nothing, it looks again for a moment, and then sleeps in its seat, like a worker without work; if it is called for
//!    work that is not its own, it gives the seat to another thread. So no lock that the
//!    caller holds can be asked for on its own stack by work that has nothing to do with the call, and stacks grow no deeper than
//!    the program's own recursion makes them.
//! 7. **Guests.** A thread without a seat that calls lends its own hands, and counts as one of the workers meanwhile: so many
//!    fewer are woken, because the cores are as many as the workers.
//! 8. **Waking.** Making a piece public is a push in the sense of the scheduler's contract, and a worker's look at the shared_jobs a
//!    pop: the piece is counted before the fence of `invite`, and the count is read after the fence of the sleeper's
//!    announcement. A piece for which nobody was woken, because of rule 7 or because somebody was searching and found another, is not lost: its owner
//!    comes back for it. Whoever takes a piece and leaves others invites the next worker.
//! 9. **Cancelling.** Each split looks at the flag of the task that called, and unwinds from there if the task was asked to
//!    stop, by a payload of our own that the task's cell knows. Where a thread unwinds already, in destructors, it goes on instead.
//! 10. **Scopes.** Jobs are boxed. Those that the scope's own thread spawns wait in its own queue, and become public by rule 5;
//!     those that other threads spawn are public at once. A scope that has never had a public job is never seen by anyone
//!     else. One that has is entered on the shared_jobs, with a count of the jobs that were made public and have not finished; the
//!     scope ends when its own queue is empty and the count, read under the lock, is zero. The last access of a thief to
//!     anything of the scope is under the lock.
//!
//! That a chain of frames can be followed under the lock: a half or job on the shared_jobs has not been run, so neither it nor
//! anything that it is below has finished, and their frames are still there. To finish they would first need the lock.
//!
//! Keeping halves private until they are asked for is the idea of lazy task creation and of split deques (Lace, van Dijk and
//! van de Pol 2014); offering the oldest is Spice's, and chili's. That the shared_jobs asks, instead of a timer, and that each
//! thread always has one that is public, is ours. Waiting only for what is below is leapfrogging (Wagner and Calder 1993).

pub(crate) mod frame;
pub(crate) mod host;
pub(crate) mod latch;
pub(crate) mod local_jobs;
pub(crate) mod scope_core;
pub(crate) mod scope_job;
pub(crate) mod shared_jobs;
pub(crate) mod stack_job;

#[cfg(all(test, moirai_loom))]
mod loom;

pub(crate) use local_jobs::LocalJobs;
pub(crate) use shared_jobs::{SharedJobs, StolenJob};
