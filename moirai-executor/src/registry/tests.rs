//! Tests of the guarantees that the registry gives, most of them on a manual clock.

use std::collections::HashSet;
use std::panic::Location;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use moirai_core::{
    CleanupConfig, Clock, ManualClock, Priority, TaskId, TaskKind, TaskStats, TaskStatus,
};

use super::classes::Classes;
use super::page::{BLOCK_SLOTS, PAGE_SLOTS};
use super::task_registry::SHARED_WRITERS;
use super::{ActiveRecord, NewRecord, RecordEnd, Registry, Writer};

mod classes;
mod lines;
mod lookups;
mod shares;

fn registry(config: CleanupConfig) -> (Registry, Arc<ManualClock>) {
    let (clock, manual) = Clock::manual();
    manual.advance(Duration::from_secs(1));
    (Registry::new(config, 1, clock), manual)
}

/// Returns a registry that retains nothing, whose slots begin with `generation`.
fn starting_at(generation: u32, clock: Clock) -> Registry {
    let classes = Classes::new(&limit(0), &[], None, 1 + SHARED_WRITERS);
    Registry::starting_at(limit(0), 1, clock, classes, generation)
}

fn limit(max_retained_tasks: usize) -> CleanupConfig {
    CleanupConfig { max_retained_tasks, ..CleanupConfig::default() }
}

fn new_task() -> NewRecord {
    NewRecord {
        kind: TaskKind::Async,
        priority: Priority::High,
        location: Location::caller(),
        name: None,
        hints: None,
        task: NonNull::<u64>::dangling().cast(),
    }
}

fn register(registry: &Registry, writer: &mut Writer) -> ActiveRecord {
    // SAFETY: each test passes a writer of this registry, finishes the record with this registry and such a writer, if at all, and
    // does not use the record after it has dropped the registry; `new_task` has an aligned address, which no test reads from.
    unsafe { registry.register(writer, new_task(), registry.clock().ticks()) }
}

fn finish(registry: &Registry, writer: &mut Writer, entry: ActiveRecord) -> TaskId {
    let id = entry.id();
    let ticks = registry.clock().ticks();
    registry.finish(writer, entry, RecordEnd::new(TaskStatus::Completed, ticks));
    id
}

fn one(registry: &Registry, writer: &mut Writer) -> TaskId {
    let entry = register(registry, writer);
    entry.start(Some(0), registry.clock().ticks());
    entry.polled(3);
    finish(registry, writer, entry)
}

#[test]
fn a_record_tells_one_tasks_story() {
    let (registry, manual) = registry(limit(10));
    let mut writer = registry.writer();
    let name: Arc<str> = "a name".into();
    let new = NewRecord { name: Some(Arc::clone(&name)), ..new_task() };
    // SAFETY: the writer is one of this registry, with which the record is finished below; the address is aligned, and never read
    // from.
    let entry = unsafe { registry.register(&mut writer, new, registry.clock().ticks()) };
    let id = entry.id();
    assert_eq!(registry.status(id), Some(TaskStatus::Queued));
    manual.advance(Duration::from_millis(5));
    entry.start(Some(4_095), registry.clock().ticks());
    assert_eq!(registry.status(id), Some(TaskStatus::Running));
    entry.polled(700);
    entry.polled(300);
    manual.advance(Duration::from_millis(7));
    let end = RecordEnd {
        error: Some("why".into()),
        ..RecordEnd::new(TaskStatus::Failed, registry.clock().ticks())
    };
    let finished = registry.finish(&mut writer, entry, end);
    assert_eq!((finished.queue_ticks, finished.busy_ticks, finished.polls), (5_000_000, 1_000, 2));
    registry.append_error(id, "a destructor".into());
    manual.advance(Duration::from_millis(11));
    let stats = registry.stats(id).unwrap();
    assert_eq!((stats.id, stats.status, stats.kind), (id, TaskStatus::Failed, TaskKind::Async));
    assert_eq!((stats.priority, stats.worker, stats.polls), (Priority::High, Some(4_095), 2));
    assert_eq!(stats.name.as_deref(), Some("a name"));
    assert!(stats.error.as_deref().unwrap().contains("why"));
    assert!(stats.error.as_deref().unwrap().contains("a destructor"));
    assert_eq!(stats.queue_time(), Some(Duration::from_millis(5)));
    assert_eq!(stats.execution_time(), Some(Duration::from_millis(7)));
    assert_eq!(stats.age(), Some(Duration::from_millis(11)));
    assert_eq!(stats.busy, Duration::from_nanos(1_000));
    assert_eq!(stats.location.file(), file!());
}

