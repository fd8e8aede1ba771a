//! Models of retention classes (rules 11 to 13) and of the ids of evicted records (rule 14).

use moirai_core::{Lookup, Retention, RetentionClass};

use super::*;

const NEVER: Retention = Retention { max_records: usize::MAX, max_age: Duration::MAX };

/// Returns a registry with a class of these limits, named "jobs", and one of the failures.
fn with_jobs(max_retained_tasks: usize, workers: usize, jobs: Retention) -> Registry {
    let (clock, hand) = Clock::manual();
    hand.advance(Duration::from_secs(1));
    let config = CleanupConfig { max_retained_tasks, ..CleanupConfig::default() };
    let classes = [RetentionClass::new("jobs", jobs)];
    Registry::with_retention(config, workers, clock, &classes, Some(NEVER))
}

fn jobs(max_records: usize) -> Retention {
    Retention { max_records, ..NEVER }
}

fn register_job(registry: &Registry, writer: &mut Writer, ticks: u64) -> ActiveRecord {
    let class = registry.class("jobs").expect("each model has it");
    // SAFETY: as in `register`.
    unsafe { registry.register_in(class, writer, new_task(""), ticks) }
}

fn fail(registry: &Registry, writer: &mut Writer, entry: ActiveRecord, ticks: u64) -> TaskId {
    let id = entry.id();
    registry.finish(writer, entry, RecordEnd::new(TaskStatus::Failed, ticks));
    id
}

/// Returns the number of retained jobs, whose log comes after those of the writers.
fn retained_jobs(registry: &Registry) -> usize {
    let class = registry.class("jobs").expect("each model has it");
    registry.store.retained(&registry.classes.get(class).logs)
}

/// Returns the number of retained records of the default class.
fn retained_others(registry: &Registry) -> usize {
    registry.store.retained(&registry.classes.get(ClassId::DEFAULT).logs)
}

#[test]
fn loom_two_jobs_end_at_the_limit_of_their_class() {
    // Three threads take too long without a bound.
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        let registry = Arc::new(with_jobs(10, 2, jobs(1)));
        let mut tasks = [10, 20].map(|ticks| {
            let mut writer = registry.writer();
            let entry = register_job(&registry, &mut writer, ticks);
            Some((writer, entry, ticks))
        });
        let ids = [0, 1].map(|number| tasks[number].as_ref().unwrap().1.id());
        let finishers = [0, 1].map(|number| {
            let registry = Arc::clone(&registry);
            let (mut writer, entry, ticks) = tasks[number].take().unwrap();
            thread::spawn(move || finish(&registry, &mut writer, entry, ticks + 1))
        });
        // Spawned last, so that what it loads has been stored: then loom tries each of the values that it may get.
        let reader = thread::spawn({
            let registry = Arc::clone(&registry);
            move || {
                // The first is looked at before the second and after it: so both were retained when the second was looked at.
                let seen = [ids[0], ids[1], ids[0]].map(|id| registry.status(id));
                let ended =
                    |status: Option<TaskStatus>| status.is_some_and(TaskStatus::is_terminal);
                assert!(!seen.into_iter().all(ended), "both are retained at once");
            }
        });
        for finisher in finishers {
            finisher.join().unwrap();
        }
        reader.join().unwrap();
        assert_eq!((registry.retained(), retained_jobs(&registry)), (1, 1));
        assert_eq!(ids.iter().filter(|id| registry.status(**id).is_some()).count(), 1);
        assert_eq!(registry.cleanup_stats().evicted_by_count, 1);
        // The one that is left is in the log.
        registry.cleanup_now();
        assert_eq!(registry.retained(), 1);
    });
}

#[test]
fn loom_others_that_end_evict_neither_a_job_nor_a_failure() {
    model(|| {
        let registry = Arc::new(with_jobs(1, 2, jobs(1)));
        let mut writers = [registry.writer(), registry.writer()];
        let job = register_job(&registry, &mut writers[0], 1);
        let failure = register(&registry, &mut writers[0], "", 1);
        let others = [2, 3].map(|ticks| register(&registry, &mut writers[0], "", ticks));
        let job = finish(&registry, &mut writers[0], job, 4);
        let [mut writer, mut other_writer] = writers;
        let failing = thread::spawn({
            let registry = Arc::clone(&registry);
            move || fail(&registry, &mut other_writer, failure, 4)
        });
        let [_, last] = others.map(|entry| finish(&registry, &mut writer, entry, 5));
        let failure = failing.join().unwrap();
        assert_eq!(registry.status(job), Some(TaskStatus::Completed));
        assert_eq!(registry.status(failure), Some(TaskStatus::Failed));
        assert!(registry.status(last).is_some());
        assert_eq!((registry.retained(), retained_others(&registry)), (3, 1));
    });
}

