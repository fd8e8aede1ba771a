//! The attributes of the crate `moirai`: [`#[moirai::main]`](macro@main) and [`#[moirai::test]`](macro@test).
//!
//! Programs depend on `moirai`, whose feature `macros` re-exports them. What they write calls `moirai::__private`, so the versions
//! of the two crates belong together.
#![forbid(unsafe_code)]

mod expand;
mod function;
mod options;

use proc_macro::TokenStream;

/// Makes an `async fn main` the entry point of a program: starts an executor, runs the function in it, and shuts the executor down
/// when the function has returned.
///
/// ```
/// #[moirai::main]
/// async fn main() -> Result<(), moirai::TaskError> {
///     let sum = moirai::spawn_parallel(|| (1..=100).sum::<u64>()).await?;
///     assert_eq!(sum, 5050);
///     Ok(())
/// }
/// ```
///
/// The function runs on the main thread, in [`block_on`](../moirai/struct.Moirai.html#method.block_on), so it need not be `Send`.
/// It is not a task itself, and has no record. What it spawns with the functions of `moirai` are tasks of the executor, which
/// `Moirai::current()` returns a handle to.
///
/// When the function returns or panics, the executor is dropped: tasks that are queued or waiting are cancelled, and polls that are
/// in progress are waited for, for at most one second. To let tasks end, wait for their handles or for their group, or call
/// `shutdown` with a time limit at the end of the function.
///
/// # Options
///
/// | option | meaning |
/// | --- | --- |
/// | `workers = 4` | the number of workers, a `usize`; also called `worker_threads`. Default: as for `Moirai::builder()` |
/// | `builder = expression` | a `MoiraiBuilder`, such as `Moirai::builder().spare_threads(8)`; `workers` is set on top |
/// | `crate = path` | where the crate `moirai` is found. Default: `::moirai` |
///
/// ```
/// # use moirai::{ExecutorPlugin, Moirai, MoiraiBuilder};
/// # struct Audit;
/// # impl ExecutorPlugin for Audit {}
/// fn configured() -> MoiraiBuilder {
///     Moirai::builder().thread_name_prefix("service").plugin(Audit)
/// }
///
/// #[moirai::main(workers = 2, builder = configured())]
/// async fn main() {
///     assert_eq!(Moirai::current().unwrap().worker_count(), 2);
/// }
/// ```
///
/// # Errors
///
/// If the executor cannot be started, the program prints why to standard error, and ends with status 1.
#[proc_macro_attribute]
pub fn main(options: TokenStream, function: TokenStream) -> TokenStream {
    expand::main(options.into(), function.into()).into()
}

/// Makes an `async fn` a test: starts an executor for it alone, or [simulates](../moirai/sim/index.html) it.
///
/// ```
/// #[moirai::test]
/// async fn a_task_returns_a_value() {
///     assert_eq!(moirai::spawn_async(async { 6 * 7 }).await.unwrap(), 42);
/// }
///
/// // The same test in a hundred orders. All of them have to pass.
/// #[moirai::test(simulate = 100)]
/// async fn two_tasks_add_up() {
///     let (one, other) = (moirai::spawn_async(async { 1 }), moirai::spawn_async(async { 2 }));
///     assert_eq!(one.await.unwrap() + other.await.unwrap(), 3);
/// }
///
/// // A day of simulated time, which takes no real time.
/// #[moirai::test(start_paused = true)]
/// async fn a_backup_is_made_each_day() {
///     moirai::time::sleep(std::time::Duration::from_secs(24 * 3600)).await;
/// }
/// ```
///
/// Name it by its path, as here: with `use moirai::*` the name `test` is ambiguous, with `use moirai::prelude::*` it is not.
///
/// The function may return whatever a `#[test]` may. Other attributes, such as `#[ignore]` and `#[should_panic]`, work as they do
/// for a `#[test]`.
///
/// # Options
///
/// | option | meaning |
/// | --- | --- |
/// | `workers = 4` | the number of workers, a `usize`; also called `worker_threads`. Default: two |
/// | `builder = expression` | a `MoiraiBuilder`; `workers` is set on top. Not with the next two |
/// | `simulate = 100` | runs the test on this number of seeds of the simulator, a `u64` |
/// | `start_paused = true` | runs the test on one seed of the simulator, whose time advances by itself when nothing can go on |
/// | `crate = path` | where the crate `moirai` is found. Default: `::moirai` |
///
/// # Simulated tests
///
/// With `simulate` or `start_paused` the whole executor runs on the thread of the test, in an order that is drawn from a seed, and
/// in a simulated time. The function's future must be `Send`, because it is a task of the simulation. `moirai::sim` says what is
/// simulated and what is not: threads that the test starts, sockets, files, and waits that block the thread are not.
///
/// A test fails with the first seed that fails: because the function panics or returns an error, a task panics whose handle was
/// dropped, or nothing can go on. The message names the seed, and how to run the test with this seed alone, as often as you like:
///
/// ```text
/// the simulated test `pool::no_job_is_lost` fails with seed 17: deadlock: no task can go on, and no timer is pending. […]
/// run it with this seed alone: MOIRAI_SIM_SEED=17 cargo test pool::no_job_is_lost
/// ```
///
/// Without options for simulation the test runs on threads, and its future need not be `Send`.
#[proc_macro_attribute]
pub fn test(options: TokenStream, function: TokenStream) -> TokenStream {
    expand::test(options.into(), function.into()).into()
}