#[test]
fn a_start_is_never_before_the_spawn_nor_an_end_before_the_start() {
    let (registry, _hand) = registry(limit(10));
    let mut writer = registry.writer();
    let entry = register(&registry, &mut writer);
    let id = entry.id();
    entry.start(None, 5);
    let end = RecordEnd::new(TaskStatus::Completed, 3);
    registry.finish(&mut writer, entry, end);
    let stats = registry.stats(id).unwrap();
    assert_eq!(stats.started_at, Some(stats.spawned_at));
    assert_eq!(stats.finished_at, Some(stats.spawned_at));
}

#[test]
#[should_panic(expected = "the writer is one of another registry")]
fn a_registry_finishes_no_task_with_a_writer_of_another() {
    let [(first, _), (second, _)] = [(); 2].map(|()| registry(limit(8)));
    let entry = register(&first, &mut first.writer());
    finish(&first, &mut second.writer(), entry);
}

#[test]
fn a_small_limit_is_exact_and_keeps_the_newest() {
    let (registry, manual) = registry(limit(3));
    let mut writer = registry.writer();
    let entries: Vec<_> = (0..8).map(|_| register(&registry, &mut writer)).collect();
    let mut ids = Vec::new();
    // They end in another order than they began, with two writers.
    for (number, entry) in entries.into_iter().rev().enumerate() {
        manual.advance(Duration::from_nanos(1));
        ids.push(if number % 2 == 0 {
            finish(&registry, &mut writer, entry)
        } else {
            registry.with_shared_writer(|writer| finish(&registry, writer, entry))
        });
        assert!(registry.cleanup_stats().completed_tasks <= 3);
    }
    let kept: HashSet<_> = registry.snapshot().iter().map(|stats| stats.id).collect();
    assert_eq!(kept, ids[5..].iter().copied().collect());
    for id in &ids[..5] {
        assert_eq!(registry.status(*id), None);
    }
    let stats = registry.cleanup_stats();
    assert_eq!((stats.total_tasks, stats.evicted_by_count), (3, 5));
}

#[test]
fn a_limit_of_zero_keeps_nothing_but_what_is_active() {
    let (registry, _hand) = registry(limit(0));
    let mut writer = registry.writer();
    let active = register(&registry, &mut writer);
    for _ in 0..1_000 {
        let id = one(&registry, &mut writer);
        assert_eq!(registry.stats(id).map(|stats| stats.id), None);
    }
    let stats = registry.cleanup_stats();
    assert_eq!((stats.total_tasks, stats.active_tasks, stats.evicted_by_count), (1, 1, 1_000));
    assert_eq!(registry.snapshot().len(), 1);
    finish(&registry, &mut writer, active);
}

#[test]
fn a_large_limit_holds_to_within_its_slack() {
    let (registry, _hand) = registry(limit(10_000));
    let mut writer = registry.writer();
    for _ in 0..100_000 {
        one(&registry, &mut writer);
        assert!(registry.retained() <= 10_000 + 64);
    }
    registry.sweep();
    assert_eq!(registry.retained(), 10_000);
    assert_eq!(registry.snapshot().len(), 10_000);
}

