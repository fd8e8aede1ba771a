//! Loom models of the registry: of the code itself, with blocks and pages of two slots.

use std::panic::Location;
use std::ptr::NonNull;
use std::time::Duration;

use moirai_core::shim::cell::UnsafeCell;
use moirai_core::shim::sync::Arc;
use moirai_core::shim::thread;
use moirai_core::{CleanupConfig, Clock, Priority, TaskId, TaskKind, TaskStatus};

use super::completions::{CompletionLog, LogCursor};
use super::{ActiveRecord, ClassId, NewRecord, RecordEnd, Registry, Writer};

mod classes;

/// Checks every interleaving. The models that are too large for that set a bound of their own.
fn model(f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    // Whatever the environment variables say.
    builder.preemption_bound = None;
    builder.check(f);
}

fn registry(max_retained_tasks: usize, workers: usize) -> Arc<Registry> {
    Arc::new(unshared(max_retained_tasks, workers))
}

fn unshared(max_retained_tasks: usize, workers: usize) -> Registry {
    let (clock, hand) = Clock::manual();
    hand.advance(Duration::from_secs(1));
    let config = CleanupConfig { max_retained_tasks, ..CleanupConfig::default() };
    Registry::new(config, workers, clock)
}

fn new_task(name: &str) -> NewRecord {
    NewRecord {
        kind: TaskKind::Async,
        priority: Priority::Normal,
        location: Location::caller(),
        name: (!name.is_empty()).then(|| name.into()),
        hints: None,
        task: NonNull::<u64>::dangling().cast(),
    }
}

fn register(registry: &Registry, writer: &mut Writer, name: &str, ticks: u64) -> ActiveRecord {
    // SAFETY: each model passes a writer of this registry, finishes the record with this registry and such a writer, if at all, and
    // does not use the record after it has dropped the registry; `new_task` has an aligned address, which no model reads from.
    unsafe { registry.register(writer, new_task(name), ticks) }
}

fn finish(registry: &Registry, writer: &mut Writer, entry: ActiveRecord, ticks: u64) -> TaskId {
    let id = entry.id();
    registry.finish(writer, entry, RecordEnd::new(TaskStatus::Completed, ticks));
    id
}

/// Returns whether the record with this id, if there is one, is that of the task that was spawned at `ticks` with this name.
fn is_own(registry: &Registry, id: TaskId, name: &str, ticks: u64) -> bool {
    registry.stats(id).is_none_or(|stats| {
        stats.id == id
            && stats.spawned_at.as_nanos() == ticks
            && stats.name.as_deref() == (!name.is_empty()).then_some(name)
    })
}

#[test]
fn loom_lookup_of_a_slot_that_is_used_again() {
    // Without a bound it takes too long: a reader loads every field, each of which may return any of several values.
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let registry = registry(0, 1);
        let mut writer = registry.writer();
        let other = register(&registry, &mut writer, "", 1);
        let first = register(&registry, &mut writer, "", 10);
        let first_id = first.id();
        let reader = thread::spawn({
            let registry = Arc::clone(&registry);
            move || {
                let next = TaskId::from_parts(first_id.generation() + 1, first_id.slot()).unwrap();
                assert!(is_own(&registry, first_id, "", 10), "a mixture");
                assert!(is_own(&registry, next, "second", 20), "a mixture");
            }
        });
        finish(&registry, &mut writer, first, 11);
        let second = register(&registry, &mut writer, "second", 20);
        assert_eq!(second.id().slot(), first_id.slot());
        reader.join().unwrap();
        assert_eq!(registry.status(first_id), None);
        finish(&registry, &mut writer, second, 21);
        finish(&registry, &mut writer, other, 22);
    });
}

