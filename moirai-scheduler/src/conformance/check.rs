//! The kit that holds any scheduler to the contract of [`moirai_core::scheduler`].
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
//! Add the crate as a dev-dependency with the feature `conformance`. The expression is evaluated anew for every case, and has to make
//! a scheduler for [`Token`]s: so write yours generic over what it schedules.
//!
//! | case | what it holds the scheduler to |
//! | --- | --- |
//! | `random_operations` | rules 1 to 8, by random calls on one thread beside a model of what has to be found |
//! | `exactly_once_under_stress` | rules 1 and 6: a million tasks, pushed and taken by six threads in all ways |
//! | `no_spurious_nothing` | rule 4: two threads take as often as there are tasks, and neither comes back empty-handed |
//! | `no_lost_wake_up` | rule 2, and what [`Visibility`](moirai_core::Visibility) says: workers that sleep whenever they can |
//! | `a_retired_worker_loses_nothing` | rule 6: queues move to other threads, and are dropped |
//! | `a_panic_in_the_middle_loses_nothing` | rules 6 and 9: a worker's thread unwinds |
//! | `drained` | rule 5 |
//! | `dropped_with_its_tasks` | rule 7 |
//! | `started_once_with_what_was_pushed_before` | what `start` says |
//! | `order_as_claimed`, `fairness_as_claimed`, `priorities_as_claimed` | rule 10 |
//!
//! A case that fails says which rule was broken, and how. With `RUSTFLAGS="--cfg moirai_loom"` the same line makes *models*
//! instead, which explore every interleaving of two or three threads: for that, take atomics and locks from [`moirai_core::shim`].
//!
//! [`check`] and [`CASES`] are the suite as values, for tools.

use std::fmt;

use moirai_core::Scheduler;

use super::token::Token;
use super::{concurrent, guarantees as claims, random};

/// How a scheduler breaks the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    case: &'static str,
    message: String,
}

impl Violation {
    /// The case that found it.
    #[must_use]
    pub fn case(&self) -> &'static str {
        self.case
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.case, self.message)
    }
}

impl std::error::Error for Violation {}

/// What a case found.
pub(super) type Found = Result<(), String>;

/// The names of the cases.
pub const CASES: [&str; 12] = [
    "random_operations",
    "exactly_once_under_stress",
    "no_spurious_nothing",
    "no_lost_wake_up",
    "a_retired_worker_loses_nothing",
    "a_panic_in_the_middle_loses_nothing",
    "drained",
    "dropped_with_its_tasks",
    "started_once_with_what_was_pushed_before",
    "order_as_claimed",
    "fairness_as_claimed",
    "priorities_as_claimed",
];

/// A case, for schedulers that are made by a function.
type Case<'a, S> = fn(&'a (dyn Fn() -> S + Sync + 'a)) -> Found;

/// Runs a case, one of [`CASES`], on schedulers that `new` makes. A panic of the scheduler is a violation.
///
/// # Errors
///
/// [`Violation`] says what was wrong.
///
/// # Panics
///
/// If there is no such case.
pub fn check<S: Scheduler<Token>>(case: &str, new: impl Fn() -> S + Sync) -> Result<(), Violation> {
    let cases: [(&str, Case<'_, S>); CASES.len()] = [
        ("random_operations", |new| random::random_operations(new)),
        ("exactly_once_under_stress", |new| concurrent::exactly_once_under_stress(new)),
        ("no_spurious_nothing", |new| concurrent::no_spurious_nothing(new)),
        ("no_lost_wake_up", |new| concurrent::no_lost_wake_up(new)),
        ("a_retired_worker_loses_nothing", |new| concurrent::a_retired_worker_loses_nothing(new)),
        ("a_panic_in_the_middle_loses_nothing", |new| {
            concurrent::a_panic_in_the_middle_loses_nothing(new)
        }),
        ("drained", |new| random::drained(new)),
        ("dropped_with_its_tasks", |new| random::dropped_with_its_tasks(new)),
        ("started_once_with_what_was_pushed_before", |new| random::started_once(new)),
        ("order_as_claimed", |new| claims::order(new)),
        ("fairness_as_claimed", |new| claims::fairness(new)),
        ("priorities_as_claimed", |new| claims::priorities(new)),
    ];
    let Some((name, run)) = cases.into_iter().find(|(name, _)| *name == case) else {
        panic!("there is no case {case:?}; there are {CASES:?}");
    };
    let run = || run(&new);
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run))
        .unwrap_or_else(|payload| Err(format!("it panicked: {}", text_of(&*payload))));
    found.map_err(|message| Violation { case: name, message })
}

pub(super) fn text_of(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("something that is no text")
}

/// Fails if the scheduler breaks the contract in this case.
///
/// # Panics
///
/// With what was wrong.
pub fn assert_case<S: Scheduler<Token>>(case: &str, new: impl Fn() -> S + Sync) {
    if let Err(violation) = check(case, new) {
        panic!("the scheduler breaks its contract: {violation}");
    }
}

/// Makes the tests of the [kit](crate::conformance) for a scheduler: a module of this name, and an expression that makes a new one.
#[cfg(not(moirai_loom))]
#[macro_export]
macro_rules! conformance_tests {
    ($name:ident, $new:expr) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            $crate::conformance_tests! { @each $new =>
                random_operations
                exactly_once_under_stress
                no_spurious_nothing
                no_lost_wake_up
                a_retired_worker_loses_nothing
                a_panic_in_the_middle_loses_nothing
                drained
                dropped_with_its_tasks
                started_once_with_what_was_pushed_before
                order_as_claimed
                fairness_as_claimed
                priorities_as_claimed
            }
        }
    };
    (@each $new:expr => $($case:ident)*) => {
        $(
            #[test]
            fn $case() {
                $crate::conformance::assert_case(stringify!($case), || $new);
            }
        )*
    };
}

/// Makes the models of the [kit](crate::conformance) for a scheduler: a module of this name, and an expression that makes a new one.
#[cfg(moirai_loom)]
#[macro_export]
macro_rules! conformance_tests {
    ($name:ident, $new:expr) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            $crate::conformance_tests! { @each $new =>
                loom_two_takers_get_two_tasks
                loom_two_workers_get_two_tasks
                loom_one_task_goes_to_one_of_two_takers
                loom_a_push_is_found_or_the_flag_is_seen
                loom_workers_share_what_one_of_them_pushed
                loom_no_wake_up_is_lost
                loom_a_worker_retires_while_another_takes
            }
        }
    };
    (@each $new:expr => $($case:ident)*) => {
        $(
            #[test]
            fn $case() {
                $crate::conformance::models::$case(|| $new);
            }
        )*
    };
}
