//! Tests of the global executor. There is one in a process, so each test that starts it runs in a process of its own.

use std::process::{Command, Output};
use std::sync::{Arc, Barrier};
use std::thread;

use moirai::prelude::*;
use moirai::{InitGlobalError, global, init_global};

const WORKERS: &str = "MOIRAI_WORKER_THREADS";

/// Runs an ignored test of this file in a process of its own.
fn run(test: &str, workers: Option<&str>) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]);
    command.env_remove(WORKERS).envs(workers.map(|workers| (WORKERS, workers)));
    let output = command.output().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "there is no test {test:?}: {text}");
    output
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

macro_rules! in_its_own_process {
    ($(fn $test:ident($($workers:expr)?) $body:block)*) => {
        mod own_process {
            use super::*;
            $(
                #[test]
                #[ignore = "runs in a process of its own"]
                fn $test() $body
            )*
        }
        $(
            #[test]
            fn $test() {
                let workers: Option<&str> = None $(.or(Some($workers)))?;
                run(concat!("own_process::", stringify!($test)), workers);
            }
        )*
    };
}

in_its_own_process! {
    fn the_global_executor_is_configured_before_its_first_use() {
        let executor = init_global(Moirai::builder().worker_threads(3)).unwrap();
        assert_eq!(executor.worker_count(), 3);
        assert!(std::ptr::eq(executor, global()));
        let inside = moirai::spawn_async(async { Moirai::current().unwrap().worker_count() });
        assert_eq!(inside.join().unwrap(), 3);
    }

    fn it_is_configured_once() {
        init_global(Moirai::builder().worker_threads(1)).unwrap();
        let again = init_global(Moirai::builder().worker_threads(2)).unwrap_err();
        assert!(again.is_already_started());
        assert_eq!(global().worker_count(), 1);
    }

    fn it_is_not_configured_after_its_first_use() {
        moirai::spawn_parallel(|| ()).join().unwrap();
        let late = init_global(Moirai::builder().worker_threads(processors() + 1)).unwrap_err();
        assert!(matches!(late, InitGlobalError::AlreadyStarted));
        let message = late.to_string();
        assert!(message.contains("a free function such as `moirai::spawn_async`"), "{message}");
        assert!(message.contains("first of all in `main`"), "{message}");
        assert_eq!(global().worker_count(), processors());
    }

    fn what_is_used_inside_of_another_executor_does_not_start_it() {
        let other = Moirai::builder().worker_threads(1).build().unwrap();
        other.spawn_async(async { moirai::spawn_async(async {}).await.unwrap() }).join().unwrap();
        init_global(Moirai::builder().worker_threads(2)).unwrap();
    }

    fn a_configuration_that_is_refused_can_be_tried_again() {
        let refused = init_global(Moirai::builder().worker_threads(0)).unwrap_err();
        assert!(!refused.is_already_started());
        let InitGlobalError::Build(error) = &refused else { panic!("{refused}") };
        assert_eq!(error.field(), Some("worker_threads"));
        assert!(refused.to_string().contains("`worker_threads` is 0"), "{refused}");
        assert_eq!(init_global(Moirai::builder().worker_threads(2)).unwrap().worker_count(), 2);
    }

    fn of_many_that_configure_it_at_once_one_succeeds() {
        let barrier = Arc::new(Barrier::new(8));
        let configure = |workers| {
            let barrier = Arc::clone(&barrier);
            thread::spawn(move || {
                barrier.wait();
                init_global(Moirai::builder().worker_threads(workers)).is_ok().then_some(workers)
            })
        };
        let threads: Vec<_> = (1..=8).map(configure).collect();
        let ended = threads.into_iter().map(|thread| thread.join().unwrap());
        let succeeded: Vec<_> = ended.flatten().collect();
        assert_eq!(succeeded, [global().worker_count()]);
        assert_eq!(moirai::spawn_async(async { 1 }).join().unwrap(), 1);
    }

    fn a_plugin_that_uses_it_while_it_starts_does_not_hang() {
        struct UsesGlobal;
        impl ExecutorPlugin for UsesGlobal {
            fn on_thread_start(&self, _: moirai::ThreadKind, _: usize) {
                global();
            }
        }
        // Either of them may be first.
        let _ = init_global(Moirai::builder().worker_threads(1).plugin(UsesGlobal));
        assert_eq!(moirai::spawn_async(async { 1 }).join().unwrap(), 1);
    }

    fn the_environment_sets_the_number_of_workers("3") {
        assert_eq!(global().worker_count(), 3);
        assert_eq!(Moirai::new().unwrap().worker_count(), 3);
    }

    fn the_environment_counts_for_a_builder_that_leaves_it_out("3") {
        let builder = Moirai::builder().thread_name_prefix("app");
        assert_eq!(init_global(builder).unwrap().worker_count(), 3);
    }

    fn what_the_program_sets_counts_more_than_the_environment("3") {
        let executor = Moirai::builder().worker_threads(1).build().unwrap();
        assert_eq!(executor.worker_count(), 1);
        assert_eq!(init_global(Moirai::builder().worker_threads(2)).unwrap().worker_count(), 2);
    }

    fn an_empty_variable_is_none("") {
        assert_eq!(global().worker_count(), processors());
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn starts_with_the_default() {
    assert_eq!(global().worker_count(), processors());
    assert_eq!(Moirai::new().unwrap().worker_count(), processors());
}

#[test]
fn a_wrong_number_of_workers_in_the_environment_is_ignored_and_reported_once() {
    for wrong in ["0", "four", "-2", "1000000"] {
        let output = run("starts_with_the_default", Some(wrong));
        let text = String::from_utf8_lossy(&output.stderr);
        let report = format!(
            "moirai: MOIRAI_WORKER_THREADS is {wrong:?}, which is not a number from 1 to 4096"
        );
        assert_eq!(text.matches(&report).count(), 1, "{text}");
    }
    let output = run("starts_with_the_default", None);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("MOIRAI_WORKER_THREADS"));
}
