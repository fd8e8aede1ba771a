//! Tests of retention classes (rules 11 to 13): each keeps its records by limits of its own.

use moirai_core::{Retention, RetentionClass};

use super::*;

const NEVER: Retention = Retention { max_records: usize::MAX, max_age: Duration::MAX };

fn at_most(max_records: usize) -> Retention {
    Retention { max_records, ..NEVER }
}

fn younger_than(max_age: Duration) -> Retention {
    Retention { max_age, ..NEVER }
}

/// Returns a registry for two workers on a manual clock, with these classes.
fn with_classes(
    config: CleanupConfig,
    classes: &[(&str, Retention)],
    failures: Option<Retention>,
) -> (Registry, Arc<ManualClock>) {
    let (clock, manual) = Clock::manual();
    manual.advance(Duration::from_secs(1));
    let classes: Vec<_> =
        classes.iter().map(|(name, limits)| RetentionClass::new(*name, *limits)).collect();
    (Registry::with_retention(config, 2, clock, &classes, failures), manual)
}

fn register_in(registry: &Registry, writer: &mut Writer, class: &str) -> ActiveRecord {
    let class = registry.class(class).expect("the registry has it");
    // SAFETY: as in `register`.
    unsafe { registry.register_in(class, writer, new_task(), registry.now()) }
}

/// Registers and completes a task of a class.
fn one_in(registry: &Registry, writer: &mut Writer, class: &str) -> TaskId {
    let entry = register_in(registry, writer, class);
    entry.start(Some(0), registry.now());
    let id = entry.id();
    registry.complete(writer, entry, registry.now(), 3);
    id
}

fn end(
    registry: &Registry,
    writer: &mut Writer,
    entry: ActiveRecord,
    status: TaskStatus,
) -> TaskId {
    let id = entry.id();
    let error = (status == TaskStatus::Failed).then(|| "why".into());
    registry.finish(writer, entry, RecordEnd { error, ..RecordEnd::new(status, registry.now()) });
    id
}

fn failed(registry: &Registry, writer: &mut Writer) -> TaskId {
    let entry = register(registry, writer);
    end(registry, writer, entry, TaskStatus::Failed)
}

fn kept(registry: &Registry, ids: &[TaskId]) -> usize {
    ids.iter().filter(|id| registry.status(**id).is_some()).count()
}

#[test]
fn each_class_keeps_its_newest_whatever_ends_in_the_others() {
    // The default class tells in batches, or has an exact limit.
    for most in [0, 5, 10_000] {
        let classes = [("jobs", at_most(10)), ("mails", at_most(1_000))];
        let (registry, manual) = with_classes(limit(most), &classes, Some(at_most(100)));
        let mut writer = registry.writer();
        let mut jobs = Vec::new();
        let mut mails = Vec::new();
        let mut failures = Vec::new();
        for number in 0..30_000 {
            manual.advance(Duration::from_nanos(1));
            one(&registry, &mut writer);
            if number % 1_000 == 0 {
                jobs.push(one_in(&registry, &mut writer, "jobs"));
                failures.push(failed(&registry, &mut writer));
            }
            if number % 10 == 0 {
                mails.push(one_in(&registry, &mut writer, "mails"));
            }
        }
        assert_eq!((kept(&registry, &jobs), kept(&registry, &jobs[20..])), (10, 10));
        assert_eq!((kept(&registry, &mails), kept(&registry, &mails[2_000..])), (1_000, 1_000));
        assert_eq!(kept(&registry, &failures), 30, "none was evicted");
        let stats = registry.cleanup_stats();
        assert_eq!(stats.failed_tasks, 30);
        let all = 10 + 1_000 + 30;
        assert!((all + most..=all + most + most / 8).contains(&registry.retained()));
        assert_eq!(stats.total_tasks, registry.retained());
        registry.sweep();
        assert_eq!(registry.snapshot().len(), all + most);
        assert_eq!(registry.cleanup_stats().total_tasks, all + most);
    }
}