#[test]
fn loom_the_jobs_that_are_evicted_make_no_room_for_others() {
    // One thread ends jobs while the other meets the limit of the default class: more preemptions add nothing but time.
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        const LIMIT: usize = 2;
        let registry = telling_each(with_jobs(LIMIT, 2, jobs(1)));
        let mut writers = [registry.writer(), registry.writer()];
        let tasks = [1, 2].map(|ticks| register_job(&registry, &mut writers[0], ticks));
        // Those of the first worker, which is idle from then on.
        for ticks in 1..=3 {
            let old = register(&registry, &mut writers[0], "", ticks);
            finish(&registry, &mut writers[0], old, ticks);
        }
        let [mut writer, mut other] = writers;
        let ending = thread::spawn({
            let registry = Arc::clone(&registry);
            move || tasks.map(|entry| finish(&registry, &mut writer, entry, 4))
        });
        for ticks in 5..=7 {
            let entry = register(&registry, &mut other, "", ticks);
            finish(&registry, &mut other, entry, ticks);
            let most = LIMIT + registry.overdue as usize;
            assert!(retained_others(&registry) <= most, "{} are", retained_others(&registry));
        }
        ending.join().unwrap();
        assert_eq!(retained_jobs(&registry), 1);
    });
}

#[test]
fn loom_a_sweep_against_jobs_that_end() {
    model(|| {
        let old = Retention { max_records: 1, max_age: Duration::ZERO };
        let registry = Arc::new(with_jobs(10, 1, old));
        let mut writer = registry.writer();
        let tasks = [1, 2].map(|ticks| register_job(&registry, &mut writer, ticks));
        let sweeper = thread::spawn({
            let registry = Arc::clone(&registry);
            move || registry.sweep().by_age
        });
        let ids = tasks.map(|entry| finish(&registry, &mut writer, entry, 3));
        let swept = sweeper.join().unwrap() + registry.sweep().by_age;
        let stats = registry.cleanup_stats();
        assert_eq!(swept as u64 + stats.evicted_by_count, 2, "each is evicted once");
        assert_eq!(stats.total_tasks, 0);
        assert_eq!(ids.map(|id| registry.status(id)), [None; 2]);
    });
}

#[test]
fn loom_a_request_against_jobs_that_end() {
    model(|| {
        // With automatic cleanup off, so that the request alone evicts.
        let mut registry = with_jobs(10, 2, jobs(1));
        registry.config.enable_automatic_cleanup = false;
        let registry = Arc::new(registry);
        let mut writers = [registry.writer(), registry.writer()];
        let first = register_job(&registry, &mut writers[0], 1);
        let later = [2, 3].map(|ticks| register_job(&registry, &mut writers[0], ticks));
        let first = finish(&registry, &mut writers[0], first, 1);
        let cleaner = thread::spawn({
            let registry = Arc::clone(&registry);
            move || registry.cleanup_now()
        });
        let later = later.map(|entry| finish(&registry, &mut writers[1], entry, 3));
        let dropped = cleaner.join().unwrap();
        assert_eq!(dropped + retained_jobs(&registry), 3);
        registry.cleanup_now();
        assert_eq!(retained_jobs(&registry), 1);
        assert!(registry.status(first).is_none() && registry.status(later[0]).is_none());
        assert_eq!(registry.status(later[1]), Some(TaskStatus::Completed));
        assert_eq!(registry.cleanup_stats().evicted_by_request, 2);
    });
}

#[test]
fn loom_a_job_that_is_evicted_is_found_or_known_to_be_evicted() {
    let mut builder = loom::model::Builder::new();
    // As for the other model of a reader.
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let registry = Arc::new(with_jobs(10, 1, jobs(1)));
        let mut writer = registry.writer();
        let [first, second] = [10, 20].map(|ticks| register_job(&registry, &mut writer, ticks));
        let first = finish(&registry, &mut writer, first, 11);
        let reader = thread::spawn({
            let registry = Arc::clone(&registry);
            move || match registry.lookup(first) {
                Lookup::Found(stats) => {
                    assert_eq!((stats.id, stats.status), (first, TaskStatus::Completed));
                    assert_eq!(stats.spawned_at.as_nanos(), 10);
                }
                Lookup::Evicted => {}
                Lookup::Unknown => panic!("an id that was given out is unknown"),
            }
        });
        // Evicts the first, whose slot the next job takes.
        finish(&registry, &mut writer, second, 21);
        let next = register_job(&registry, &mut writer, 30);
        assert_eq!(next.id().slot(), first.slot());
        reader.join().unwrap();
        assert!(registry.lookup(first).is_evicted());
        let later = TaskId::from_parts(next.id().generation() + 1, next.id().slot()).unwrap();
        let last = register_job(&registry, &mut writer, 30);
        finish(&registry, &mut writer, next, 31);
        assert!(registry.lookup(later).is_unknown(), "it was not given out yet");
        // Evicts the next, whose slot is free then.
        finish(&registry, &mut writer, last, 41);
        assert!(registry.lookup(later).is_unknown(), "it was not given out yet");
    });
}

#[test]
fn loom_an_evicted_id_is_known_although_a_sweep_releases_its_page() {
    model(|| {
        let registry = registry(0, 1);
        let mut writer = registry.writer();
        let old = [1, 2].map(|ticks| register(&registry, &mut writer, "", ticks));
        // The block of the first page is used up and released; that of the second is held.
        let held = register(&registry, &mut writer, "", 3);
        let ids = old.map(|entry| finish(&registry, &mut writer, entry, 4));
        let reader = thread::spawn({
            let registry = Arc::clone(&registry);
            move || assert!(registry.lookup(ids[0]).is_evicted())
        });
        assert_eq!(registry.sweep().pages, 1);
        let next = TaskId::from_parts(ids[0].generation() + 1, ids[0].slot()).unwrap();
        assert!(registry.lookup(next).is_unknown(), "it was not given out yet");
        reader.join().unwrap();
        finish(&registry, &mut writer, held, 5);
    });
}
