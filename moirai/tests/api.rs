//! Tests of the public names: that they exist, and what can be done with them. Most of it is tested by compiling.

mod common;

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt::{Debug, Display};
use std::future::Future;
use std::hash::Hash;
use std::panic::{Location, UnwindSafe};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use common::watchdog;
use moirai::{
    AbortHandle, BuildError, CleanupConfig, CleanupStats, Executor, ExecutorConfig,
    ExecutorControl, ExecutorPlugin, HybridExecutor, HybridExecutorBuilder, MetricsSnapshot,
    Moirai, MoiraiBuilder, Panic, Priority, Scheduler, ShutdownReport, Task, TaskError, TaskHandle,
    TaskId, TaskKind, TaskManager, TaskSpawner, TaskStats, TaskStatus, Timestamp,
};

fn send_sync<T: Send + Sync + 'static>() {}
fn send<T: Send + 'static>() {}
fn value<T: Copy + Eq + Hash + Debug + Send + Sync + 'static>() {}
fn data<T: Clone + Debug + Send + Sync + 'static>() {}
fn error<T: Error + Send + Sync + 'static>() {}

#[test]
fn types_implement_the_traits_that_users_need() {
    value::<TaskId>();
    value::<TaskStatus>();
    value::<Priority>();
    value::<TaskKind>();
    value::<Timestamp>();
    data::<CleanupConfig>();
    data::<CleanupStats>();
    data::<ExecutorConfig>();
    data::<TaskStats>();
    data::<ShutdownReport>();
    data::<MetricsSnapshot>();
    data::<Moirai>();
    data::<HybridExecutor>();
    data::<AbortHandle>();
    error::<BuildError>();
    error::<TaskError>();
    send_sync::<Panic>();
    send_sync::<TaskHandle<u8>>();
    // A result need not be `Sync` for its handle to go to another thread.
    send::<TaskHandle<std::cell::Cell<u8>>>();
    send::<MoiraiBuilder>();
    send::<HybridExecutorBuilder>();
    fn ordered<T: Ord>() {}
    ordered::<TaskId>();
    ordered::<Timestamp>();
    ordered::<Priority>();
    fn defaults<T: Default>() {}
    defaults::<CleanupConfig>();
    defaults::<ExecutorConfig>();
    defaults::<Priority>();
    fn text<T: Display + FromStr>() {}
    text::<TaskId>();
    fn displayed<T: Display>() {}
    displayed::<TaskStatus>();
    displayed::<ShutdownReport>();
    fn future<F: Future<Output = Result<u8, TaskError>> + Unpin>() {}
    future::<TaskHandle<u8>>();
    fn object_safe<T: ?Sized + ExecutorPlugin>() {}
    object_safe::<dyn ExecutorPlugin>();
    fn unwind_safe<T: UnwindSafe>() {}
    unwind_safe::<TaskId>();
}

#[test]
fn ids_are_parsed_statuses_are_classified_and_priorities_are_ordered() {
    let id: TaskId = "4294967303".parse().unwrap();
    assert_eq!((id.get(), id.to_string()), (4_294_967_303, "4294967303".to_owned()));
    for wrong in ["", "0", "-1", "x", "18446744073709551616"] {
        assert!(wrong.parse::<TaskId>().is_err(), "{wrong:?}");
    }
    use TaskStatus::{Cancelled, Completed, Failed, Queued, Running};
    for status in [Queued, Running] {
        assert!(status.is_active() && !status.is_terminal());
    }
    for status in [Completed, Cancelled, Failed] {
        assert!(status.is_terminal() && !status.is_active());
    }
    let texts: BTreeSet<_> =
        [Queued, Running, Completed, Cancelled, Failed].iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 5);
    assert!(Priority::Critical > Priority::High && Priority::High > Priority::Normal);
    assert!(Priority::Normal > Priority::Low);
    assert_eq!(Priority::default(), Priority::Normal);
}

