//! What the attributes of `moirai-macros` call. It is public because they write the calls into the crates that use them.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::process::ExitCode;

use crate::sim::Simulation;
use crate::{Moirai, MoiraiBuilder};

/// The exit status of a program whose executor cannot be started.
const NOT_STARTED: i32 = 1;

/// Runs the `main` of a program, for `#[moirai::main]`.
pub fn run_main<F: Future>(builder: MoiraiBuilder, main: impl FnOnce() -> F) -> F::Output {
    let executor = match builder.build() {
        Ok(executor) => executor,
        Err(error) => {
            eprintln!("error: the executor of `#[moirai::main]` cannot be started: {error}");
            std::process::exit(NOT_STARTED);
        }
    };
    run(executor, main)
}

/// Runs a test on threads, for `#[moirai::test]`.
///
/// # Panics
///
/// If the executor cannot be started, or if the test panics.
#[track_caller]
pub fn run_test<F: Future>(builder: MoiraiBuilder, test: impl FnOnce() -> F) -> F::Output {
    match builder.build() {
        Ok(executor) => run(executor, test),
        Err(error) => panic!("the executor of the test cannot be started: {error}"),
    }
}

/// Runs a function, and then shuts the executor down, also if the function panics.
fn run<F: Future>(executor: Moirai, function: impl FnOnce() -> F) -> F::Output {
    executor.block_on(function())
}

/// Runs a test with the seeds from 0 to `seeds`, or with the one in the environment alone, for `#[moirai::test(simulate = …)]`.
/// `path` is that of the test's function, and begins with its crate.
///
/// # Panics
///
/// If the test fails with a seed.
#[track_caller]
pub fn simulate_test<F>(simulation: Simulation, seeds: u64, path: &str, test: impl Fn() -> F)
where
    F: Future<Output: TestOutput> + Send + 'static,
{
    assert!(
        seeds > 0,
        "`simulate` must be at least 1: a test that runs with no seed tests nothing"
    );
    let found = simulation.explore(0..seeds, |_| {
        let test = test();
        async move { test.await.check() }
    });
    if let Some(failure) = found.failure {
        // `cargo test` does not want to know the crate.
        let name = path.split_once("::").map_or(path, |(_crate, name)| name);
        let (seed, cause) = (failure.seed(), failure.cause());
        panic!(
            "the simulated test `{name}` fails with seed {seed}: {cause}\n\
             run it with this seed alone: MOIRAI_SIM_SEED={seed} cargo test {name}"
        );
    }
}

/// What a simulated test may return.
#[diagnostic::on_unimplemented(
    message = "a simulated test cannot return `{Self}`",
    label = "neither `()`, nor an `ExitCode`, nor a `Result` with one of them and an error that implements `Debug`"
)]
pub trait TestOutput {
    /// Panics if the test has failed.
    fn check(self);
}

impl TestOutput for () {
    fn check(self) {}
}

impl TestOutput for Infallible {
    fn check(self) {
        match self {}
    }
}

impl TestOutput for ExitCode {
    fn check(self) {
        assert_eq!(self, Self::SUCCESS, "the test returned another exit code than that of success");
    }
}

impl<T: TestOutput, E: fmt::Debug> TestOutput for Result<T, E> {
    fn check(self) {
        match self {
            Ok(output) => output.check(),
            Err(error) => panic!("the test returned an error: {error:?}"),
        }
    }
}
