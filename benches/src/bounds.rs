//! Whether the bounds of records hold, and what is refused: Moirai beside the executor of its name on the package registry.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use moirai::{CleanupConfig, Moirai, TaskId};

use crate::peer::workers;

/// What the two executors are asked.
trait Recorder: Sized {
    /// What a task is known by.
    type Id;
    /// Starts an executor that keeps this many records, for this long.
    fn keeping(records: usize, age: Duration) -> Self;
    /// Starts an executor with its defaults.
    fn usual() -> Self;
    /// Runs a future to its end.
    fn run(&self, future: impl Future<Output = ()> + Send + 'static) -> Self::Id;
    /// Spawns a future, and returns whether it was taken.
    fn takes(&self, future: impl Future<Output = ()> + Send + 'static) -> bool;
    /// Whether there is a record.
    fn knows(&self, id: &Self::Id) -> bool;
}

impl Recorder for Moirai {
    type Id = TaskId;

    fn keeping(records: usize, age: Duration) -> Self {
        let cleanup = CleanupConfig {
            task_retention_duration: age,
            cleanup_interval: CleanupConfig::default().cleanup_interval.min(age),
            max_retained_tasks: records,
            ..CleanupConfig::default()
        };
        let builder = Moirai::builder().worker_threads(workers()).cleanup_config(cleanup);
        builder.build().expect("the executor starts")
    }

    fn usual() -> Self {
        Moirai::builder().worker_threads(workers()).build().expect("the executor starts")
    }

    fn run(&self, future: impl Future<Output = ()> + Send + 'static) -> TaskId {
        let handle = self.spawn_async(future);
        let id = handle.id();
        handle.join().expect("a task of a probe ends");
        id
    }

    fn takes(&self, future: impl Future<Output = ()> + Send + 'static) -> bool {
        self.task().try_spawn_async(future).is_ok()
    }

    fn knows(&self, &id: &TaskId) -> bool {
        self.task_status(id).is_some()
    }
}

#[cfg(feature = "origin")]
mod origin {
    use std::time::Duration;

    use origin_core::executor::{CleanupConfig, ExecutorConfig, TaskManager, TaskSpawner};
    use origin_core::task::TaskId;
    use origin_executor::HybridExecutor;

    use super::Recorder;
    use crate::peer::workers;

    impl Recorder for HybridExecutor {
        type Id = TaskId;

        fn keeping(records: usize, age: Duration) -> Self {
            let cleanup = CleanupConfig {
                task_retention_duration: age,
                max_retained_tasks: records,
                ..CleanupConfig::default()
            };
            let usual = ExecutorConfig::default();
            let config = ExecutorConfig { worker_threads: workers(), cleanup, ..usual };
            Self::new(config).expect("the executor starts")
        }

        fn usual() -> Self {
            let config = ExecutorConfig { worker_threads: workers(), ..ExecutorConfig::default() };
            Self::new(config).expect("the executor starts")
        }

        fn run(&self, future: impl Future<Output = ()> + Send + 'static) -> TaskId {
            let handle = self.spawn_async(future).expect("there is room in the queue");
            let id = handle.id();
            handle.join().expect("the task has a result").expect("a task of a probe ends");
            id
        }

        fn takes(&self, future: impl Future<Output = ()> + Send + 'static) -> bool {
            self.spawn_async(future).is_ok()
        }

        fn knows(&self, id: &TaskId) -> bool {
            self.task_status(*id).is_some()
        }
    }
}

/// Returns how many of eight tasks have a record, with a limit of three records.
fn kept_by_count<R: Recorder>() -> f64 {
    let executor = R::keeping(3, Duration::from_secs(300));
    let ids: Vec<_> = (0..8).map(|_| executor.run(async {})).collect();
    known(&executor, &ids)
}

/// Returns how many of ten tasks have a record 600 ms after the last has ended, with a retention of 100 ms.
fn kept_by_age<R: Recorder>() -> f64 {
    let executor = R::keeping(10_000, Duration::from_millis(100));
    let ids: Vec<_> = (0..10).map(|_| executor.run(async {})).collect();
    thread::sleep(Duration::from_millis(600));
    known(&executor, &ids)
}

fn known<R: Recorder>(executor: &R, ids: &[R::Id]) -> f64 {
    ids.iter().filter(|id| executor.knows(id)).count() as f64
}

/// Returns how many of 10,000 tasks are refused while all workers are busy, with the defaults.
fn refused<R: Recorder>() -> f64 {
    let executor = R::usual();
    let [inside, gate] = [(); 2].map(|()| Arc::new(Barrier::new(workers() + 1)));
    for _ in 0..workers() {
        let (inside, gate) = (Arc::clone(&inside), Arc::clone(&gate));
        let taken = executor.takes(async move {
            inside.wait();
            gate.wait();
        });
        assert!(taken, "a task is refused, and nothing is queued");
    }
    inside.wait();
    let refused = (0..10_000).filter(|_| !executor.takes(async {})).count();
    gate.wait();
    refused as f64
}

/// Declares a probe's function for Moirai, and one for the other executor, if that is built in.
macro_rules! for_both {
    ($($ours:ident, $origin:ident: $probe:ident;)*) => {$(
        pub(crate) fn $ours() -> f64 {
            $probe::<Moirai>()
        }

        #[cfg(feature = "origin")]
        pub(crate) fn $origin() -> f64 {
            $probe::<origin_executor::HybridExecutor>()
        }

        #[cfg(not(feature = "origin"))]
        pub(crate) fn $origin() -> f64 {
            panic!("this program is built without the feature `origin`")
        }
    )*};
}

for_both! {
    kept_by_count_moirai, kept_by_count_origin: kept_by_count;
    kept_by_age_moirai, kept_by_age_origin: kept_by_age;
    refused_moirai, refused_origin: refused;
}