#[test]
fn loom_evict_against_lookup() {
    model(|| {
        let registry = registry(1, 1);
        let mut writer = registry.writer();
        let first = register(&registry, &mut writer, "first", 10);
        let first = finish(&registry, &mut writer, first, 11);
        let second = register(&registry, &mut writer, "", 20);
        let reader = thread::spawn({
            let registry = Arc::clone(&registry);
            move || {
                let seen = registry.stats(first);
                assert!(is_own(&registry, first, "first", 10));
                assert!(seen.is_none_or(|stats| stats.status == TaskStatus::Completed));
            }
        });
        let second = finish(&registry, &mut writer, second, 21);
        reader.join().unwrap();
        assert_eq!(registry.status(first), None);
        assert_eq!(registry.status(second), Some(TaskStatus::Completed));
    });
}

#[test]
fn loom_two_finishers_at_the_bound() {
    model(|| {
        let registry = registry(1, 2);
        let mut tasks = [10, 20].map(|ticks| {
            let mut writer = registry.writer();
            let entry = register(&registry, &mut writer, "", ticks);
            Some((writer, entry, ticks))
        });
        let finishers = [0, 1].map(|number| {
            let registry = Arc::clone(&registry);
            let (mut writer, entry, ticks) = tasks[number].take().unwrap();
            thread::spawn(move || finish(&registry, &mut writer, entry, ticks + 1))
        });
        assert!(registry.retained() <= 1, "over the limit");
        let ids = finishers.map(|finisher| finisher.join().unwrap());
        assert_eq!(registry.retained(), 1);
        let known = ids.iter().filter(|id| registry.status(**id).is_some()).count();
        assert_eq!(known, 1);
        assert_eq!(registry.cleanup_stats().evicted_by_count, 1);
    });
}

/// Makes the two workers of a registry tell each completion. They have the registry to themselves.
fn telling_each(mut registry: Registry) -> Arc<Registry> {
    registry.batch = 1;
    // What the other worker may have published and not told; and that with the batch that goes over it.
    registry.untold = 1;
    registry.overdue = 2;
    Arc::new(registry)
}

#[test]
fn loom_the_newest_are_kept_although_another_tells_late() {
    model(|| {
        let registry = telling_each(unshared(2, 2));
        let mut writers = [registry.writer(), registry.writer()];
        let late = register(&registry, &mut writers[0], "", 10);
        let newest = [20, 30].map(|ticks| register(&registry, &mut writers[1], "", ticks));
        let [mut writer, mut other] = writers;
        let late = thread::spawn({
            let registry = Arc::clone(&registry);
            move || finish(&registry, &mut writer, late, 10)
        });
        let mut ticks = 20;
        let newest = newest.map(|entry| {
            ticks += 10;
            finish(&registry, &mut other, entry, ticks)
        });
        late.join().unwrap();
        for id in newest {
            assert!(registry.status(id).is_some(), "one of the two newest is gone");
        }
    });
}

#[test]
fn loom_the_limit_holds_although_an_owner_is_stopped_in_the_middle() {
    // An owner that is stopped once and another thread that meets it: more preemptions add nothing but time.
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(|| {
        const LIMIT: usize = 2;
        let registry = telling_each(unshared(LIMIT, 2));
        let mut writers = [registry.writer(), registry.writer()];
        for ticks in 1..=3 {
            let old = register(&registry, &mut writers[0], "", ticks);
            finish(&registry, &mut writers[0], old, ticks);
        }
        let [mut stopped, mut other] = writers;
        let last = register(&registry, &mut stopped, "", 4);
        let tasks = [5, 6, 7].map(|ticks| register(&registry, &mut other, "", ticks));
        let stopped = thread::spawn({
            let registry = Arc::clone(&registry);
            move || finish(&registry, &mut stopped, last, 4)
        });
        for entry in tasks {
            finish(&registry, &mut other, entry, 7);
            // This thread is done with all its completions; the other may be in the middle of its own.
            let most = LIMIT + registry.overdue as usize + 1;
            assert!(registry.retained() <= most, "{} are retained", registry.retained());
        }
        stopped.join().unwrap();
        assert!(registry.retained() <= LIMIT + registry.overdue as usize);
        registry.cleanup_now();
        assert_eq!(registry.retained(), LIMIT);
    });
}