#[test]
fn the_limit_of_a_class_is_exact_for_a_thread_that_reads_during_a_flood() {
    const JOBS: usize = 1_000;
    const FAILURES: usize = 7;
    const ROUNDS: usize = if cfg!(debug_assertions) { 20_000 } else { 200_000 };
    let classes = [RetentionClass::new("jobs", at_most(JOBS))];
    let failures = Some(at_most(FAILURES));
    let registry = Registry::with_retention(limit(0), 2, Clock::system(), &classes, failures);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (registry, done) = (&registry, &done);
        let workers = [(); 2].map(|()| {
            scope.spawn(move || {
                let mut writer = registry.writer();
                for round in 0..ROUNDS {
                    if round % 3 == 0 {
                        registry.with_shared_writer(|writer| one_in(registry, writer, "jobs"));
                    } else {
                        one_in(registry, &mut writer, "jobs");
                    }
                    failed(registry, &mut writer);
                }
            })
        });
        scope.spawn(move || {
            let mut most = (0, 0);
            while !done.load(Ordering::Relaxed) {
                let stats = registry.cleanup_stats();
                most = (most.0.max(stats.completed_tasks), most.1.max(stats.failed_tasks));
                assert!(
                    stats.completed_tasks <= JOBS && stats.failed_tasks <= FAILURES,
                    "{most:?}"
                );
                assert!(registry.retained() <= JOBS + FAILURES);
                registry.sweep();
            }
        });
        for worker in workers {
            worker.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    let stats = registry.cleanup_stats();
    assert_eq!((stats.completed_tasks, stats.failed_tasks), (JOBS, FAILURES));
    assert_eq!(registry.snapshot().len(), JOBS + FAILURES);
    assert_eq!(registry.totals().spawned, 4 * ROUNDS as u64);
    assert_eq!(stats.evicted_by_count, (4 * ROUNDS - JOBS - FAILURES) as u64);
}

#[test]
fn a_failure_is_kept_apart_only_where_that_was_asked_for() {
    let classes = [("jobs", NEVER)];
    for failures in [None, Some(NEVER)] {
        let (registry, _) = with_classes(limit(0), &classes, failures);
        let mut writer = registry.writer();
        let failure = failed(&registry, &mut writer);
        assert_eq!(registry.status(failure), failures.map(|_| TaskStatus::Failed));
        let error = registry.stats(failure).and_then(|stats| stats.error);
        assert_eq!(error.as_deref(), failures.map(|_| "why"));
        let entry = register(&registry, &mut writer);
        let cancelled = end(&registry, &mut writer, entry, TaskStatus::Cancelled);
        assert_eq!(registry.status(cancelled), None, "to be cancelled is no failure");
    }
    // The class that a task has asked for is before that of the failures.
    let (registry, _) = with_classes(limit(0), &classes, Some(at_most(0)));
    let mut writer = registry.writer();
    let entry = register_in(&registry, &mut writer, "jobs");
    let job = end(&registry, &mut writer, entry, TaskStatus::Failed);
    assert_eq!(registry.status(job), Some(TaskStatus::Failed));
    // And what a failed task's destructor says is added to it there.
    registry.append_error(job, "a destructor".into());
    assert!(registry.stats(job).unwrap().error.unwrap().contains("a destructor"));
    let failure = failed(&registry, &mut writer);
    assert!(registry.lookup(failure).is_evicted());
    let stats = registry.cleanup_stats();
    assert_eq!((stats.failed_tasks, stats.total_tasks, stats.evicted_by_count), (1, 1, 1));
}

#[test]
fn each_class_has_an_age_of_its_own() {
    let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3_600));
    let config = CleanupConfig { task_retention_duration: minute, ..limit(10_000) };
    let classes =
        [("long", younger_than(hour)), ("none", younger_than(Duration::ZERO)), ("ever", NEVER)];
    let (registry, manual) = with_classes(config, &classes, Some(younger_than(2 * minute)));
    let mut writer = registry.writer();
    let mut all = vec![one(&registry, &mut writer), failed(&registry, &mut writer)];
    all.extend(classes.map(|(class, _)| one_in(&registry, &mut writer, class)));
    let kept =
        || all.iter().map(|id| usize::from(registry.status(*id).is_some())).collect::<Vec<_>>();
    assert_eq!(kept(), [1, 1, 1, 1, 1], "the limit on age waits for a sweep");
    assert_eq!(registry.sweep().by_age, 1);
    assert_eq!(kept(), [1, 1, 1, 0, 1]);
    manual.advance(minute);
    assert_eq!(registry.sweep().by_age, 1);
    assert_eq!(kept(), [0, 1, 1, 0, 1]);
    manual.advance(minute);
    assert_eq!(registry.cleanup_now(), 1);
    assert_eq!(kept(), [0, 0, 1, 0, 1]);
    manual.advance(hour - 2 * minute - Duration::from_nanos(1));
    assert_eq!(registry.sweep().by_age, 0);
    let oldest = registry.cleanup_stats().oldest_completed_task_age;
    assert_eq!(oldest, Some(hour - Duration::from_nanos(1)));
    manual.advance(Duration::from_nanos(1));
    assert_eq!(registry.sweep().by_age, 1);
    manual.advance(Duration::MAX);
    registry.sweep();
    assert_eq!(kept(), [0, 0, 0, 0, 1]);
    let stats = registry.cleanup_stats();
    assert_eq!((stats.evicted_by_age, stats.evicted_by_request), (3, 1));
}

#[test]
fn in_a_class_an_end_that_was_timed_before_another_but_recorded_after_it_is_the_newer() {
    let limits = Retention { max_records: 1, max_age: Duration::from_secs(10) };
    let (registry, manual) = with_classes(limit(10), &[("jobs", limits)], None);
    let mut writers = [registry.writer(), registry.writer()];
    let [first, second] = [0, 1].map(|index| register_in(&registry, &mut writers[index], "jobs"));
    let early = registry.now();
    manual.advance(Duration::from_secs(5));
    let first = finish(&registry, &mut writers[0], first);
    let second_id = second.id();
    let end = RecordEnd::new(TaskStatus::Completed, early);
    registry.finish(&mut writers[1], second, end);
    assert_eq!(registry.status(first), None);
    assert_eq!(registry.status(second_id), Some(TaskStatus::Completed));
    manual.advance(Duration::from_secs(9));
    assert_eq!(registry.sweep().by_age, 0, "it is as old as the one before it");
    manual.advance(Duration::from_secs(1));
    assert_eq!(registry.sweep().by_age, 1);
}

