//! Moirai with its defaults: every task on the books, histograms on, limits on.

use std::future::Future;
use std::sync::OnceLock;

use moirai::{Moirai, TaskHandle};

use super::{Peer, WORKERS};

static EXECUTOR: OnceLock<Moirai> = OnceLock::new();

/// Moirai, tracking on.
#[derive(Clone, Copy, Debug)]
pub struct Ours;

impl Ours {
    /// The executor.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn executor() -> &'static Moirai {
        EXECUTOR.get_or_init(|| {
            Moirai::builder().worker_threads(WORKERS).build().expect("the executor starts")
        })
    }
}

impl Peer for Ours {
    const NAME: &'static str = "moirai";
    type Handle<T: Send + 'static> = TaskHandle<T>;

    fn start() {
        Self::executor();
    }

    fn spawn<F>(future: F) -> TaskHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Self::executor().spawn_async(future)
    }

    fn spawn_inside<F>(future: F) -> TaskHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        moirai::spawn_async(future)
    }

    fn detach<T: Send + 'static>(handle: TaskHandle<T>) {
        drop(handle);
    }

    async fn join<T: Send + 'static>(handle: TaskHandle<T>) -> T {
        handle.await.expect("a task of a benchmark ends")
    }

    fn join_outside<T: Send + 'static>(handle: TaskHandle<T>) -> T {
        handle.join().expect("a task of a benchmark ends")
    }

    fn block_on<F: Future + Send>(future: F) -> F::Output
    where
        F::Output: Send,
    {
        Self::executor().block_on(future)
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        moirai::yield_now()
    }
}
