//! Shows the tasks of a [Moirai](moirai) executor in [tokio-console], the terminal program that shows those of tokio.
//!
//! ```
//! use moirai::prelude::*;
//! use moirai_console::Console;
//!
//! let moirai = Moirai::new()?;
//! // Without `address` this is 127.0.0.1:6669, where tokio-console looks by itself.
//! let console = Console::new(&moirai).address(([127, 0, 0, 1], 0)).serve()?;
//! println!("run: tokio-console http://{}", console.address());
//! # console.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [tokio-console]: https://docs.rs/tokio-console
//!
//! The program is the stock one, `cargo install tokio-console`. The crate serves the protocol that it speaks, version 0.9 of
//! `console-api`. Nothing has to be compiled in a special way, and no `tracing` subscriber is needed.
//!
//! # What it costs
//!
//! *Tasks* execute no instruction more: what is shown is read from the executor's records, which each task has in any case, and which
//! are read without a lock. There is no hook, and no event for a poll.
//!
//! *The process* pays one thread, `moirai-console`, which sleeps while nobody watches. For each program that watches, it copies the
//! records, and reads the flight recorder, once per [interval](Console::interval), by default a second, and sends what has changed.
//! With 5,000 tasks and one worker that takes the thread some 9 ms for the first update, and 3 to 9 ms for each further one (`cargo
//! bench -p moirai-console`); each further thread of the executor whose ring is full adds about two milliseconds. Each program that watches
//! takes the memory of what it has been shown, some 300 bytes for each active task, and of one update.
//!
//! # What is shown
//!
//! | column | what it says of a task of Moirai |
//! | --- | --- |
//! | ID | the [`TaskId`](moirai::TaskId), with which [`Moirai::task_stats`](moirai::Moirai::task_stats) finds the record |
//! | State | see below |
//! | Name | the name given to the task builder |
//! | Total | from the spawn to the end, or till now |
//! | Busy | over all polls, including one that goes on |
//! | Sched | from the spawn to the first poll |
//! | Idle | the rest: how long it waited between polls, also while it was queued again |
//! | Polls | how many have begun |
//! | Kind | `task` for async tasks, `blocking` for closures, which nobody expects to yield |
//! | Location | where it was spawned |
//! | Fields | `closure` is `parallel` or `blocking`; `priority` unless it is normal; `parent`; the tags; of a task that was cancelled or has failed the `status`, the `error`, and `cancelled_by` |
//!
//! The states, by what the record and a [dump](moirai::Moirai::dump) say:
//!
//! - *scheduled* is a task that was spawned and has not run yet, or was woken, or has yielded, and is queued again.
//! - *running* is a closure that has begun, and an async task that is being polled. Since when a later poll than the first goes on, the
//!   [flight recorder](moirai::Moirai::flight) tells; if that is turned off, it is shown since it was first seen.
//! - *idle* is every other async task that has begun: one that waits.
//! - *completed* is a task that has ended, however it did; `status` tells.
//!
//! Of the warnings, *never yielded* is right: it names async tasks that have been in their first poll for over a second. *Lost
//! waker* and *self-wakes* are about how often wakers were cloned, dropped and woken, which the record does not tell: for each active
//! task one waker is reported that is not dropped, so that neither warning comes up. The number of wakes in the view of a single task
//! is that of the polls which followed one.
//!
//! The view of a single task has histograms of how long its polls took, and of how long it was queued before them, as far as the
//! flight recorder still has these polls. Of wakes by threads outside of the executor it does not tell. The resources view is empty.
//!
//! # Limits
//!
//! - A watcher is shown at most [`max_tasks`](Console::max_tasks) tasks at a time, by default 5,000: active ones first, of these the
//!   ones that are shown already and then the oldest; and then the ones that have ended last. tokio-console counts the others as
//!   `dropped`, each in the update in which it would have been new.
//! - A task that begins and ends between two updates is shown if its record is still there, as it is for five minutes by default. One
//!   that was shown as active, and whose record is gone, is shown as ended at the time of the update which finds that out.
//! - At most [`max_watchers`](Console::max_watchers) programs watch at a time, by default 8; another one is refused with
//!   `RESOURCE_EXHAUSTED`.
//! - A program that watches and does not read costs what is buffered for it, and misses updates. The next one that it gets has all
//!   that has changed in the meantime.
//! - Pausing pauses the updates of all that watch, as it does with tokio.
//!
//! # Who may watch
//!
//! Everyone who can reach the address, without a password and without encryption: names, spawn locations, tags and error messages of
//! tasks are shown to them. The default address can be reached from this machine only.
#![forbid(unsafe_code)]

mod connections;
mod console;
mod details;
mod doing;
mod error;
mod metadata;
mod phase;

mod selection;
mod server;
mod service;
mod task;
mod view;
mod watcher;

#[cfg(doctest)]
#[doc = include_str!("../../../docs/src/guide/console.md")]
mod guide {}

pub use crate::console::Console;
pub use crate::error::ServeError;
pub use crate::server::ConsoleServer;