#[test]
fn with_automatic_cleanup_off_only_a_request_evicts_from_a_class() {
    let config = CleanupConfig { enable_automatic_cleanup: false, ..limit(5) };
    let classes = [("jobs", at_most(3)), ("none", at_most(0))];
    let (registry, _) = with_classes(config, &classes, Some(at_most(2)));
    let mut writer = registry.writer();
    let mut last = Vec::new();
    for _ in 0..1_000 {
        last = vec![
            one(&registry, &mut writer),
            failed(&registry, &mut writer),
            one_in(&registry, &mut writer, "jobs"),
            one_in(&registry, &mut writer, "none"),
        ];
    }
    assert_eq!(registry.retained(), 4_000);
    assert_eq!(registry.cleanup_now(), 4_000 - 5 - 3 - 2);
    assert_eq!(
        last.iter().map(|id| registry.status(*id).is_some()).collect::<Vec<_>>(),
        [true, true, true, false]
    );
    assert_eq!((registry.cleanup_now(), registry.retained()), (0, 10));
    assert_eq!(registry.cleanup_stats().evicted_by_request, 3_990);
}

#[test]
fn a_class_of_no_records_keeps_none() {
    let (registry, _) = with_classes(limit(10_000), &[("none", at_most(0))], None);
    let mut writer = registry.writer();
    let other = one(&registry, &mut writer);
    let active = register_in(&registry, &mut writer, "none");
    for _ in 0..1_000 {
        let id = one_in(&registry, &mut writer, "none");
        assert!(registry.lookup(id).is_evicted());
    }
    assert_eq!(registry.status(active.id()), Some(TaskStatus::Queued));
    assert_eq!(registry.status(other), Some(TaskStatus::Completed));
    assert_eq!(registry.cleanup_stats().total_tasks, 2);
    finish(&registry, &mut writer, active);
}

#[test]
fn the_jobs_of_a_burst_keep_no_page_but_their_own() {
    let (registry, _) = with_classes(limit(0), &[("jobs", NEVER)], None);
    let mut writer = registry.writer();
    registry.sweep();
    let before = registry.cleanup_stats().memory_bytes;
    let entries: Vec<_> = (0..50_000)
        .map(|number| match number % 100 {
            0 => register_in(&registry, &mut writer, "jobs"),
            _ => register(&registry, &mut writer),
        })
        .collect();
    assert!(registry.cleanup_stats().memory_bytes > before + 48 * (64 << 10));
    for entry in entries {
        finish(&registry, &mut writer, entry);
    }
    assert_eq!(registry.retained(), 500);
    // Pages are freed once no thread reads that may still see them, and threads of other tests read, too.
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        registry.sweep();
        let after = registry.cleanup_stats().memory_bytes;
        // That of the block that the writer holds, and that of the 500 jobs. There were 49 pages, and jobs from the first to the
        // last.
        if after < before + 3 * (64 << 10) {
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{before} {after}");
        std::thread::yield_now();
    }
}

#[test]
fn a_record_of_the_last_class_shows_the_rest_of_its_word_as_it_is() {
    let names: Vec<_> = (0..RetentionClass::MAX_CLASSES).map(|number| number.to_string()).collect();
    let classes: Vec<_> = names.iter().map(|name| (&**name, at_most(1))).collect();
    let (registry, _) = with_classes(limit(0), &classes, Some(at_most(1)));
    let mut writer = registry.writer();
    let last = register_in(&registry, &mut writer, "63");
    last.start(Some(4_095), registry.now());
    let stats = registry.stats(last.id()).unwrap();
    assert_eq!((stats.worker, stats.priority), (Some(4_095), Priority::High));
    assert_eq!((stats.kind, stats.status), (TaskKind::Async, TaskStatus::Running));
    let last = finish(&registry, &mut writer, last);
    let failure = failed(&registry, &mut writer);
    for name in &names[..63] {
        one_in(&registry, &mut writer, name);
        one_in(&registry, &mut writer, name);
    }
    assert_eq!(registry.retained(), 65);
    assert_eq!(kept(&registry, &[last, failure]), 2);
    assert_eq!(registry.class(""), None, "neither the default class nor the failures");
    assert_eq!(registry.class("64"), None);
}

#[test]
#[should_panic(expected = "the class is one of another registry")]
fn a_class_of_another_registry_is_refused() {
    let (first, _) = with_classes(limit(10), &[("one", NEVER), ("two", NEVER)], None);
    let (second, _) = with_classes(limit(10), &[("one", NEVER)], None);
    let class = first.class("two").unwrap();
    let mut writer = second.writer();
    // SAFETY: the writer is one of this registry, and the class is refused.
    unsafe { second.register_in(class, &mut writer, new_task(), 1) };
}
