//! Evicting records by age, by count and by request, in bounded batches.

use std::ptr::NonNull;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use moirai_core::shim::sync::Mutex;

use super::classes::Class;
use super::completions::CompletionLog;
use super::counts::EvictionCause;
use super::evictor::{Evictor, evict_oldest};
use super::garbage;
use super::page::{self, Page, ReleasedPage};
use super::task_registry::Registry;
use super::writer::Writer;

/// The most records that are evicted while a lock is held once, by a sweep or by request.
pub(super) const BATCH: usize = if cfg!(moirai_loom) { 1 } else { 256 };

/// What a [`sweep`](Registry::sweep) has done.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct SweepReport {
    /// The number of records that were evicted because they were too old.
    pub by_age: usize,
    /// The number of records that were evicted because there were too many.
    pub by_count: usize,
    /// The number of pages that were released, of 64 KiB each.
    pub pages: usize,
    /// How long the sweep took.
    pub took: Duration,
    /// The bytes that the registry holds after it.
    pub bytes: usize,
}

impl Registry {
    /// Evicts the records that are too old or too many, releases the pages that have no records left, and frees what no reader uses
    /// any more.
    ///
    /// The executor's cleanup thread calls this once an interval. It evicts even if automatic cleanup is off. The locks of the logs
    /// are held for a bounded number of records at a time, and handed to threads that wait for them in between.
    pub fn sweep(&self) -> SweepReport {
        let start = Instant::now();
        let cause = EvictionCause::Age;
        let by_age = self.classes.iter().map(|class| self.drop_expired(class, cause)).sum();
        let cause = EvictionCause::Count;
        let excess = |class: &Class| self.drop_excess(class, self.retained_in(class), cause);
        let by_count = self.classes.iter().map(excess).sum();
        let pages = self.release_pages();
        let took = start.elapsed();
        self.store.counts.swept(took);
        SweepReport { by_age, by_count, pages, took, bytes: self.bytes() }
    }

    /// Evicts by request: the records of tasks that ended before the call and that are too old or too many, by the limits of their
    /// classes. Returns the number evicted.
    ///
    /// It also releases pages and frees memory, as [`sweep`](Self::sweep) does.
    pub fn cleanup_now(&self) -> usize {
        let cause = EvictionCause::Request;
        // All of them are counted first: what ends while this goes on stays.
        let retained: Vec<_> = self.classes.iter().map(|class| self.retained_in(class)).collect();
        let mut dropped = 0;
        for (class, retained) in self.classes.iter().zip(retained) {
            let expired = self.drop_expired(class, cause);
            let left = retained.saturating_sub(expired);
            dropped += expired + self.drop_excess(class, left, cause);
        }
        self.release_pages();
        dropped
    }

    /// Returns the number of retained records of a class.
    fn retained_in(&self, class: &Class) -> usize {
        self.store.retained(&class.logs)
    }

    /// Evicts the records of a class whose tasks had ended longer ago than its greatest age when this was called. Returns the
    /// number evicted.
    pub(super) fn drop_expired(&self, class: &Class, cause: EvictionCause) -> usize {
        let now = self.clock.converter();
        // `None` is a time before the start of the clock: nothing can be that old.
        let Some(until) = now.ticks_before_now(class.limits.max_age) else {
            return 0;
        };
        let mut dropped = 0;
        for index in class.logs.clone() {
            loop {
                let mut evictor = self.evictors[index].lock();
                let count = evictor.count_until(&self.store, index, until, BATCH);
                evictor.evict(&self.store, index, count, cause);
                drop(evictor);
                dropped += count;
                if count < BATCH {
                    break;
                }
                self.yield_lock(index);
            }
        }
        dropped
    }

    /// Evicts the oldest records of a class beyond its limit, of the `retained` ones that there were. Returns the number evicted.
    fn drop_excess(&self, class: &Class, retained: usize, cause: EvictionCause) -> usize {
        let (limit, logs) = (class.limits.max_records, &class.logs);
        let total = retained.saturating_sub(limit);
        let mut dropped = 0;
        while dropped < total {
            let most = BATCH.min(total - dropped);
            let mut evictors = self.evictors_of(logs);
            let some = evict_oldest(&self.store, logs, &mut evictors, limit, most, cause);
            drop(evictors);
            dropped += some;
            if some < most {
                break;
            }
            logs.clone().for_each(|index| self.yield_lock(index));
        }
        dropped
    }

    /// Releases the pages that have no records left (rule 7), and frees what no thread uses any more. Returns the number of pages
    /// released. No lock is held for more than one page at a time.
    fn release_pages(&self) -> usize {
        let mut candidates = Vec::new();
        for evictor in &self.evictors {
            evictor.lock().take_candidates(&mut candidates);
        }
        self.store.depot.rechecks(&mut candidates);
        let mut released = 0;
        for number in candidates {
            let pin = garbage::pin();
            let Some(page) = self.store.directory.page(number, &pin) else {
                continue;
            };
            page.set_candidate(false);
            if let Some(page) = self.store.depot.release_page(&self.store.directory, number) {
                released += 1;
                // SAFETY: the directory made the page as a `Box`, and gave it up just now. It is dropped when it is retired below.
                let page = unsafe { ReleasedPage::new(page) };
                let retired = NonNull::from(Box::leak(Box::new(page)));
                // SAFETY: a `Box` of plain data, which may be dropped on any thread and calls no user code. The page was taken out
                // of the directory just now, so a thread that pins from now on does not find it, and it is retired only here.
                unsafe { pin.retire(retired, Page::bytes(), &self.store.garbage) };
            }
        }
        self.store.garbage.collect();
        page::free_unused();
        released
    }

    /// Returns the bytes that the registry holds.
    pub(super) fn bytes(&self) -> usize {
        let segments: usize = self.store.logs.iter().map(|log| log.segment_bytes()).sum();
        let evictors: usize = self.evictors.iter().map(|evictor| evictor.lock().bytes()).sum();
        size_of::<Self>()
            + self.store.logs.len() * size_of::<CachePadded<CompletionLog>>()
            + self.store.directory.bytes()
            + self.store.depot.bytes()
            + self.store.counts.bytes()
            + self.classes.bytes()
            + self.shared_writers.len() * size_of::<CachePadded<Mutex<Writer>>>()
            + self.store.garbage.bytes()
            + segments
            + evictors
            + self.evictors.len() * size_of::<CachePadded<Mutex<Evictor>>>()
    }
}
