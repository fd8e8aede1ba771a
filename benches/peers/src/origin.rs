//! The `moirai-executor` of the package registry, another executor, which also registers every task.

use std::future::Future;
use std::sync::OnceLock;

use origin_core::executor::{ExecutorConfig, TaskSpawner};
use origin_core::task::TaskBuilder;
use origin_executor::HybridExecutor;

use super::interface::workers;

/// The most tasks that may wait in its queues. Its default is 8,192, which refuses the tasks of a workload that spawns 10,000.
const QUEUED: usize = 1 << 16;

/// The executor. It has no function that yields, and is only in the groups that spawn from outside.
#[derive(Clone, Copy, Debug)]
pub struct Origin;

impl Origin {
    /// The name of the peer in tables.
    pub const NAME: &'static str = "moirai-executor 0.11.3";

    fn executor() -> &'static HybridExecutor {
        static EXECUTOR: OnceLock<HybridExecutor> = OnceLock::new();
        EXECUTOR.get_or_init(|| {
            let config = ExecutorConfig {
                worker_threads: workers(),
                max_global_queue_size: QUEUED,
                ..ExecutorConfig::default()
            };
            HybridExecutor::new(config).expect("the executor starts")
        })
    }

    /// Spawns a future, and lets it go on.
    ///
    /// # Panics
    ///
    /// If too many tasks are waiting.
    pub fn spawn(future: impl Future<Output = ()> + Send + 'static) {
        drop(Self::executor().spawn_async(future).expect("there is room in the queue"));
    }

    /// Spawns a closure for the workers that compute, and lets it go on.
    ///
    /// # Panics
    ///
    /// If too many tasks are waiting.
    pub fn spawn_closure(closure: impl FnOnce() + Send + 'static) {
        let task = TaskBuilder::new().build(closure);
        drop(Self::executor().spawn(task).expect("there is room in the queue"));
    }
}