#[test]
fn shared_writers_do_not_add_to_the_slack_of_the_workers() {
    let (registry, _hand) = registry(limit(10_000));
    let mut writer = registry.writer();
    std::thread::scope(|scope| {
        // So many that each of the shared writers is used.
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5_000 {
                    registry.with_shared_writer(|writer| one(&registry, writer));
                }
            });
        }
        for _ in 0..50_000 {
            one(&registry, &mut writer);
            // Not `retained`, which counts one log after the other.
            assert!(registry.cleanup_stats().completed_tasks <= 10_000 + 64);
        }
    });
}

#[test]
fn an_evicted_id_answers_none_forever_and_no_id_is_given_out_twice() {
    let (registry, _hand) = registry(limit(2));
    let mut writer = registry.writer();
    let mut seen = HashSet::new();
    let mut ids = Vec::new();
    for _ in 0..10_000 {
        let id = one(&registry, &mut writer);
        assert!(seen.insert(id));
        ids.push(id);
    }
    for id in &ids[..ids.len() - 2] {
        assert_eq!(registry.status(*id), None);
        assert!(registry.stats(*id).is_none());
        assert!(registry.with_task(*id, |_| ()).is_none());
    }
}

#[test]
fn a_slot_whose_generations_are_used_up_is_retired() {
    let (clock, _hand) = Clock::manual();
    let registry = starting_at(u32::MAX - 1, clock);
    let mut writer = registry.writer();
    let ids: Vec<_> = (0..3 * PAGE_SLOTS).map(|_| one(&registry, &mut writer)).collect();
    let unlike: HashSet<_> = ids.iter().collect();
    assert_eq!(unlike.len(), ids.len());
    assert!(ids.iter().all(|id| registry.status(*id).is_none()));
    registry.sweep();
    assert!(one(&registry, &mut writer).generation() >= u32::MAX - 1);
}

#[test]
fn age_evicts_exactly_what_is_old_enough() {
    let config = CleanupConfig {
        task_retention_duration: Duration::from_millis(100),
        ..CleanupConfig::default()
    };
    let (registry, manual) = registry(config);
    let mut writer = registry.writer();
    let old = one(&registry, &mut writer);
    manual.advance(Duration::from_millis(60));
    let young = one(&registry, &mut writer);
    assert_eq!(registry.sweep().by_age, 0);
    manual.advance(Duration::from_millis(39));
    assert_eq!(registry.sweep().by_age, 0);
    let oldest = registry.cleanup_stats().oldest_completed_task_age;
    assert_eq!(oldest, Some(Duration::from_millis(99)));
    manual.advance(Duration::from_millis(1));
    assert_eq!(registry.sweep().by_age, 1);
    assert_eq!(registry.status(old), None);
    assert_eq!(registry.status(young), Some(TaskStatus::Completed));
    let stats = registry.cleanup_stats();
    assert_eq!((stats.total_tasks, stats.evicted_by_age), (1, 1));
    assert!(stats.last_sweep.is_some());
}

#[test]
fn an_active_task_is_never_evicted() {
    let config = CleanupConfig {
        task_retention_duration: Duration::ZERO,
        max_retained_tasks: 0,
        ..CleanupConfig::default()
    };
    let (registry, manual) = registry(config);
    let mut writer = registry.writer();
    let entry = register(&registry, &mut writer);
    manual.advance(Duration::from_secs(1_000_000));
    registry.sweep();
    registry.cleanup_now();
    assert_eq!(registry.status(entry.id()), Some(TaskStatus::Queued));
    finish(&registry, &mut writer, entry);
}

#[test]
fn with_automatic_cleanup_off_only_a_request_evicts() {
    let config = CleanupConfig {
        enable_automatic_cleanup: false,
        max_retained_tasks: 5,
        task_retention_duration: Duration::from_secs(1),
        ..CleanupConfig::default()
    };
    let (registry, manual) = registry(config);
    let mut writer = registry.writer();
    for _ in 0..1_000 {
        one(&registry, &mut writer);
    }
    manual.advance(Duration::from_millis(10));
    assert_eq!(registry.retained(), 1_000);
    assert_eq!(registry.cleanup_now(), 995);
    manual.advance(Duration::from_secs(1));
    assert_eq!(registry.cleanup_now(), 5);
    assert_eq!(registry.cleanup_now(), 0);
    assert_eq!(registry.cleanup_stats().evicted_by_request, 1_000);
}

