//! Tests of retention classes: the records that somebody will ask for are still there after a flood of others, and each class stays
//! within its limits.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::{
    Gate, HOUR, ON_PURPOSE, named, retain_at_most, silence_expected_panics, wait_until, watchdog,
};
use moirai::prelude::*;
use moirai::sim::Simulation;
use moirai::{Clock, RetentionClass, TaskBuilder};

const FLOOD: usize = 100_000;

fn at_most(max_records: usize) -> Retention {
    Retention { max_records, max_age: HOUR }
}

/// Runs `tasks` tasks that say nothing but their work, from inside of the executor, where they are the fastest.
fn flood(executor: &Moirai, tasks: usize) {
    let inside = executor.clone().without_owner();
    let spawner = executor.spawn_async(async move {
        for _ in 0..tasks / 100 {
            let handles: Vec<_> = (0..100).map(|n| inside.spawn_async(async move { n })).collect();
            for handle in handles {
                handle.await.unwrap();
            }
        }
    });
    spawner.join().unwrap();
}

fn fail(executor: &Moirai) -> TaskId {
    let task = executor.spawn_parallel(|| panic!("{ON_PURPOSE}"));
    let id = task.id();
    assert!(task.join().unwrap_err().is_panicked());
    id
}

fn run_job(executor: &Moirai) -> TaskId {
    let job = executor.task().retention("jobs").name("job").spawn_async(async {});
    let id = job.id();
    job.join().unwrap();
    id
}

#[test]
fn a_flood_of_successes_evicts_neither_the_jobs_nor_the_failures() {
    let _watchdog = watchdog();
    silence_expected_panics();
    let executor = named("rc-flood", 2)
        .retention("jobs", at_most(50))
        .retain_failures(at_most(50))
        .build()
        .unwrap();
    let first = executor.spawn_async(async {});
    let first_id = first.id();
    first.join().unwrap();
    let jobs: Vec<_> = (0..20).map(|_| run_job(&executor)).collect();
    let failures: Vec<_> = (0..20).map(|_| fail(&executor)).collect();
    flood(&executor, FLOOD);
    assert!(executor.lookup(first_id).is_evicted(), "others were evicted");
    for id in jobs {
        let stats = executor.lookup(id).found().expect("a job is kept");
        assert_eq!((stats.status, stats.name.as_deref()), (TaskStatus::Completed, Some("job")));
    }
    for id in failures {
        let stats = executor.task_stats(id).expect("a failure is kept");
        assert_eq!(stats.status, TaskStatus::Failed);
        assert!(stats.error.unwrap().contains(ON_PURPOSE));
    }
    assert_eq!(executor.cleanup_stats().failed_tasks, 20);
    // A worker that goes idle evicts what it has left.
    wait_until("the list and the counts agree", || {
        executor.tasks().len() == executor.cleanup_stats().total_tasks
    });
    executor.cleanup_completed_tasks();
    assert_eq!(executor.cleanup_stats().total_tasks, 10_000 + 40);
}

#[test]
fn without_a_class_failures_go_as_all_others_do() {
    let _watchdog = watchdog();
    silence_expected_panics();
    let cleanup = retain_at_most(100, HOUR);
    let executor = named("rc-off", 2).cleanup_config(cleanup).build().unwrap();
    let failure = fail(&executor);
    flood(&executor, 1_000);
    assert!(executor.lookup(failure).is_evicted());
}

