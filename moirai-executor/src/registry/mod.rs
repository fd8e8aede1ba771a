//! The registry: a table with a record of every task, found by id without a lock, in bounded memory.
//!
//! A record says what a task is (kind, priority, name, the place that spawned it), how far it has come (status, worker, polls) and
//! when. It is opened when the task is spawned and finished when the task ends; in between the task is *active*. The record of a
//! task that has ended is *retained* until the registry evicts it: because it has grown older than
//! [`CleanupConfig::task_retention_duration`], because it is not among the newest [`CleanupConfig::max_retained_tasks`], or by
//! request. The id of an evicted record names nothing, forever: no id is given out twice. The record of an active task is never
//! evicted, and the number of active tasks is not limited here.
//!
//! Those are the limits of the *default class*. A registry that is made by [`Registry::with_retention`] has further *retention
//! classes*, each of which keeps its records by limits of its own: a task asks for one when it is registered, and a class of the
//! failures takes the tasks that have asked for none and end as failed.
//!
//! An executor has one registry, but the module needs nothing else of the executor: it can keep records of work of any kind.
//!
//! - [`Registry::new`] makes a registry for a fixed number of *workers*, which are threads that register or finish many tasks. Each
//!   of them takes one [`Writer`] from [`Registry::writer`] and keeps it. Other threads borrow one of a few that are shared, each
//!   behind a lock, for the length of a call of [`Registry::with_shared_writer`].
//! - [`Registry::register`] opens a record and returns an [`ActiveRecord`], the right to write that record. It travels with the
//!   task from thread to thread; [`ActiveRecord::start`] and [`ActiveRecord::polled`] note the task's progress.
//! - [`Registry::finish`] takes it back when the task ends. Any writer of the same registry will do, not only that which registered
//!   the task.
//! - Every thread may read at any time: [`status`](Registry::status), [`stats`](Registry::stats), [`snapshot`](Registry::snapshot),
//!   [`totals`](Registry::totals), [`cleanup_stats`](Registry::cleanup_stats). [`lookup`](Registry::lookup) also tells the id of an
//!   evicted record from one that was never given out. [`with_task`](Registry::with_task) leads from the id of an active task to
//!   the task itself.
//! - `finish` evicts what is beyond the count, unless [`CleanupConfig::enable_automatic_cleanup`] is off. Records that are too old
//!   are evicted, and empty pages are released, only by [`sweep`](Registry::sweep) and [`cleanup_now`](Registry::cleanup_now): an
//!   owner other than the executor, which has a thread for it, calls `sweep` every [`CleanupConfig::cleanup_interval`].
//!
//! All times are *ticks* of the registry's [`Clock`](moirai_core::Clock), as [`Registry::now`] returns them.
//!
//! ```
//! use std::panic::Location;
//! use std::ptr::NonNull;
//!
//! use moirai_core::{CleanupConfig, Clock, Priority, TaskKind, TaskStatus};
//! use moirai_executor::registry::{NewRecord, RecordEnd, Registry};
//!
//! let config = CleanupConfig { max_retained_tasks: 1_000, ..CleanupConfig::default() };
//! let registry = Registry::new(config, 1, Clock::system());
//! let mut writer = registry.writer();
//!
//! let job = 7_u64;
//! let new = NewRecord {
//!     kind: TaskKind::Parallel,
//!     priority: Priority::Normal,
//!     location: Location::caller(),
//!     name: Some("checksum".into()),
//!     hints: None,
//!     task: NonNull::from(&job).cast(),
//! };
//! // SAFETY: the writer is one of this registry. The record is finished below, with this registry, and so before the registry is
//! // dropped. `job` is aligned to more than two, and lives longer than the record is active.
//! let record = unsafe { registry.register(&mut writer, new, registry.now()) };
//! let id = record.id();
//! assert_eq!(registry.status(id), Some(TaskStatus::Queued));
//!
//! let started = registry.now();
//! record.start(Some(0), started);
//! // Here the job is done.
//! let ticks = registry.now();
//! record.polled(ticks.saturating_sub(started));
//! let end = RecordEnd::new(TaskStatus::Completed, ticks);
//! registry.finish(&mut writer, record, end);
//!
//! let stats = registry.stats(id).expect("it is among the newest thousand");
//! assert_eq!((stats.status, stats.polls), (TaskStatus::Completed, 1));
//! assert_eq!(stats.name.as_deref(), Some("checksum"));
//! ```
//!
//! The rest of this page is the protocol, for those who work on the module; the code cites its rules by number.
//!
//! # Slots
//!
//! A record is a `slot`: one cache line of atomics in a `page` of 64 KiB. A [`TaskId`] is *generation‖slot*: the number of the
//! slot, and a generation that grows each time the slot is used. Pages are found through a `directory`, which is freed only with
//! the registry.
//!
//! 1. **Owners.** A slot is free, or it belongs to one task. From `register` to `finish` its fields are written by the thread that
//!    runs the task, one thread after another, by plain stores; from then on by the thread that holds the lock of the log that has
//!    its completion (rule 8).
//! 2. **The word** holds generation and status. `register` writes the fields behind a release fence and then stores the word;
//!    `finish` stores the finish time and then the word; an eviction stores the word with the next generation and the status
//!    *free*.
//! 3. **Readers** pin an epoch, find the slot, load the word, then the fields, and, behind an acquire fence, the word again. If a
//!    reader has loaded a field of a later task, its second load of the word returns the *free* word that preceded that task, or a
//!    later one, and so differs from the first. What a reader returns is therefore the record of one task, or nothing.
//! 4. **The published address** is how an active task is reached by id: the address of the task's cell. It is locked by its low bit
//!    for as long as it takes to add a reference to the cell. `finish` stores the terminal word, *then* takes the address out (one
//!    compare-and-swap, which waits for that lock), and only then publishes the completion. So a thread that finds no address finds
//!    a terminal word or a later generation, and a thread that holds the lock keeps the slot from being evicted.
//!
//! # Blocks
//!
//! 5. Slots change hands in blocks of 64 (`page::Block`). A [`Writer`] holds one block and allocates from a mask of its own.
//!    Evicted slots go into the block's shared mask, by one read-modify-write for a run of slots. When its own mask is used up, the
//!    writer takes over the shared mask if at least half of the block is in it; otherwise it releases the block and takes another
//!    from the `depot`.
//! 6. A block that no writer holds is ready for the next writer when half of it is free. Its state is under the depot's lock. Both
//!    the thread that frees the slot with which half of the block is free and the writer that releases the block check the block
//!    there, so none is forgotten. Both count the free slots under the lock: in the time between, another writer may have taken and
//!    used the block.
//! 7. A page of which all blocks are ready and wholly free is released by the sweep, which leaves the page's next generation in the
//!    directory. A thread that has freed the last slot may still use the page then, so it pins an epoch before.
//!
//! # Completions
//!
//! 8. Each writer has a log of its completions (`completions`), in order: an end that was timed before the last one in the log is
//!    recorded with the time of that one. One thread at a time appends, and publishes by a store of the tail. One thread at a time
//!    takes from the head, and evicts what it takes: the one that holds the lock of the log, which guards the log's `evictor`. As a
//!    rule that is the log's owner, the worker that has the writer.
//! 9. **The limit.** A worker *tells* its completions in batches of B, a shared writer each of its own: under the lock of its log
//!    it adds their number to a count of all completions that were told (`tally`), and remembers that count with the batch. A
//!    second count is of all evictions. Let V be the first less the second: the records that were told and are retained. Who has
//!    told goes on to evict until it has seen V no greater than the limit plus S (rule 10). So V never exceeds limit + S + W·B + G,
//!    for W workers and G shared writers: it grows only when somebody tells, and if it had grown by more since it last was limit +
//!    S, then somebody would have told twice since, and would have seen it there in between. Completions that were not told yet do
//!    not add to this: they are of those who are not in the middle of telling, at most B for a worker and one for a shared writer.
//!    With S = (2 W - 1) B + G this makes (3 W - 1) B + 2 G in all, from which B is computed: the sum is never more than an eighth
//!    of the limit, nor more than 64 records per worker. Where the limit leaves no room for a batch, a task completes under one
//!    lock, and room is made for its record before its terminal status can be read: such a limit is exact.
//! 10. **Who evicts what.** A record that another core wrote is expensive to evict, and its slot is expensive to use again. So who
//!     has told evicts from its own log those batches after which at least limit + L completions were told, where L = (W - 1) B +
//!     G. Of these completions at most L may be older than the batch, told late by others; so the records that are evicted are not
//!     among the newest that the limit allows. If everybody has just told, limit + L + B records are left at most (B because a
//!     batch is evicted whole). The difference to limit + S is what owners may be behind by. If V is greater than that, because an
//!     owner is idle or stuck, who has told evicts from the other logs what is due there, and waits for their locks if it must. A
//!     worker tells what it has before it sleeps ([`Registry::flush`]), and a sweep evicts what an idle worker has left within L.
//!
//! As each worker has a writer of its own, a worker's task costs its record one read-modify-write from spawn to finish, that of
//! rule 4, and no lock.
//!
//! # Retention classes
//!
//! 11. **Classes.** Each record belongs to one class (`classes`) from its registration on: the word has the number of the class
//!     that the task has asked for, and zero is the default class. Only a task that has asked for none and ends as failed goes to
//!     the class of the failures, if there is one, before its terminal status can be read. The default class has the logs of all
//!     writers. Each retention class has one log, behind those, with an evictor and counts of its own at the same index. What is
//!     evicted because of the limits of a class is taken from the logs of that class. So whatever ends in one class evicts no
//!     record of another.
//! 12. **The limit of a retention class** is exact, however large it is: its tasks complete under the lock of the class. The thread
//!     that holds it is the one that appends to the class's log (rule 8), and it makes room for a record before its terminal status
//!     can be read. The default class does the same where its limit leaves no room for a batch (rule 9), by the same code. The
//!     tally does not know of retention classes: their completions are not told, and their evictions are not counted in V, which
//!     would hide as many records of the default class. So rules 9 and 10 speak of the default class alone. A task of the default
//!     class pays for the others with one test of the word, which it loads anyway.
//! 13. **Pages.** One record that is kept for long keeps its whole page, of 1,024 slots. If those of a class lay among all others,
//!     a page that a burst leaves behind would be kept for each of them. So tasks that ask for a class have pages of their own:
//!     they are registered with a writer that they share, under a lock, and the depot gives it only blocks of such pages. (Which
//!     task will fail is not known beforehand: it lies among the others.) The class is written into the word of such a task after
//!     its registration, by a store of its own: `register`, which every task pays for, does not know of classes.
//!
//! A class that told its completions in batches, to a tally of its own, would spare its tasks two locks; but it would need as many
//! logs as there are writers, and its limit would be exceeded now and then. Tasks that are worth a class are few.
//!
//! # Ids of evicted records
//!
//! 14. A slot is used in one generation after the other, from that with which its page begins. So an id of a generation between
//!     that and the one in the word was given out, and its record is evicted. One of a later generation was not given out yet, nor
//!     was that in the word itself while it says *free*. Of the pages that were at the same place before, the directory has the
//!     generation with which the next one begins (rule 7), and it stores that before it takes a page out: a thread that does not
//!     find the page finds the generation. All ids that were given out there have an earlier one. But a slot that was used less
//!     often than another of its page never had some of these, and how often it was used is not known any more: an id of such a
//!     generation counts as evicted.
//!
//! [`CleanupConfig::task_retention_duration`]: moirai_core::CleanupConfig::task_retention_duration
//! [`CleanupConfig::max_retained_tasks`]: moirai_core::CleanupConfig::max_retained_tasks
//! [`CleanupConfig::enable_automatic_cleanup`]: moirai_core::CleanupConfig::enable_automatic_cleanup
//! [`CleanupConfig::cleanup_interval`]: moirai_core::CleanupConfig::cleanup_interval
//! [`TaskId`]: moirai_core::TaskId

mod annotations;
mod classes;
mod completions;
mod counts;
mod depot;
mod details;
mod directory;
mod evictor;
mod garbage;
mod gauges;
mod page;
mod read;
mod record;
mod slot;
mod state_word;
mod store;
mod sweep;
mod sweep_signal;
mod sweeper;
mod tally;
mod task_registry;
mod write;
mod writer;

#[cfg(all(test, moirai_loom))]
mod loom;
#[cfg(all(test, not(moirai_loom)))]
mod tests;

pub use classes::ClassId;
pub use counts::Totals;
pub use details::TaskDetails;
pub use record::{FinishedTask, NewRecord, RecordEnd, TaskHints};
pub use sweep::SweepReport;
pub(crate) use sweeper::{ClockListener, sweep_when_due};
pub use task_registry::Registry;
pub use writer::{ActiveRecord, Writer};