#[test]
fn loom_a_block_that_is_used_up_is_exchanged_while_a_sweep_releases_its_page() {
    model(|| {
        let registry = registry(0, 2);
        let mut holder = registry.writer();
        let mut finisher = registry.writer();
        // The page is used up, and its block still held: to register the next task is to take over the freed slots or to release
        // the block, depending on how many slots are free by then.
        let old = [1, 2].map(|ticks| register(&registry, &mut holder, "", ticks));
        let sweeper = thread::spawn({
            let registry = Arc::clone(&registry);
            move || {
                let ids = old.map(|entry| finish(&registry, &mut finisher, entry, 4));
                registry.sweep();
                ids
            }
        });
        let fresh = [5, 6].map(|ticks| (register(&registry, &mut holder, "", ticks), ticks));
        for id in sweeper.join().unwrap() {
            assert_eq!(registry.status(id), None, "an evicted id came back");
        }
        for (entry, ticks) in fresh {
            let stats = registry.stats(entry.id()).expect("an active task is known");
            assert_eq!(stats.spawned_at.as_nanos(), ticks);
            finish(&registry, &mut holder, entry, ticks);
        }
        registry.sweep();
        let pin = super::garbage::pin();
        let pages =
            (0..4).filter(|page| registry.store.directory.page(*page, &pin).is_some()).count();
        assert_eq!(pages, 1, "only the page whose block is held is kept");
    });
}

#[test]
fn loom_a_block_changes_hands_while_a_sweep_releases_its_page() {
    model(|| {
        let registry = registry(0, 2);
        let mut holder = registry.writer();
        let mut finisher = registry.writer();
        // The block of the first page is used up and released; that of the second is held and has one slot free.
        let old = [1, 2].map(|ticks| register(&registry, &mut holder, "", ticks));
        let held = register(&registry, &mut holder, "", 3);
        let sweeper = thread::spawn({
            let registry = Arc::clone(&registry);
            move || {
                let ids = old.map(|entry| finish(&registry, &mut finisher, entry, 4));
                registry.sweep();
                ids
            }
        });
        let fresh = [5, 6].map(|ticks| (register(&registry, &mut holder, "", ticks), ticks));
        for (entry, ticks) in &fresh {
            let stats = registry.stats(entry.id()).expect("an active task is known");
            assert_eq!(stats.spawned_at.as_nanos(), *ticks);
        }
        let ids = sweeper.join().unwrap();
        for id in ids {
            assert_eq!(registry.status(id), None, "an evicted id came back");
        }
        for (entry, ticks) in fresh {
            assert!(registry.status(entry.id()).is_some());
            finish(&registry, &mut holder, entry, ticks);
        }
        finish(&registry, &mut holder, held, 7);
    });
}

#[test]
fn loom_two_evictors_free_the_slots_of_a_page_that_a_sweep_releases() {
    model(|| {
        let mut registry = unshared(0, 2);
        // Each thread evicts what it completes, under the lock of its own log.
        (registry.batch, registry.untold, registry.overdue) = (1, 0, 2);
        let registry = Arc::new(registry);
        let mut holder = registry.writer();
        let mut other = registry.writer();
        // One slot was used once more than the other.
        let [once, second] = [1, 2].map(|ticks| register(&registry, &mut holder, "", ticks));
        let once = finish(&registry, &mut holder, once, 3);
        let first = register(&registry, &mut holder, "", 3);
        assert_eq!(first.id().slot(), once.slot());
        // The block of the first page is used up and released; that of the second is held.
        let held = register(&registry, &mut holder, "", 3);
        let finisher = thread::spawn({
            let registry = Arc::clone(&registry);
            move || finish(&registry, &mut other, first, 4)
        });
        let second = finish(&registry, &mut holder, second, 4);
        registry.sweep();
        let first = finisher.join().unwrap();
        registry.sweep();
        {
            let pin = super::garbage::pin();
            assert!(registry.store.directory.page_of(first.slot(), &pin).is_none(), "it is kept");
        }
        // One is the other slot of the block that is held; the next are in the place of the page that was released.
        let fresh = [5, 6, 7].map(|ticks| register(&registry, &mut holder, "", ticks));
        for entry in fresh {
            assert!(![once, first, second].contains(&entry.id()), "an id is given out twice");
            finish(&registry, &mut holder, entry, 8);
        }
        finish(&registry, &mut holder, held, 8);
    });
}

