//! async-executor on threads of its own, as smol runs it: its `Executor`, and its `StaticExecutor`, which keeps no list of its
//! tasks.

use std::future::{Future, pending};
use std::sync::{Once, OnceLock};
use std::thread;

use async_executor::{Executor, StaticExecutor, Task};
use futures_lite::future::{self, block_on};

use super::interface::{Peer, workers};

/// Runs the futures that `run` returns on threads that never end.
fn start_threads<F: Future<Output = ()> + 'static>(run: fn() -> F) {
    for number in 0..workers() {
        thread::Builder::new()
            .name(format!("async-executor-{number}"))
            .spawn(move || block_on(run()))
            .expect("a thread starts");
    }
}

macro_rules! peer {
    ($(#[$about:meta])* $peer:ident, $name:literal, $executor:expr) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug)]
        pub struct $peer;

        impl Peer for $peer {
            const NAME: &'static str = $name;
            type Handle<T: Send + 'static> = Task<T>;

            fn start() {
                static STARTED: Once = Once::new();
                STARTED.call_once(|| start_threads(|| $executor.run(pending())));
            }

            fn spawn<F>(future: F) -> Task<F::Output>
            where
                F: Future + Send + 'static,
                F::Output: Send + 'static,
            {
                $executor.spawn(future)
            }

            fn spawn_inside<F>(future: F) -> Task<F::Output>
            where
                F: Future + Send + 'static,
                F::Output: Send + 'static,
            {
                $executor.spawn(future)
            }

            fn detach<T: Send + 'static>(handle: Task<T>) {
                handle.detach();
            }

            fn join<T: Send + 'static>(handle: Task<T>) -> impl Future<Output = T> + Send {
                handle
            }

            fn block_on<F: Future + Send>(future: F) -> F::Output
            where
                F::Output: Send,
            {
                block_on(future)
            }

            fn yield_now() -> impl Future<Output = ()> + Send {
                future::yield_now()
            }
        }
    };
}

fn executor() -> &'static Executor<'static> {
    static EXECUTOR: OnceLock<Executor<'static>> = OnceLock::new();
    EXECUTOR.get_or_init(Executor::new)
}

static STATIC_EXECUTOR: StaticExecutor = StaticExecutor::new();

peer! {
    /// async-executor with its `Executor`.
    Smol, "async-executor", executor()
}

peer! {
    /// async-executor with its `StaticExecutor`.
    StaticSmol, "async-executor static", STATIC_EXECUTOR
}