#[test]
fn a_class_is_within_its_limit_at_every_moment_of_a_flood_of_its_own() {
    const JOBS: usize = 300;
    const FAILURES: usize = 10;
    let _watchdog = watchdog();
    silence_expected_panics();
    // No other record is kept, so that what is counted are jobs and failures.
    let executor = named("rc-bound", 2)
        .cleanup_config(retain_at_most(0, HOUR))
        .retention("jobs", at_most(JOBS))
        .retain_failures(at_most(FAILURES))
        .build()
        .unwrap();
    let done = AtomicBool::new(false);
    let mut ids = thread::scope(|scope| {
        let (executor, done) = (&executor, &done);
        let reader = scope.spawn(move || {
            let mut most = 0;
            loop {
                let last = done.load(Ordering::Relaxed);
                let stats = executor.cleanup_stats();
                assert!(stats.completed_tasks <= JOBS, "{stats:?}");
                assert!(stats.failed_tasks <= FAILURES, "{stats:?}");
                most = most.max(stats.completed_tasks);
                if last {
                    return most;
                }
            }
        });
        let mut ids = Vec::new();
        for round in 0..200 {
            let jobs: Vec<_> = (0..100)
                .map(|n| executor.task().retention("jobs").spawn_parallel(move || n))
                .collect();
            ids.extend(jobs.iter().map(TaskHandle::id));
            jobs.into_iter().for_each(|job| assert!(job.join().is_ok()));
            if round % 5 == 0 {
                fail(executor);
            }
        }
        done.store(true, Ordering::Relaxed);
        assert_eq!(reader.join().unwrap(), JOBS, "the reader has seen them");
        ids
    });
    let stats = executor.cleanup_stats();
    assert_eq!((stats.completed_tasks, stats.failed_tasks), (JOBS, FAILURES));
    ids.retain(|id| executor.task_status(*id).is_some());
    assert_eq!(ids.len(), JOBS);
    // The oldest are evicted first: the newest are there.
    let (job, failure) = (run_job(&executor), fail(&executor));
    assert_eq!(executor.task_status(job), Some(TaskStatus::Completed));
    assert_eq!(executor.task_status(failure), Some(TaskStatus::Failed));
}

#[test]
fn a_class_keeps_its_records_for_its_own_time() {
    let _watchdog = watchdog();
    silence_expected_panics();
    let (clock, controller) = Clock::manual();
    let minute = Duration::from_secs(60);
    let executor = named("rc-age", 2)
        .clock(clock)
        .cleanup_config(retain_at_most(10_000, minute))
        .retention("jobs", Retention { max_records: 10, max_age: HOUR })
        .retain_failures(Retention { max_records: 10, max_age: 2 * HOUR })
        .build()
        .unwrap();
    let (job, failure) = (run_job(&executor), fail(&executor));
    let other = executor.spawn_parallel(|| ());
    let other_id = other.id();
    other.join().unwrap();
    // The default interval between two sweeps.
    let interval = Duration::from_secs(30);
    let mut passed = Duration::ZERO;
    let mut pass_until_evicted = |id: TaskId| {
        wait_until("the record is evicted", || {
            let evicted = executor.lookup(id).is_evicted();
            if !evicted {
                controller.advance(interval);
                passed += interval;
            }
            evicted
        });
        passed
    };
    // The cleanup thread may come to sweep only after several of these steps. But none is evicted too soon.
    let passed = pass_until_evicted(other_id);
    assert!(passed >= minute);
    assert!(passed >= HOUR || executor.lookup(job).found().is_some());
    let passed = pass_until_evicted(job);
    assert!(passed >= HOUR);
    assert!(passed >= 2 * HOUR || executor.lookup(failure).found().is_some());
    assert!(pass_until_evicted(failure) >= 2 * HOUR);
    assert_eq!(executor.cleanup_stats().evicted_by_age, 3);
}

#[test]
fn a_request_applies_the_limits_of_each_class_by_the_simulated_time() {
    let classes = vec![RetentionClass::new("jobs", Retention { max_records: 3, max_age: HOUR })];
    let cleanup = CleanupConfig {
        enable_automatic_cleanup: false,
        ..retain_at_most(2, Duration::from_secs(1))
    };
    let config = ExecutorConfig { cleanup, retention: classes, ..ExecutorConfig::default() };
    Simulation::new(7)
        .config(config)
        .run(|executor| async move {
            let mut jobs = Vec::new();
            for _ in 0..5 {
                let job = executor.task().retention("jobs").spawn_async(async {});
                jobs.push(job.id());
                job.await.unwrap();
                executor.spawn_parallel(|| ()).await.unwrap();
            }
            assert_eq!(executor.cleanup_stats().completed_tasks, 10, "nothing without a request");
            assert_eq!(executor.cleanup_completed_tasks(), 2 + 3);
            assert!(jobs[..2].iter().all(|id| executor.lookup(*id).is_evicted()));
            moirai::time::sleep(Duration::from_secs(2)).await;
            assert_eq!(executor.cleanup_completed_tasks(), 2, "too old, without a class");
            assert!(jobs[2..].iter().all(|id| executor.task_status(*id).is_some()));
            moirai::time::sleep(HOUR).await;
            assert_eq!(executor.cleanup_completed_tasks(), 3);
            assert_eq!(executor.cleanup_stats().evicted_by_request, 10);
        })
        .unwrap();
}

