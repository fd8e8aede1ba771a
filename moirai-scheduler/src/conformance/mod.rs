//! A kit that tests any scheduler against the contract of [`moirai_core::scheduler`].
//!
//! One line in a test makes the whole suite:
//!
//! ```
//! # mod doc {
//! use moirai_scheduler::{GlobalFifo, conformance_tests};
//!
//! conformance_tests!(global_fifo, GlobalFifo::new());
//! # }
//! ```
//!
//! Add the crate as a dev-dependency with the feature `conformance`. The expression is evaluated anew for every case, and has to
//! make a scheduler for [`Token`]s; so write your scheduler generic over what it schedules.
//!
//! | case | what it tests |
//! | --- | --- |
//! | `random_operations` | rules 1 to 8, and 11: random calls on one thread, compared with a model of what has to be found |
//! | `exactly_once_under_stress` | rules 1 and 6: a million tasks, pushed and taken by six threads in all ways |
//! | `no_spurious_nothing` | rule 4: two threads take exactly as often as there are tasks, and each call returns one |
//! | `no_lost_wake_up` | rule 2, and what [`Visibility`](moirai_core::Visibility) says: workers that sleep whenever they can |
//! | `a_retired_worker_loses_nothing` | rule 6: queues move to other threads, and are dropped |
//! | `a_panic_in_the_middle_loses_nothing` | rules 6 and 9: the thread of a worker unwinds |
//! | `drained` | rule 5 |
//! | `dropped_with_its_tasks` | rules 6 and 7 |
//! | `started_once_with_what_was_pushed_before` | what `start` promises |
//! | `order_as_guaranteed`, `fairness_as_guaranteed`, `priorities_as_guaranteed` | rule 10 |
//!
//! A case that fails reports which rule was broken, and how. With `RUSTFLAGS="--cfg moirai_loom"` the same line makes *models*
//! instead, which explore every interleaving of two or three threads. For that, take atomics and locks from [`moirai_core::shim`],
//! because the models see no others.
//!
//! [`check`](fn@check) and [`CASES`] are the suite as values, for tools.

mod cases;
mod check;

mod concurrent;
mod guarantees;
#[cfg(moirai_loom)]
pub mod models;
mod random;
mod token;
mod violation;

pub use check::{CASES, assert_case, check};
pub use token::Token;
pub use violation::Violation;