#[test]
fn loom_a_block_that_is_seen_wholly_free_shows_the_generations_of_its_slots() {
    model(|| {
        let page = Arc::new(super::page::Page::new(1, super::page::Tenants::DefaultClass));
        let block = 0;
        let other = thread::spawn({
            let page = Arc::clone(&page);
            move || {
                page.note_generation(7);
                page.blocks[block].free_slots(0b01);
            }
        });
        page.note_generation(2);
        page.blocks[block].free_slots(0b10);
        if page.blocks[block].is_wholly_free() {
            assert_eq!(page.next_generation(), 7, "the next page would begin with a used one");
        }
        other.join().unwrap();
    });
}

#[test]
fn loom_with_task_against_finish() {
    model(|| {
        let registry = registry(0, 1);
        let mut writer = registry.writer();
        let filler = register(&registry, &mut writer, "", 1);
        // Written when the task has ended, where its cell would be freed; loom reports a read at the same time.
        let cell = Arc::new(UnsafeCell::new(0));
        let listed = || NewRecord { task: NonNull::from(&*cell).cast(), ..new_task("") };
        // SAFETY: the writer is one of this registry, with which the record is finished below; `cell` is aligned and lives longer.
        let entry = unsafe { registry.register(&mut writer, listed(), 1) };
        let id = entry.id();
        let other = thread::spawn({
            let registry = Arc::clone(&registry);
            move || {
                let found = registry.with_task(id, |task| {
                    // SAFETY: the address is that of `cell`, which lives until the end of the model.
                    let cell = unsafe { task.cast::<UnsafeCell<u32>>().as_ref() };
                    // SAFETY: no thread writes meanwhile, which is what the model shows.
                    cell.with(|value| unsafe { *value })
                });
                // A thread that does not find the task finds that it has ended.
                let status = registry.status(id);
                assert!(found.is_some() || status.is_none_or(TaskStatus::is_terminal));
                found
            }
        });
        finish(&registry, &mut writer, entry, 2);
        cell.with_mut(|value| {
            // SAFETY: no thread reads meanwhile, which is what the model shows.
            unsafe { *value = 2 }
        });
        // The slot and the memory of the cell go to another task, which must not be found by the old id.
        // SAFETY: as above; this record, too, is finished below.
        let next = unsafe { registry.register(&mut writer, listed(), 1) };
        assert_eq!(next.id().slot(), id.slot());
        assert!(
            other.join().unwrap().is_none_or(|value| value == 0),
            "the task of another registration"
        );
        assert!(registry.with_task(id, |_| ()).is_none());
        finish(&registry, &mut writer, next, 4);
        finish(&registry, &mut writer, filler, 4);
    });
}

#[test]
fn loom_a_completion_against_a_sweep() {
    model(|| {
        let (clock, hand) = Clock::manual();
        hand.advance(Duration::from_secs(1));
        let config =
            CleanupConfig { task_retention_duration: Duration::ZERO, ..CleanupConfig::default() };
        let registry = Arc::new(Registry::new(config, 1, clock));
        let mut writer = registry.writer();
        let tasks = [1, 2].map(|ticks| register(&registry, &mut writer, "", ticks));
        let sweeper = thread::spawn({
            let registry = Arc::clone(&registry);
            move || registry.sweep().by_age
        });
        let ids = tasks.map(|entry| finish(&registry, &mut writer, entry, 3));
        let swept = sweeper.join().unwrap();
        assert_eq!(swept + registry.sweep().by_age, 2);
        assert_eq!(ids.map(|id| registry.status(id)), [None; 2]);
        assert_eq!(registry.cleanup_stats().total_tasks, 0);
    });
}