#[test]
fn defaults_are_the_documented_ones() {
    let cleanup = CleanupConfig::default();
    assert_eq!(cleanup.task_retention_duration, Duration::from_secs(5 * 60));
    assert_eq!(cleanup.cleanup_interval, Duration::from_secs(30));
    assert!(cleanup.enable_automatic_cleanup);
    assert_eq!(cleanup.max_retained_tasks, 10_000);
    let config = ExecutorConfig { worker_threads: 2, ..Default::default() };
    assert_eq!(config.cleanup, cleanup);
    assert_eq!(config.thread_stack_size, None);
    let executor = Moirai::new().unwrap();
    assert!(executor.worker_count() >= 1);
}

#[test]
fn each_predicate_is_true_of_one_kind_of_error_only() {
    let panic = || TaskError::Panicked(Panic::new(Box::new("message"), None));
    let errors = [
        TaskError::Cancelled,
        TaskError::TimedOut,
        panic(),
        TaskError::ShutDown,
        TaskError::WouldDeadlock,
        TaskError::ResultTaken,
    ];
    let predicates: [fn(&TaskError) -> bool; 6] = [
        TaskError::is_cancelled,
        TaskError::is_timed_out,
        TaskError::is_panicked,
        TaskError::is_shut_down,
        TaskError::is_would_deadlock,
        TaskError::is_result_taken,
    ];
    for (i, error) in errors.iter().enumerate() {
        assert!(!error.to_string().is_empty());
        for (j, predicate) in predicates.iter().enumerate() {
            assert_eq!(predicate(error), i == j, "{error}");
        }
    }
    let TaskError::Panicked(panic) = panic() else { unreachable!() };
    assert_eq!((panic.message(), panic.location()), ("message", None));
    assert_eq!(panic.into_payload().downcast_ref::<&str>(), Some(&"message"));
}

/// Calls the methods of all three traits on any executor.
fn use_all<E: Executor>(executor: &E) {
    let spawned = [
        executor.spawn(|| 1),
        executor.spawn_async(async { 2 }),
        executor.spawn_parallel(|| 3),
        executor.spawn_blocking(|| 4),
        executor.spawn_with_priority(|| 5, Priority::High),
    ];
    for (i, handle) in spawned.into_iter().enumerate() {
        assert_eq!(executor.block_on(handle).unwrap(), i + 1);
    }
    let tasks: Vec<TaskStats> = executor.tasks();
    assert_eq!(tasks.len(), 5);
    for task in tasks {
        let status: Option<TaskStatus> = executor.task_status(task.id);
        assert_eq!(status, Some(TaskStatus::Completed));
        assert!(executor.task_stats(task.id).is_some());
        assert!(!executor.cancel_task(task.id));
        let waited = executor.block_on(executor.wait_for_task(task.id, Some(Duration::ZERO)));
        assert_eq!(waited, status);
    }
    let _: bool = executor.try_run();
    assert_eq!((executor.load(), executor.worker_count()), (0, 2));
    assert!(!executor.is_shutting_down());
    assert!(executor.shutdown_timeout(common::STEP_TIMEOUT).is_clean());
    assert!(executor.shutdown().is_clean() && executor.is_shutting_down());
}

/// Takes each of the three traits by itself.
fn use_parts<S: TaskSpawner, M: TaskManager, C: ExecutorControl>(s: &S, m: &M, c: &C) -> usize {
    c.block_on(s.spawn_async(async {})).unwrap();
    m.tasks().len()
}

#[test]
fn code_can_be_generic_over_executors() {
    let _watchdog = watchdog();
    let config = ExecutorConfig { worker_threads: 2, ..ExecutorConfig::default() };
    let executor = HybridExecutor::new(config).unwrap();
    use_all(&executor);
    let executor = HybridExecutor::builder()
        .worker_threads(2)
        .thread_name_prefix("api")
        .cleanup_config(CleanupConfig::default())
        .build()
        .unwrap();
    assert_eq!(use_parts(&executor, &executor, &executor), 1);
    assert_eq!(executor.cleanup_completed_tasks(), 0);
    assert_eq!(executor.cleanup_stats().completed_tasks, 1);
    let executor = common::workers(2);
    use_all(executor.executor());
}

