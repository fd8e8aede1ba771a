//! Futures that have a thread of the executor for themselves.

use std::future::Future;

use moirai_core::ExecutorControl;
use moirai_executor::{HybridExecutor, TaskHandle};
use moirai_sync::{CancellationToken, oneshot};

use super::set::LocalSet;

/// Spawns a future that is made, and stays, on one thread.
#[track_caller]
pub(crate) fn spawn_pinned<C, F>(executor: &HybridExecutor, create: C) -> TaskHandle<F::Output>
where
    C: FnOnce() -> F + Send + 'static,
    F: Future + 'static,
    F::Output: Send + 'static,
{
    let token = CancellationToken::new();
    // Dropped with the task, when it ends or is cancelled.
    let guard = token.clone().drop_guard();
    let (sender, result) = oneshot::channel();
    let here = executor.without_owner();
    // The thread's own task, which ends soon after the other.
    let thread = executor.task().name("pinned").spawn_blocking(move || {
        let running = async {
            let set = LocalSet::new();
            token.run_until_cancelled(set.run_until(async { create().await })).await
        };
        if let Some(output) = here.block_on(running) {
            // The other task may have been cancelled.
            let _ = sender.send(output);
        }
    });
    executor.task().name("pinned").spawn_async(async move {
        let _guard = guard;
        match result.await {
            Ok(output) => output,
            // The thread has panicked, or there was none.
            Err(_) => match thread.await {
                Err(moirai_core::TaskError::Panicked(panic)) => {
                    std::panic::resume_unwind(panic.into_payload())
                }
                Err(error) => panic!("a pinned future has no thread: {error}"),
                Ok(()) => unreachable!("it sends what it returns, unless it is cancelled"),
            },
        }
    })
}