#[test]
fn loom_a_segment_of_a_log_is_freed_after_both_threads_have_left_it() {
    /// Takes all entries that the calling thread can see.
    fn take(log: &CompletionLog, cursor: &mut LogCursor) {
        while let Some((slot, _)) = log.peek_behind(cursor, 0) {
            log.advance(cursor, 1);
            assert_eq!(u64::from(slot), cursor.taken(), "taken in order");
        }
    }
    model(|| {
        let log = Arc::new(CompletionLog::new());
        // A segment has room for two. They are appended before the other thread starts: loom does not try a load before a store of a
        // thread that has itself loaded the same atomic meanwhile, as `push` does.
        (1..=2).for_each(|slot| log.push(slot, slot.into()));
        let taker = thread::spawn({
            let log = Arc::clone(&log);
            move || {
                let mut cursor = LogCursor::new();
                take(&log, &mut cursor);
                cursor
            }
        });
        log.push(3, 3);
        let mut cursor = taker.join().unwrap();
        take(&log, &mut cursor);
        assert_eq!(cursor.taken(), 3);
        cursor.free(&log);
    });
}

#[test]
fn loom_a_thread_that_finds_room_sees_the_eviction_that_made_it_counted() {
    model(|| {
        const MOST: usize = 3;
        let (clock, hand) = Clock::manual();
        hand.advance(Duration::from_secs(1));
        let config = CleanupConfig {
            max_retained_tasks: 1,
            task_retention_duration: Duration::from_nanos(999_999_999),
            ..CleanupConfig::default()
        };
        // The limit, with what may be beyond it when no thread is in the middle.
        let registry = telling_each(Registry::new(config, 2, clock));
        let mut writers = [registry.writer(), registry.writer()];
        // What the first has completed is too old.
        for number in [0, 0, 1] {
            let ticks = if number == 0 { 1 } else { 2 };
            let entry = register(&registry, &mut writers[number], "", ticks);
            finish(&registry, &mut writers[number], entry, ticks);
        }
        assert_eq!(registry.retained(), MOST);
        let new = register(&registry, &mut writers[1], "", 3);
        let sweeper = thread::spawn({
            let registry = Arc::clone(&registry);
            move || {
                let class = registry.classes.get(ClassId::DEFAULT);
                registry.drop_expired(class, super::counts::EvictionCause::Age)
            }
        });
        finish(&registry, &mut writers[1], new, 4);
        // The limit was checked after the completion, and no other task ends.
        assert!(registry.cleanup_stats().completed_tasks <= MOST, "over the limit");
        assert!(registry.retained() <= MOST, "over the limit");
        sweeper.join().unwrap();
    });
}

#[test]
fn loom_sweep_against_stop() {
    model(|| {
        let (clock, hand) = Clock::manual();
        let config = CleanupConfig {
            task_retention_duration: Duration::ZERO,
            cleanup_interval: Duration::from_nanos(1),
            ..CleanupConfig::default()
        };
        let registry = Arc::new(Registry::new(config, 1, clock));
        let mut writer = registry.writer();
        let entry = register(&registry, &mut writer, "", 0);
        let worker = thread::spawn({
            let registry = Arc::clone(&registry);
            move || super::sweep_when_due(&registry)
        });
        finish(&registry, &mut writer, entry, 0);
        hand.advance(Duration::from_nanos(1));
        registry.sweep_signal().recheck();
        // However far the cleanup thread has come, it ends.
        registry.sweep_signal().stop();
        worker.join().unwrap();
    });
}

#[test]
fn loom_a_completion_after_a_signal_is_requested_wakes_the_cleanup_thread() {
    model(|| {
        let registry = registry(10, 1);
        let mut writer = registry.writer();
        let entry = register(&registry, &mut writer, "", 1);
        // As the cleanup thread does when its second check finds nothing retained: from here on it waits without limit.
        registry.sweep_signal().request_signal();
        let worker = thread::spawn({
            let registry = Arc::clone(&registry);
            move || registry.sweep_signal().sleep_until_signalled()
        });
        finish(&registry, &mut writer, entry, 2);
        assert!(worker.join().unwrap());
        assert_eq!(registry.retained(), 1);
    });
}