#[test]
fn extreme_limits_mean_what_they_say() {
    let config = CleanupConfig {
        task_retention_duration: Duration::MAX,
        max_retained_tasks: usize::MAX,
        ..CleanupConfig::default()
    };
    let (registry, manual) = registry(config);
    let mut writer = registry.writer();
    for _ in 0..1_000 {
        one(&registry, &mut writer);
    }
    manual.advance(Duration::MAX);
    registry.sweep();
    assert_eq!((registry.cleanup_now(), registry.retained()), (0, 1_000));
}

#[test]
fn the_pages_of_a_burst_come_back_and_old_ids_stay_unknown() {
    let (registry, _hand) = registry(limit(100));
    let mut writer = registry.writer();
    one(&registry, &mut writer);
    registry.sweep();
    let before = registry.cleanup_stats().memory_bytes;
    let mut old = Vec::new();
    for _ in 0..2 {
        let entries: Vec<_> = (0..50_000).map(|_| register(&registry, &mut writer)).collect();
        assert!(registry.cleanup_stats().memory_bytes > before + 47 * (64 << 10));
        old.extend(entries.into_iter().map(|entry| finish(&registry, &mut writer, entry)));
        // Pages are freed once no thread reads that may still see them, and threads of other tests read, too.
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        loop {
            registry.sweep();
            let after = registry.cleanup_stats().memory_bytes;
            if after < before + 8 * (64 << 10) {
                break;
            }
            assert!(std::time::Instant::now() < deadline, "{before} {after}");
            std::thread::yield_now();
        }
    }
    let unlike: HashSet<_> = old.iter().collect();
    assert_eq!(unlike.len(), old.len());
    let known = old.iter().filter(|id| registry.status(**id).is_some()).count();
    assert_eq!(known, 100);
}

#[test]
fn a_page_that_became_free_while_its_block_was_held_is_released_once_the_block_is() {
    let (registry, _hand) = registry(limit(0));
    let mut writer = registry.writer();
    for _ in 0..BLOCK_SLOTS {
        one(&registry, &mut writer);
    }
    assert_eq!(registry.sweep().pages, 0, "its block is held");
    // As when the last slots are freed after the writer has looked at them and before it releases the block.
    registry.store.depot.release_block(&registry.store.directory, 0);
    assert_eq!(registry.sweep().pages, 1);
}

#[test]
fn a_late_check_of_a_block_that_was_used_up_again_does_not_make_it_ready() {
    let (registry, _hand) = registry(limit(usize::MAX));
    let mut writer = registry.writer();
    let mut entries: Vec<_> = (0..=BLOCK_SLOTS).map(|_| register(&registry, &mut writer)).collect();
    // The first block is used up and released. A thread that made half of it free when it was released before comes to check it
    // only now.
    registry.store.depot.half_freed(&registry.store.directory, 0);
    entries.extend((0..PAGE_SLOTS).map(|_| register(&registry, &mut writer)));
    let unlike: HashSet<_> = entries.iter().map(ActiveRecord::id).collect();
    assert_eq!(unlike.len(), entries.len(), "two tasks have one slot");
    for entry in entries {
        finish(&registry, &mut writer, entry);
    }
}

#[test]
fn a_refused_id_names_nothing() {
    let (registry, _hand) = registry(limit(10));
    let ids: HashSet<_> = (0..1_000).map(|_| registry.refused_id()).collect();
    assert_eq!(ids.len(), 1_000);
    for id in ids {
        assert_eq!(registry.status(id), None);
        assert!(registry.stats(id).is_none());
        assert!(registry.with_task(id, |_| ()).is_none());
    }
}

