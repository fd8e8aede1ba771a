//! Fork-join: `join` and `scope` on the workers that also run tasks.
//!
//! # Terms
//!
//! A [`join`](join::join) calls its first closure at once, and keeps the second as a *stack job* in its own stack frame. A
//! thread that is inside of fork-join work has [`LocalJobs`]: the list of the stack jobs in its frames. Jobs that are spawned in a
//! scope are *heap jobs*, because they outlive the frame that spawns them. [`SharedJobs`] holds the jobs that are *public*, which
//! any worker may take; one that was taken is a *stolen job*, and the thread that took it is its *thief*. A [`Frame`](frame::Frame)
//! is one origin of work: a call from outside of fork-join work, the run of a stolen job, or a scope. Frames form a tree, which
//! tells what is a *descendant* of what. The [`Host`](host::Host) is what fork-join needs of the executor.
//!
//! Nothing here is a task. Jobs belong to the task that called, and their time counts as its time.
//!
//! # The protocol
//!
//! 1. **The life of a stack job.** `PRIVATE → PUBLIC → TAKEN → DONE`, or from `PUBLIC` back to its owner; `WAITED` and `WAKING`
//!    stand between `TAKEN` and `DONE` if the owner sleeps. For a job in a slot, `IN_SLOT` stands in the place of `PUBLIC`, by rule 13. Only the owner changes `PRIVATE`, and to `PUBLIC` only under the lock of the shared jobs. `PUBLIC` is
//!    changed only under that lock, by the thread that takes the job out: a thief, or the owner. So the owner takes a private job
//!    back with a load and a store, and without a read-modify-write.
//! 2. **Its content.** A stack job holds the closure until it is called, then the result. The content is the owner's until a thief
//!    has taken the job out of the list or the slot, then the thief's, and from `DONE` on the owner's again. The lock, or the
//!    ticket of the slot, hands it to the thief. The store of `DONE` (Release) and the owner's load of it (Acquire) hand it back.
//! 3. **The end of its frame.** The frame may be gone as soon as the owner has seen `DONE`, so the store of `DONE` is the thief's
//!    last access to the job. An owner that goes to sleep leaves its unparker in the job and changes `TAKEN` to `WAITED` (Release).
//!    If it wakes up for another reason it changes that back. In both states the unparker's field is the owner's. A thief that
//!    finds `WAITED` changes it to `WAKING` (Acquire), which makes the field its own; it moves the unparker out, stores `DONE`, and
//!    only then wakes the owner.
//! 4. **Unwinding.** Nothing unwinds between a job's entry into the list and its removal, nor between a theft and the end of the
//!    job, nor out of a scope that has jobs. All closures are called under `catch_unwind`, and a panic is resumed when all of them
//!    are done. What the [`Host`](host::Host) calls of users, it contains. An `AbortOnUnwind` ends the process if any of that is
//!    untrue.
//! 5. **Publication.** A `join` publishes the oldest private job of its thread, which is the largest, if the thread has no public
//!    job. So a single coarse `join` runs in parallel, every thread that has jobs has one that an idle worker finds, and all others
//!    stay private. Each thread that steals a job divides it, and publishes a part of its own: so several idle workers find jobs, one
//!    after the other, although each thread publishes one. A thread without a slot (rule 13), which publishes seldom, publishes further
//!    ones while [`wants_jobs`](SharedJobs::wants_jobs) holds, which is while fewer jobs are public than workers are idle. Every
//!    change of the list sets or clears `wants_jobs` under the lock. A worker that finds no job sets it, and a thread that publishes
//!    in a slot clears it if one worker is idle at the most. Scopes publish their jobs by that rule.
//!
//!    But a thread that runs a long closure cannot publish anything, and its public job may be a short one. So it publishes four more
//!    in the list, and four more again when one of its jobs was stolen, or a task of its begins fork-join work: but not sooner than
//!    200 µs after the last four, since a thread waits for what is stolen of its smaller jobs. For the same reason a worker that has
//!    tasks looks for public jobs only each 200 µs. One that has none and searches takes a job out of a slot only if it is still there a
//!    tenth of a microsecond later; after one that is not, it looks less often. When it was woken or told, and before it sleeps, it
//!    takes any: out of the slots first, each time from the next one on, or every eighth time out of the list.
//! 6. **Waiting.** A thread that waits for a job or for a scope runs public jobs that are descendants of it, and nothing else
//!    (promise P14). If there are none, it looks again for up to 200 µs, and then sleeps while it holds its core, like a worker without
//!    work. If there is work that it must not run, it hands the core off to another thread. So unrelated work never runs on
//!    the stack of a caller that may hold a lock, and stacks grow no deeper than the program's own recursion makes them.
//!
//!    If the executor's threads are to keep their worker index, the thread keeps its core instead. It cannot wait until another thread
//!    gives the core back, because that thread may be blocked by a lock that the caller holds. Meanwhile it also runs what no other
//!    thread may run: its shares of broadcasts, and what a part of the work that it waits for has installed here from another
//!    executor.
//! 7. **External threads.** A thread without a core that calls takes part in the work, and counts as one of the workers while it
//!    does and does not sleep: one worker fewer is woken, because there are as many processors as workers.
//! 8. **Waking.** Publishing a job is a push in the sense of the scheduler's contract, and a worker's look at the shared jobs is a
//!    pop. A publisher counts the job, makes a fence, and reads how many workers sleep, and how many external threads there are. A
//!    worker that is about to sleep announces it, makes a fence, and looks. An external thread that stops counting as one does so,
//!    makes a fence, and looks. So of a publisher and a worker that falls asleep, and of a publisher and an external thread that
//!    leaves, at least one sees the other.
//!
//!    Whether one is woken depends on who will run the job otherwise. A job that its owner takes back is an
//!    [*invitation*](host::Host::invite): nobody is woken if a worker searches already, or if rule 7 does not allow it. A worker
//!    that takes a job, or a task in its search, and leaves jobs, invites the next one. The thread of a scope may be blocked in the
//!    scope's closure until its jobs have run, so for the first public job of a scope a worker is invited whatever rule 7 says. And
//!    for a job that a thread spawns in the scope of another, whose thread may be asleep, a worker is
//!    [*notified*](host::Host::notify), as for a task.
//! 9. **Cancellation.** Every `join` checks whether the task that called was asked to stop, and if so unwinds from there, with a
//!    payload that the task recognizes. A thread that is unwinding already, and runs fork-join work in a destructor, goes on
//!    instead, and so do the threads that take parts of that work, also if the task is asked to stop later. The same holds for the
//!    destructors of what stopped work leaves behind. Work that the task waits for in another executor, or on all workers, also asks
//!    the frame in which the task waits, which lives until that work has ended.
//! 10. **Scopes.** Jobs that the scope's own thread spawns are *private* at first: they wait in the scope's own queue, which has a
//!     lock of its own, and become public by rule 5. Those that other threads spawn are public at once. A scope that has never had
//!     a public job is known to no other thread. One that has is entered in the shared jobs, with a count of the jobs that were
//!     made public and have not finished. The scope ends when its own queue is empty and the count, read under the lock, is zero. A
//!     copy of the count in the scope tells the scope's thread, while it waits, that it need not take the lock to look. A thief's last
//!     access to anything of the scope is under the lock.
//! 11. **Private jobs of scopes are in reach.** The closure of a scope may block until its jobs have run. So a scope that has
//!     private jobs has a public one: a thread that takes the last public job stores that there is none, and then publishes half
//!     of the private ones; and the scope's thread queues a private job, and then publishes if it reads that none is public. Both
//!     hold the lock of the scope's queue in between, so one of them sees the other. That lock is taken under the lock of the
//!     shared jobs, and never the other way round. A thief takes short jobs several at a time; those that it has not begun are in
//!     nobody's reach, so a job must not wait for another job of its scope.
//! 12. **Sleep and announced blocks.** A thread that is about to sleep in a wait, or announces that it blocks, by `block_in_place`
//!     or `block_on` for example, publishes all its private stack jobs before, and invites a worker whatever rule 7 says. While it
//!     blocks it does not count as an external thread. It may block until those jobs have run.
//!
//! 13. **Slots.** Each worker has a slot, a place for one public job, which needs no lock. A thread claims the slot of the worker whose
//!     core it holds, and from then on is the only one to put jobs there; it gives the slot up when it stops running that worker's
//!     tasks. A thread that finds the slot of its worker claimed, because the thread that held the core before has not given it up,
//!     claims another one, and there are a few more than workers; so does a thread without a core, for the time of a call that finds no
//!     jobs in the thread's frames. If none is free, it publishes by the lock. Whenever a thread publishes a job
//!     and its slot is free, its oldest private job goes there; the others go into the list. So a `join` whose job is the thread's only
//!     one takes no lock, whether it is the outermost of a task or inside of a stolen job. A call gives its slot up when its own jobs
//!     have ended, and with them every job that it can have put there.
//!
//!     The owner stores the job, and then a *ticket*, a number that no publication in this slot had before, with a bit that says
//!     that the slot is full (Release). A thief reads the ticket (Acquire), then the job, and removes the bit by a
//!     compare-exchange (Release). If that succeeds, there was no other publication meanwhile, though the next job often has the same
//!     address. The owner takes the job back by the same exchange. If that fails, it waits for `DONE` as in rule 3. An owner that
//!     publishes its next job while a thief runs the last one reads first that the bit is gone (Acquire): the thief's reads of the
//!     slot come before what the owner stores there.
//!
//!     The state of the job is `IN_SLOT` meanwhile. The thief changes it to `TAKEN` a little after it has the job, so the owner
//!     treats `IN_SLOT` as `TAKEN` when it goes to sleep, and the thief does not change any other state. A full slot is a public
//!     job in the sense of rule 8: the ticket is stored before the publisher's fence, and a worker that is about to sleep looks
//!     into all slots after its own.
//!
//!     Nobody may follow the frame of a job in a slot, because the job can be taken back at any time. So the slot itself names the task
//!     that called, and as what the job's nearest ancestors are waited for. By these a thread that waits finds descendants there. It
//!     does not find those that are further down than the slot names; idle workers take them. An address in the slot means what the
//!     waiting thread means by it: all descendants of one wait are out of the slots before another can have its address.
//!
//! The chain of parent frames of a job in the list can be followed under the lock. The job has not been run, so neither it nor
//! anything that it is a descendant of has finished, and their frames still exist. Before any of them can finish, the job has to be
//! taken out of the list, under the lock.
//!
//! # Sources
//!
//! Keeping jobs private until they are asked for is the idea of lazy task creation, and of split deques (Lace, van Dijk and van de
//! Pol 2014). Publishing the oldest job is Spice's and chili's. That each thread with jobs always has a public one, and needs no timer
//! for that, is Moirai's own. Waiting only for descendants is leapfrogging (Wagner and Calder 1993).

pub(crate) mod frame;
pub(crate) mod host;
mod job_slot;
mod job_time;
pub(crate) mod join;
pub(crate) mod latch;
pub(crate) mod local_jobs;
pub(crate) mod scope_core;
pub(crate) mod scope_job;
mod scope_work;
pub(crate) mod shared_jobs;
mod shared_scope;
mod slot_search;
pub(crate) mod stack_job;
mod stolen_job;
pub(crate) mod wait;
pub(crate) mod waking;

#[cfg(all(test, moirai_loom))]
mod loom;

pub(crate) use job_slot::Only;
pub(crate) use local_jobs::LocalJobs;
pub(crate) use shared_jobs::{SharedJobs, StolenJob};
pub(crate) use slot_search::SlotSearch;