#[test]
fn a_record_has_all_its_fields() {
    let _watchdog = watchdog();
    let executor = common::workers(1);
    let handle = executor.task().name("all").priority(Priority::High).spawn_async(async {});
    let id = handle.id();
    handle.join().unwrap();
    let stats: TaskStats = executor.task_stats(id).unwrap();
    let _: Option<Arc<str>> = stats.name.clone();
    let _: (TaskId, TaskKind, TaskStatus, Priority) =
        (stats.id, stats.kind, stats.status, stats.priority);
    let _: (Timestamp, Option<Timestamp>, Option<Timestamp>) =
        (stats.spawned_at, stats.started_at, stats.finished_at);
    let _: (u32, Duration, Option<usize>) = (stats.polls, stats.busy, stats.worker);
    let _: &'static Location<'static> = stats.location;
    let _: Option<Arc<str>> = stats.error.clone();
    let _: [Option<Duration>; 3] = [stats.queue_time(), stats.execution_time(), stats.age()];
    let (earlier, later) = (stats.spawned_at, stats.finished_at.unwrap());
    assert_eq!(earlier.saturating_since(later), Duration::ZERO);
    let between = Duration::from_nanos(later.as_nanos() - earlier.as_nanos());
    assert_eq!(later.saturating_since(earlier), between);
    let at = later.to_system_time();
    assert!(at <= SystemTime::now() + Duration::from_secs(1));
    assert!(at >= SystemTime::now() - common::STEP_TIMEOUT);

    let CleanupStats {
        total_tasks,
        active_tasks,
        completed_tasks,
        cancelled_tasks,
        failed_tasks,
        oldest_completed_task_age,
        memory_bytes,
        evicted_by_age,
        evicted_by_count,
        evicted_by_request,
        last_sweep: _,
        ..
    } = executor.cleanup_stats();
    assert_eq!(total_tasks, active_tasks + completed_tasks + cancelled_tasks + failed_tasks);
    assert!(oldest_completed_task_age.is_some() && memory_bytes > 0);
    assert_eq!(evicted_by_age + evicted_by_count + evicted_by_request, 0);
}

/// Uses the paths of the modules.
mod paths {
    #[expect(
        unused_imports,
        reason = "the prelude has to exist, whether it is needed here or not"
    )]
    use moirai::prelude::*;

    #[test]
    fn items_are_found_in_their_modules() {
        let token = moirai::sync::CancellationToken::new();
        let child = token.child_token();
        token.cancel();
        assert!(token.is_cancelled() && child.is_cancelled());
        moirai::block_on(child.cancelled());
        let run = moirai::block_on(token.run_until_cancelled(std::future::pending::<()>()));
        assert_eq!(run, None);
        let _: moirai::metrics::MetricsSnapshot = moirai::metrics::MetricsSnapshot::default();
        let executor = moirai::Moirai::builder()
            .worker_threads(1)
            .scheduler(moirai::scheduler::WorkStealing::new())
            .build()
            .unwrap();
        super::common::assert_runs(&executor);
        fn is_scheduler<S: super::Scheduler<T>, T: Send + 'static>() {}
        is_scheduler::<moirai::scheduler::WorkStealing<u8>, u8>();
        assert_eq!(moirai::block_in_place(|| 1), 1);
        moirai::block_on(moirai::yield_now());
    }
}

#[test]
fn every_type_that_implements_the_trait_is_a_task() {
    struct Own;
    impl Task for Own {
        type Output = &'static str;
        fn run(self) -> Self::Output {
            "own"
        }
    }
    fn run<T: Task>(task: T) -> T::Output {
        task.run()
    }
    assert_eq!(run(Own), "own");
    assert_eq!(run(|| 7), 7);
}
