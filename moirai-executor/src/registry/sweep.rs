//! Evicting records by age, by count and by request, in bounded batches.

use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use moirai_core::shim::sync::Mutex;

use super::completions::CompletionLog;
use super::counts::EvictionCause;
use super::evictor::{BATCH, Evictor};
use super::task_registry::Registry;
use super::writer::Writer;

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
    /// The executor's cleanup thread calls this once an interval. It evicts even if automatic cleanup is off. The evictor's lock is
    /// held for a bounded number of records at a time, and handed to a thread that waits for it in between.
    pub fn sweep(&self) -> SweepReport {
        let start = Instant::now();
        let by_age = self.drop_expired(EvictionCause::Age);
        let by_count = self.drop_excess(self.retained(), EvictionCause::Count);
        let pages = self.release_pages();
        self.store.garbage.collect();
        let took = start.elapsed();
        self.store.counts.swept(took);
        SweepReport { by_age, by_count, pages, took, bytes: self.bytes() }
    }

    /// Evicts by request: the records of tasks that ended before the call and that are too old or too many. Returns the number
    /// evicted.
    ///
    /// It also releases pages and frees memory, as [`sweep`](Self::sweep) does.
    pub fn cleanup_now(&self) -> usize {
        let retained = self.retained();
        let dropped = self.drop_expired(EvictionCause::Request);
        let dropped =
            dropped + self.drop_excess(retained - dropped.min(retained), EvictionCause::Request);
        self.release_pages();
        self.store.garbage.collect();
        dropped
    }

    /// Evicts the records of tasks that had ended longer ago than the retention duration when this was called. Returns the number
    /// evicted.
    fn drop_expired(&self, cause: EvictionCause) -> usize {
        let now = self.clock.converter();
        // `None` is a time before the start of the clock: nothing can be that old.
        let Some(until) = now.ticks_before_now(self.config.task_retention_duration) else {
            return 0;
        };
        self.in_batches(usize::MAX, |evictor, most| {
            evictor.evict(&self.store, until, most, cause, None)
        })
    }

    /// Evicts the records beyond the limit, of the `retained` ones that there were. Returns the number evicted.
    fn drop_excess(&self, retained: usize, cause: EvictionCause) -> usize {
        let limit = self.config.max_retained_tasks;
        self.in_batches(retained.saturating_sub(limit), |evictor, most| {
            let excess = self.retained().saturating_sub(limit);
            evictor.evict(&self.store, u64::MAX, excess.min(most), cause, None)
        })
    }

    /// Calls `evict` with a bounded number until it evicts fewer than that, or `total` is reached. Returns the sum.
    fn in_batches(
        &self,
        total: usize,
        mut evict: impl FnMut(&mut Evictor, usize) -> usize,
    ) -> usize {
        let mut dropped = 0;
        while dropped < total {
            let most = BATCH.min(total - dropped);
            let some = evict(&mut self.evictor.lock(), most);
            dropped += some;
            if some < most {
                break;
            }
            self.yield_lock();
        }
        dropped
    }

    /// Releases the pages that have no records left, a few at a time. Returns the number released.
    fn release_pages(&self) -> usize {
        let mut released = 0;
        loop {
            let (some, more) = self.evictor.lock().release_pages(&self.store);
            released += some;
            if !more {
                return released;
            }
            self.yield_lock();
        }
    }

    /// Returns the bytes that the registry holds.
    pub(super) fn bytes(&self) -> usize {
        let segments: usize = self.store.logs.iter().map(|log| log.segment_bytes()).sum();
        let evictor = self.evictor.lock().bytes();
        size_of::<Self>()
            + self.store.logs.len() * size_of::<CachePadded<CompletionLog>>()
            + self.store.directory.bytes()
            + self.store.depot.bytes()
            + self.store.counts.bytes()
            + self.shared_writers.len() * size_of::<Mutex<Writer>>()
            + self.store.garbage.bytes()
            + segments
            + evictor
    }
}
