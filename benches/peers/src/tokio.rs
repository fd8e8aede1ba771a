//! tokio's multi-thread runtime.

use std::future::Future;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use super::interface::{Peer, workers};

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// tokio, without its drivers for I/O and time.
#[derive(Clone, Copy, Debug)]
pub struct Tokio;

impl Tokio {
    /// Returns the runtime, which the first call starts.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    pub fn runtime() -> &'static Runtime {
        RUNTIME.get_or_init(|| {
            Builder::new_multi_thread()
                .worker_threads(workers())
                .build()
                .expect("the runtime starts")
        })
    }
}

impl Peer for Tokio {
    const NAME: &'static str = "tokio";
    type Handle<T: Send + 'static> = JoinHandle<T>;

    fn start() {
        Self::runtime();
    }

    fn spawn<F>(future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Self::runtime().spawn(future)
    }

    fn spawn_inside<F>(future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        tokio::spawn(future)
    }

    fn detach<T: Send + 'static>(handle: JoinHandle<T>) {
        drop(handle);
    }

    async fn join<T: Send + 'static>(handle: JoinHandle<T>) -> T {
        handle.await.expect("a task of a benchmark ends")
    }

    fn block_on<F: Future + Send>(future: F) -> F::Output
    where
        F::Output: Send,
    {
        Self::runtime().block_on(future)
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        tokio::task::yield_now()
    }
}
