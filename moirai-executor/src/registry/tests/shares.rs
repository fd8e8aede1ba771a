//! Tests that each worker evicts its own records (rule 10), and that no guarantee is weaker for it.

use super::*;

const LIMIT: usize = 10_000;

fn two_workers() -> (Registry, Arc<ManualClock>, [Writer; 2]) {
    let (clock, manual) = Clock::manual();
    let registry = Registry::new(limit(LIMIT), 2, clock);
    let writer = [registry.writer(), registry.writer()];
    (registry, manual, writer)
}

/// Registers and finishes a task with one of the writers, a nanosecond after the one before.
fn next(registry: &Registry, manual: &ManualClock, writer: &mut Writer) -> TaskId {
    manual.advance(Duration::from_nanos(1));
    one(registry, writer)
}

fn is_kept(registry: &Registry, id: &TaskId) -> bool {
    registry.status(*id).is_some()
}

#[test]
fn the_newest_are_kept_and_the_slack_holds_whoever_completes() {
    let (registry, manual, mut writer) = two_workers();
    // The two workers alternate by task, alternate by runs of 500 tasks, and one of them completes far more than the other.
    let patterns: [fn(usize) -> usize; 3] =
        [|task| task % 2, |task| task / 500 % 2, |task| usize::from(task % 10 == 0)];
    let mut ids = Vec::new();
    for pattern in patterns {
        for task in 0..3 * LIMIT {
            ids.push(next(&registry, &manual, &mut writer[pattern(task)]));
            assert!(registry.retained() <= LIMIT + 2 * 64, "{}", registry.retained());
        }
        let newest = &ids[ids.len() - LIMIT..];
        assert!(newest.iter().all(|id| is_kept(&registry, id)), "one of the newest is gone");
    }
    registry.cleanup_now();
    assert_eq!(registry.retained(), LIMIT);
}

#[test]
fn both_evict_their_own_when_both_complete() {
    let (registry, manual, mut writer) = two_workers();
    for task in 0..5 * LIMIT {
        next(&registry, &manual, &mut writer[task % 2]);
        let overdue = LIMIT as u64 + registry.overdue;
        assert!(registry.store.tally.kept() <= overdue, "one evicts what the other would have");
    }
    let [one, other] = [0, 1].map(|index| registry.store.logs[index].len());
    assert!(one.abs_diff(other) <= 2 * registry.batch, "{one} and {other}");
}

#[test]
fn what_an_idle_worker_completed_is_evicted_by_the_other() {
    let (registry, manual, [mut idle, mut busy]) = two_workers();
    let old: Vec<_> = (0..100).map(|_| next(&registry, &manual, &mut idle)).collect();
    registry.flush(&mut idle);
    for _ in 0..LIMIT + 1_000 {
        next(&registry, &manual, &mut busy);
    }
    let left = old.iter().filter(|id| is_kept(&registry, id)).count();
    assert_eq!(left, 0, "old records of a worker that is idle stay");
    assert!(registry.retained() <= LIMIT + 64);
}

/// Returns by how many records the limit may be exceeded, by the argument of rule 9.
fn most_excess(registry: &Registry, workers: usize) -> usize {
    registry.overdue as usize + workers * registry.batch + registry.shared_writers.len()
}

#[test]
fn the_slack_of_many_workers_holds_and_what_is_left_to_them_is_bounded() {
    const WORKERS: usize = 16;
    let (clock, manual) = Clock::manual();
    let registry = Registry::new(limit(LIMIT), WORKERS, clock);
    let mut writer: Vec<_> = (0..WORKERS).map(|_| registry.writer()).collect();
    for task in 0..5 * LIMIT {
        next(&registry, &manual, &mut writer[task % WORKERS]);
        assert!(registry.retained() <= LIMIT + most_excess(&registry, WORKERS));
    }
    // Then all but one of them are idle.
    for _ in 0..2 * LIMIT {
        next(&registry, &manual, &mut writer[0]);
        assert!(registry.retained() <= LIMIT + most_excess(&registry, WORKERS));
    }
    assert!(most_excess(&registry, WORKERS) <= LIMIT / 8);
}