/// Calls `spawn` with a builder for a job of the executor that runs the calling task.
fn on_its_executor<R>(spawn: impl FnOnce(TaskBuilder<'_>) -> R) -> R {
    let executor = Moirai::current().expect("the caller is a task");
    spawn(executor.task().retention("jobs"))
}

#[test]
fn every_way_to_spawn_a_task_regards_its_class() {
    let _watchdog = watchdog();
    let executor = named("rc-ways", 1)
        .cleanup_config(retain_at_most(0, HOUR))
        .max_active_tasks(100)
        .retention("jobs", at_most(100))
        .build()
        .unwrap();
    let job = || executor.task().retention("jobs");
    let gate = Gate::new();
    let mut handles = vec![
        job().spawn_async(async {}),
        job().spawn_parallel(|| ()),
        job().spawn_blocking(|| ()),
        job().timeout(HOUR).spawn_async(async {}),
        job().try_spawn_async(async {}).unwrap(),
        job().try_spawn_blocking(|| ()).unwrap(),
        executor.block_on(job().spawn_parallel_when_free(|| ())),
        job().priority(Priority::High).deadline(HOUR).spawn_parallel(|| ()),
        executor
            .spawn_async(async { (on_its_executor(|job| job.spawn_async(async {})),) })
            .join()
            .unwrap()
            .0,
    ];
    let stuck = job().spawn_async({
        let gate = gate.clone();
        async move { gate.passed().await }
    });
    stuck.cancel();
    let stuck_id = stuck.id();
    assert!(stuck.join().unwrap_err().is_cancelled());
    let mut ids: Vec<_> = handles.iter().map(TaskHandle::id).collect();
    for handle in handles.drain(..) {
        handle.join().unwrap();
    }
    let mut group = executor.group::<()>();
    ids.push(group.task().retention("jobs").spawn_async(async {}));
    executor.block_on(group.join_all());
    for id in ids {
        assert_eq!(executor.task_status(id), Some(TaskStatus::Completed));
    }
    assert_eq!(executor.task_status(stuck_id), Some(TaskStatus::Cancelled));
    assert_eq!(executor.cleanup_stats().total_tasks, 11);
}

#[test]
fn a_class_that_there_is_not_is_the_usual_one() {
    let _watchdog = watchdog();
    let executor = named("rc-none", 1)
        .cleanup_config(retain_at_most(1, HOUR))
        .retention("jobs", at_most(10))
        .build()
        .unwrap();
    let spawn = |class: &str| {
        let task = executor.task().retention(class).spawn_parallel(|| ());
        let id = task.id();
        task.join().unwrap();
        id
    };
    let ids = ["", "Jobs", "mails"].map(spawn);
    assert!(executor.lookup(ids[0]).is_evicted() && executor.lookup(ids[1]).is_evicted());
    assert_eq!(executor.task_status(ids[2]), Some(TaskStatus::Completed));
}

#[test]
fn classes_without_a_name_of_their_own_are_refused() {
    let limits = at_most(1);
    let build = |names: &[&str]| {
        let mut builder = Moirai::builder().worker_threads(1);
        for name in names {
            builder = builder.retention(*name, limits);
        }
        builder.build().map(drop)
    };
    for names in [&[""][..], &["jobs", "jobs"], &vec!["x"; 65]] {
        let error = build(names).unwrap_err();
        assert_eq!(error.field(), Some("retention"), "{error}");
    }
    let names: Vec<_> = (0..64).map(|number| number.to_string()).collect();
    assert!(build(&names.iter().map(String::as_str).collect::<Vec<_>>()).is_ok());
}

#[test]
fn an_id_that_was_never_given_out_is_unknown() {
    let _watchdog = watchdog();
    let executor = named("rc-ids", 1).max_active_tasks(1).build().unwrap();
    let gate = Gate::new();
    let waiting = executor.spawn_async({
        let gate = gate.clone();
        async move { gate.passed().await }
    });
    let id = waiting.id();
    assert!(executor.lookup(id).found().is_some_and(|stats| stats.status.is_active()));
    let refused = executor.spawn_parallel(|| ());
    assert!(executor.lookup(refused.id()).is_unknown());
    assert!(refused.join().unwrap_err().is_at_capacity());
    // The next generation of the same slot.
    let next = TaskId::from_parts(id.generation() + 1, id.slot()).unwrap();
    assert!(executor.lookup(next).is_unknown());
    gate.open();
    waiting.join().unwrap();
    assert!(executor.lookup(id).found().is_some_and(|stats| stats.status.is_terminal()));
    assert!(executor.lookup(next).is_unknown());
}