#[test]
fn a_task_is_published_from_its_registration_to_its_end() {
    let (registry, _hand) = registry(limit(10));
    let mut writer = registry.writer();
    let mut cell = 7_u64;
    let task = NonNull::from(&mut cell).cast();
    // SAFETY: the writer is one of this registry, with which the record is finished below; `cell` is aligned and lives longer.
    let entry = unsafe { registry.register(&mut writer, NewRecord { task, ..new_task() }, 1) };
    let id = entry.id();
    assert_eq!(registry.with_task(id, |found| found == task), Some(true));
    entry.start(None, 2);
    assert_eq!(registry.with_task(id, |found| found == task), Some(true));
    finish(&registry, &mut writer, entry);
    assert!(registry.with_task(id, |_| ()).is_none());
}

#[test]
fn finishing_looking_up_and_sweeping_at_once_keeps_every_promise() {
    const ROUNDS: usize = if cfg!(debug_assertions) { 20_000 } else { 200_000 };
    let config = CleanupConfig {
        max_retained_tasks: 1_000,
        task_retention_duration: Duration::from_millis(1),
        ..CleanupConfig::default()
    };
    let registry = Registry::new(config, 2, Clock::system());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (registry, done) = (&registry, &done);
        let workers: Vec<_> = (0..2)
            .map(|worker| {
                scope.spawn(move || {
                    let mut writer = registry.writer();
                    let mut ids = Vec::new();
                    for round in 0..ROUNDS {
                        let name =
                            (round % 16 == 0).then(|| Arc::from(format!("{worker}-{round}")));
                        let new = NewRecord { name: name.clone(), ..new_task() };
                        // SAFETY: the writer is one of this registry, with which the record is finished below; the address is
                        // aligned, and never read from.
                        let entry = unsafe {
                            registry.register(&mut writer, new, registry.clock().ticks())
                        };
                        let stats = registry.stats(entry.id()).expect("an active task is known");
                        assert_eq!(stats.name, name);
                        entry.start(Some(worker), registry.clock().ticks());
                        ids.push(if round % 3 == 0 {
                            registry.with_shared_writer(|writer| finish(registry, writer, entry))
                        } else {
                            finish(registry, &mut writer, entry)
                        });
                        if ids.len() > 5_000 {
                            for id in ids.drain(..) {
                                assert!(registry.stats(id).is_none_or(|stats| stats.id == id));
                            }
                        }
                    }
                })
            })
            .collect();
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                assert!(registry.cleanup_stats().completed_tasks <= 1_000 + 125);
                registry.sweep();
                assert!(registry.snapshot().len() <= 3_000);
            }
        });
        for worker in workers {
            worker.join().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
    let totals = registry.totals();
    assert_eq!((totals.spawned, totals.completed), (2 * ROUNDS as u64, 2 * ROUNDS as u64));
    let stats = registry.cleanup_stats();
    assert_eq!(stats.total_tasks, registry.snapshot().len());
}

#[test]
fn a_sweep_lets_others_in_between_its_batches() {
    const RECORDS: u64 = 50_000;
    // Whether another thread comes while a sweep lasts is up to the machine, so there are many attempts. If a sweep held the lock
    // throughout, all would fail.
    let acquired = (0..200).any(|_| somebody_gets_the_lock_during_a_sweep_of(RECORDS));
    assert!(acquired, "no thread got the lock during a sweep");
}

fn somebody_gets_the_lock_during_a_sweep_of(records: u64) -> bool {
    let config = CleanupConfig { enable_automatic_cleanup: false, ..limit(0) };
    let (registry, _hand) = registry(config);
    let mut writer = registry.writer();
    let ids: Vec<_> = (0..records).map(|_| one(&registry, &mut writer)).collect();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            registry.cleanup_now();
            done.store(true, Ordering::Relaxed);
        });
        let mut acquired = false;
        while !done.load(Ordering::Relaxed) {
            // Takes the lock that the sweep takes.
            registry.append_error(ids[0], "x".into());
            let evicted = registry.cleanup_stats().evicted_by_request;
            acquired |= evicted > 0 && evicted < records;
        }
        acquired
    })
}

