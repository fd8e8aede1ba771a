//! Runs one case of the kit by its name.

use std::panic::{AssertUnwindSafe, catch_unwind};

use moirai_core::{Panic, Scheduler};

use super::concurrent::{
    a_panic_in_the_middle_loses_nothing, a_retired_worker_loses_nothing, exactly_once_under_stress,
    no_lost_wake_up, no_spurious_nothing,
};
use super::guarantees::{fairness_as_guaranteed, order_as_guaranteed, priorities_as_guaranteed};
use super::random::{
    drained, dropped_with_its_tasks, random_operations, started_once_with_what_was_pushed_before,
};
use super::token::Token;
use super::violation::{CaseResult, Violation};

macro_rules! names_and_dispatch {
    ($($case:ident)*) => {
        /// The names of all cases.
        pub const CASES: [&str; [$(stringify!($case)),*].len()] = [$(stringify!($case)),*];

        /// Runs the case with this name, and returns its result together with the name as a static string. Returns `None` if there
        /// is no such case.
        fn run<S: Scheduler<Token>>(
            name: &str,
            new: &(dyn Fn() -> S + Sync),
        ) -> Option<(&'static str, CaseResult)> {
            let (name, case): (_, fn(&(dyn Fn() -> S + Sync)) -> CaseResult) = match name {
                $(stringify!($case) => (stringify!($case), $case),)*
                _ => return None,
            };
            let found = catch_unwind(AssertUnwindSafe(|| case(new)))
                .unwrap_or_else(|payload| Err(format!("it panicked: {}", Panic::message_of(&*payload))));
            Some((name, found))
        }
    };
}

crate::__conformance_cases! { [names_and_dispatch] }

/// Runs a case, one of [`CASES`], on schedulers that `new` makes. A panic of the scheduler counts as a violation.
///
/// # Errors
///
/// A [`Violation`] that says what was wrong, if the scheduler breaks the contract.
///
/// # Panics
///
/// If there is no such case.
pub fn check<S: Scheduler<Token>>(case: &str, new: impl Fn() -> S + Sync) -> Result<(), Violation> {
    let Some((name, found)) = run(case, &new) else {
        panic!("there is no case {case:?}; there are {CASES:?}");
    };
    found.map_err(|message| Violation::new(name, message))
}

/// Panics if the scheduler breaks the contract in this case.
///
/// # Panics
///
/// With a description of what was wrong, or if there is no such case.
pub fn assert_case<S: Scheduler<Token>>(case: &str, new: impl Fn() -> S + Sync) {
    if let Err(violation) = check(case, new) {
        panic!("the scheduler breaks its contract: {violation}");
    }
}
