//! Tests of `#[moirai::main]` and `#[moirai::test]`. What they refuse is in `compile_errors.rs`; the example `replay` has a simulated
//! test that fails.
#![cfg(feature = "macros")]

use std::cell::Cell;
use std::process::{Command, ExitCode};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use moirai::prelude::*;
use moirai::time::{Instant, sleep};

/// Sets a flag when it is dropped.
struct SetsWhenDropped(&'static AtomicBool);

impl Drop for SetsWhenDropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[moirai::test]
async fn a_test_runs_in_an_executor_of_its_own_with_two_workers() {
    let executor = Moirai::current().expect("the test is inside of an executor");
    assert_eq!(executor.worker_count(), 2);
    // Its future is on this thread, so it need not be `Send`.
    let count = Rc::new(Cell::new(1));
    let one = moirai::spawn_async(async { 1 }).await.unwrap();
    count.set(count.get() + one);
    assert_eq!(count.get(), 2);
    assert_eq!(executor.tasks().len(), 1, "no other test spawns here");
}

#[moirai::test(workers = 1 + 2)]
async fn the_number_of_workers_is_an_expression() {
    assert_eq!(Moirai::current().unwrap().worker_count(), 3);
}

#[moirai::test(builder = Moirai::builder().worker_threads(3).max_active_tasks(1))]
async fn a_test_may_bring_its_builder() {
    let executor = Moirai::current().unwrap();
    assert_eq!(executor.worker_count(), 3);
    let _first = executor.spawn_async(std::future::pending::<()>());
    assert!(executor.spawn_async(async {}).await.unwrap_err().is_at_capacity());
}

#[moirai::test(builder = Moirai::builder().max_active_tasks(7), worker_threads = 4)]
async fn the_number_of_workers_is_set_on_top_of_the_builder() {
    assert_eq!(Moirai::current().unwrap().worker_count(), 4);
}

mod elsewhere {
    pub(crate) use moirai as renamed;
}

#[moirai::test(crate = elsewhere::renamed)]
async fn the_crate_may_have_another_path() {}

#[moirai::test(crate = "elsewhere::renamed", simulate = 1)]
async fn the_path_of_the_crate_may_be_in_quotes() {}

#[moirai::test]
async fn a_test_may_return_a_result() -> Result<(), TaskError> {
    moirai::spawn_async(async {}).await?;
    Ok(())
}

#[moirai::test]
#[should_panic(expected = "as it should")]
async fn a_test_may_be_expected_to_panic() {
    panic!("as it should");
}

#[moirai::test]
#[ignore = "so that it is seen that this is kept"]
async fn a_test_may_be_ignored() {
    unreachable!("it is ignored");
}

#[moirai::test(simulate = 10)]
#[should_panic(expected = "fails with seed 0: the scenario panicked: as it should")]
async fn a_simulated_test_may_be_expected_to_panic() {
    panic!("as it should");
}

#[moirai::test(simulate = 10)]
#[should_panic(expected = "the test returned an error: \"in each order\"")]
async fn a_simulated_test_that_returns_an_error_fails() -> Result<(), &'static str> {
    moirai::yield_now().await;
    Err("in each order")
}

#[moirai::test(simulate = 10)]
#[should_panic(expected = "another exit code")]
async fn a_simulated_test_that_returns_a_wrong_exit_code_fails() -> Result<ExitCode, TaskError> {
    Ok(ExitCode::FAILURE)
}

static RUNS: AtomicU64 = AtomicU64::new(0);

#[moirai::test(simulate = 3 * 5, workers = 4)]
#[ignore = "called by the test below, and counts its calls"]
async fn counts_its_runs() {
    assert_eq!(Moirai::current().unwrap().worker_count(), 4);
    RUNS.fetch_add(1, Ordering::SeqCst);
}

#[test]
fn a_simulated_test_runs_once_with_each_seed() {
    let before = RUNS.load(Ordering::SeqCst);
    counts_its_runs();
    assert_eq!(RUNS.load(Ordering::SeqCst) - before, 15);
}

#[moirai::test(start_paused = true)]
async fn simulated_time_advances_when_nothing_can_go_on() {
    let (began, really_began) = (Instant::now(), std::time::Instant::now());
    let task = moirai::spawn_async(sleep(Duration::from_secs(24 * 3600)));
    task.await.unwrap();
    assert_eq!(began.elapsed(), Duration::from_secs(24 * 3600));
    assert!(really_began.elapsed() < Duration::from_secs(3600));
}

#[moirai::test(start_paused = false)]
async fn time_that_is_not_paused_is_real() {
    let (began, really_began) = (Instant::now(), std::time::Instant::now());
    sleep(Duration::from_millis(5)).await;
    assert!(began.elapsed() >= Duration::from_millis(5));
    assert!(really_began.elapsed() >= Duration::from_millis(5));
}

mod program {
    use super::*;

    pub(crate) static TASK_DROPPED: AtomicBool = AtomicBool::new(false);

    #[moirai::main(workers = 3)]
    pub(crate) async fn main() -> Result<usize, TaskError> {
        let guard = SetsWhenDropped(&TASK_DROPPED);
        let _endless = moirai::spawn_async(async {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
        let executor = Moirai::current().unwrap();
        // Its future is on the main thread, so it need not be `Send`.
        let workers = Rc::new(executor.worker_count());
        moirai::spawn_async(async {}).await?;
        Ok(*workers)
    }
}

#[test]
fn main_returns_what_the_function_returns_after_the_executor_is_shut_down() {
    assert_eq!(program::main().unwrap(), 3);
    assert!(program::TASK_DROPPED.load(Ordering::SeqCst), "the task that waits is cancelled");
    assert!(Moirai::current().is_none());
}

mod refused {
    use super::*;

    #[moirai::main(builder = Moirai::builder().worker_threads(0))]
    pub(crate) async fn main() {
        unreachable!("there is no executor");
    }
}

#[test]
#[ignore = "ends the process, for the test below"]
fn main_cannot_start() {
    refused::main();
}

#[test]
fn a_main_whose_executor_cannot_start_says_why_and_ends_with_status_1() {
    let mut test = Command::new(std::env::current_exe().unwrap());
    let output = test.args(["--exact", "main_cannot_start", "--ignored", "--nocapture"]).output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    let message = "error: the executor of `#[moirai::main]` cannot be started: `worker_threads` is 0: must be";
    assert!(text.contains(message), "{text}");
    assert!(!text.contains("panicked"), "{text}");
}

#[moirai::test(builder = Moirai::builder().worker_threads(0))]
#[should_panic(expected = "the executor of the test cannot be started: `worker_threads` is 0")]
async fn a_test_whose_executor_cannot_start_says_why() {}
