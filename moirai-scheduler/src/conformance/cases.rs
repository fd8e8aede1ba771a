//! The list of the cases of the kit, and the macro that makes a test of each.

/// Expands to a call of the macro that is named in the brackets, with the other given tokens, followed by the names of all cases.
///
/// This is the only list of the cases: [`CASES`](crate::conformance::CASES), [`check`](crate::conformance::check) and
/// [`conformance_tests!`](crate::conformance_tests) are made from it. Each name is that of a function of the kit.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_cases {
    ([$($then:tt)*] $($given:tt)*) => {
        $($then)*! {
            $($given)*
            random_operations
            exactly_once_under_stress
            no_spurious_nothing
            no_lost_wake_up
            a_retired_worker_loses_nothing
            a_panic_in_the_middle_loses_nothing
            drained
            dropped_with_its_tasks
            started_once_with_what_was_pushed_before
            order_as_guaranteed
            fairness_as_guaranteed
            priorities_as_guaranteed
        }
    };
}

/// The same, for the models.
#[cfg(moirai_loom)]
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_models {
    ([$($then:tt)*] $($given:tt)*) => {
        $($then)*! {
            $($given)*
            loom_two_takers_get_two_tasks
            loom_two_workers_get_two_tasks
            loom_one_task_goes_to_one_of_two_takers
            loom_a_push_is_found_or_the_flag_is_seen
            loom_workers_share_what_one_of_them_pushed
            loom_no_wake_up_is_lost
            loom_a_worker_retires_while_another_takes
        }
    };
}

/// Makes the tests of the [kit](crate::conformance) for a scheduler: a module with the given name that contains a test for each
/// case. The expression makes a new scheduler, and is evaluated anew for every case.
#[cfg(not(moirai_loom))]
#[macro_export]
macro_rules! conformance_tests {
    ($name:ident, $new:expr) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            $crate::__conformance_cases! { [$crate::__conformance_test_functions] $new => }
        }
    };
}

/// Makes the models of the [kit](crate::conformance) for a scheduler: a module with the given name that contains a test for each
/// model. The expression makes a new scheduler, and is evaluated anew for every execution.
#[cfg(moirai_loom)]
#[macro_export]
macro_rules! conformance_tests {
    ($name:ident, $new:expr) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;
            $crate::__conformance_models! { [$crate::__conformance_model_functions] $new => }
        }
    };
}

#[cfg(not(moirai_loom))]
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_test_functions {
    ($new:expr => $($case:ident)*) => {
        $(
            #[test]
            fn $case() {
                $crate::conformance::assert_case(stringify!($case), || $new);
            }
        )*
    };
}

#[cfg(moirai_loom)]
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_model_functions {
    ($new:expr => $($model:ident)*) => {
        $(
            #[test]
            fn $model() {
                $crate::conformance::models::$model(|| $new);
            }
        )*
    };
}