#[test]
fn a_small_limit_is_exact_also_for_a_thread_that_lists_the_records() {
    for most in [0, 2] {
        let registry = Registry::new(limit(most), 2, Clock::system());
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let (registry, done) = (&registry, &done);
            let workers = [(); 2].map(|()| {
                scope.spawn(move || {
                    let mut writer = registry.writer();
                    for _ in 0..20_000 {
                        one(registry, &mut writer);
                    }
                })
            });
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    assert!(registry.cleanup_stats().completed_tasks <= most);
                    if most == 0 {
                        let ended = |stats: &TaskStats| stats.status.is_terminal();
                        assert!(!registry.snapshot().iter().any(ended));
                    }
                }
            });
            for worker in workers {
                worker.join().unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
    }
}

#[test]
fn an_end_that_was_timed_before_another_but_recorded_after_it_is_the_newer() {
    // With an exact limit, and with one that is kept by batches: there, the record with the older time must not be kept too long
    // because it stands in the log behind one with a younger time.
    for most in [1, 10_000] {
        let config =
            CleanupConfig { task_retention_duration: Duration::from_secs(10), ..limit(most) };
        let (registry, manual) = registry(config);
        let mut writer = registry.writer();
        let [first, second] = [(); 2].map(|()| register(&registry, &mut writer));
        let early = registry.now();
        manual.advance(Duration::from_secs(5));
        let first = finish(&registry, &mut writer, first);
        let second_id = second.id();
        let end = RecordEnd::new(TaskStatus::Completed, early);
        registry.finish(&mut writer, second, end);
        assert_eq!(registry.status(second_id), Some(TaskStatus::Completed));
        assert_eq!(registry.status(first).is_some(), most > 1);
        manual.advance(Duration::from_secs(10));
        registry.sweep();
        assert_eq!(registry.cleanup_stats().total_tasks, 0);
    }
}

#[test]
fn a_record_never_tells_more_than_its_status() {
    let (registry, _hand) = registry(limit(10));
    let registry = &registry;
    std::thread::scope(|scope| {
        let (send, ids) = std::sync::mpsc::sync_channel::<TaskId>(0);
        scope.spawn(move || {
            let mut writer = registry.writer();
            for _ in 0..5_000 {
                let entry = register(registry, &mut writer);
                let id = entry.id();
                let _ = send.send(id);
                entry.start(None, registry.now());
                let end = RecordEnd {
                    error: Some("why".into()),
                    ..RecordEnd::new(TaskStatus::Failed, registry.now())
                };
                registry.finish(&mut writer, entry, end);
            }
        });
        for id in ids {
            let Some(stats) = registry.stats(id) else { continue };
            assert!(stats.status != TaskStatus::Queued || stats.started_at.is_none());
            assert_eq!(stats.status.is_terminal(), stats.error.is_some());
        }
    });
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "the record is one of another registry")]
fn a_record_of_another_registry_is_noticed_in_debug_builds() {
    let (registry, _hand) = registry(limit(10));
    let (other, _hand) = self::registry(limit(10));
    let (mut writer, mut other_writer) = (registry.writer(), other.writer());
    let _own = register(&registry, &mut writer);
    let entry = register(&other, &mut other_writer);
    finish(&registry, &mut writer, entry);
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "the low bit of the address is the lock")]
fn an_address_that_is_not_aligned_is_noticed_in_debug_builds() {
    let (registry, _hand) = registry(limit(10));
    let mut writer = registry.writer();
    let task = NonNull::<u8>::dangling().cast();
    // SAFETY: the writer is one of this registry, and the record is not used. The address is refused.
    unsafe { registry.register(&mut writer, NewRecord { task, ..new_task() }, 1) };
}
