//! Tests that what many threads write shares no cache line with what every task reads, and of how often it is written.

use super::*;
use crate::tests::{assert_apart, place};

#[test]
fn what_many_threads_write_is_on_no_line_that_every_task_reads() {
    let written = [
        place!(Registry, store.tally),
        place!(Registry, store.depot),
        place!(Registry, store.counts.annotation_total),
        place!(Registry, refused),
        place!(Registry, class_writer),
    ];
    let read = [
        place!(Registry, store.directory),
        place!(Registry, store.logs),
        place!(Registry, store.counts.writers),
        place!(Registry, shared_writers),
        place!(Registry, evictors),
        place!(Registry, classes),
        place!(Registry, batch),
        place!(Registry, workers),
        place!(Registry, identity),
        place!(Registry, config),
        place!(Registry, clock),
        place!(Registry, sweep_signal),
    ];
    assert_apart(&written, &read);
}

#[test]
fn each_shared_writer_has_lines_of_its_own() {
    let (registry, _) = registry(limit(100));
    let lines = registry.shared_writers.iter().map(|writer| {
        let first = std::ptr::from_ref(writer).addr();
        (first / 64, (first + size_of_val(writer) - 1) / 64)
    });
    let lines: Vec<_> = lines.collect();
    assert!(lines.windows(2).all(|pair| pair[0].1 < pair[1].0), "{lines:?}");
}

#[test]
fn batches_become_smaller_with_more_workers_unless_the_limit_grows() {
    let batch = |workers, limited_to| {
        let (clock, _) = Clock::manual();
        Registry::new(limit(limited_to), workers, clock).batch
    };
    // The model of contention in the benches has the same table.
    let table = [(1, 28), (2, 24), (4, 22), (8, 21), (16, 21), (32, 13), (64, 6), (128, 3)];
    for (workers, expected) in table {
        assert_eq!(batch(workers, 10_000), expected, "{workers} workers");
        if workers > 1 {
            let roomy = batch(workers, 10_000.max(512 * workers));
            assert!((21..=24).contains(&roomy), "{workers} workers: {roomy}");
        }
    }
}

/// Returns how many tasks there are for each block that a worker takes, and for each batch that one tells, with workers that take
/// turns.
fn tasks_per_block_and_batch(workers: usize) -> (f64, f64) {
    const ROUNDS: usize = 4_000;
    let (clock, _manual) = Clock::manual();
    let registry = Registry::new(limit(10_000), workers, clock);
    let mut writers: Vec<_> = (0..workers).map(|_| registry.writer()).collect();
    for number in 0..20_000 {
        one(&registry, &mut writers[number % workers]);
    }
    let (mut blocks, mut batches) = (0_usize, 0_usize);
    for _ in 0..ROUNDS {
        for writer in &mut writers {
            let (block, told) = (writer.block, registry.store.tally.told());
            one(&registry, writer);
            blocks += usize::from(writer.block != block);
            batches += usize::from(registry.store.tally.told() != told);
        }
    }
    let tasks = (ROUNDS * workers) as f64;
    (tasks / blocks as f64, tasks / batches as f64)
}

#[test]
fn a_worker_takes_a_block_for_many_tasks_and_tells_each_batch_once() {
    for (workers, batch) in [(1, 28.0), (2, 24.0), (16, 21.0), (64, 6.0), (128, 3.0)] {
        let (by_block, by_batch) = tasks_per_block_and_batch(workers);
        assert!((32.0..66.0).contains(&by_block), "{workers} workers: {by_block}");
        assert!((by_batch - batch).abs() < 0.5, "{workers} workers: {by_batch}");
    }
}
