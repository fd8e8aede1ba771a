//! The state that writers, evictors and readers share.

use std::ops::Range;
use std::ptr::NonNull;

use crossbeam_utils::CachePadded;

use super::annotations::LinkedAnnotations;
use super::completions::CompletionLog;
use super::counts::Counts;
use super::depot::Depot;
use super::directory::Directory;
use super::garbage::{self, Garbage, Pin};
use super::tally::Tally;

/// The slots, the completions and the counts of one registry.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) directory: Directory,
    /// On cache lines of its own: each worker locks it three times for a block of tasks.
    pub(super) depot: CachePadded<Depot>,
    /// The completions of each writer, those of the workers and then the shared ones, and behind them those of each retention class
    /// (rule 11).
    pub(super) logs: Box<[CachePadded<CompletionLog>]>,
    /// The number of writers, whose logs come first.
    writer_count: usize,
    pub(super) counts: Counts,
    /// On a cache line of its own: each worker writes it once for a batch of completions.
    pub(super) tally: CachePadded<Tally>,
    pub(super) garbage: Garbage,
}

impl Store {
    /// Creates an empty store for `writer_count` writers and `classes` retention classes, with slots that begin with `generation`.
    pub(super) fn new(writer_count: usize, classes: usize, generation: u32) -> Self {
        let log_count = writer_count + classes;
        Self {
            directory: Directory::new(generation),
            depot: CachePadded::new(Depot::new()),
            logs: (0..log_count).map(|_| CachePadded::new(CompletionLog::new())).collect(),
            writer_count,
            counts: Counts::new(log_count),
            tally: CachePadded::new(Tally::new()),
            garbage: Garbage::default(),
        }
    }

    /// Returns the number of retained records with completions in these logs, as far as this thread can see. Takes no lock.
    pub(super) fn retained(&self, logs: &Range<usize>) -> usize {
        self.logs[logs.clone()].iter().map(|log| log.len()).sum()
    }

    /// Returns whether the completions in the log with this index are told, and its evictions therefore in the tally (rule 12).
    pub(super) fn is_told(&self, index: usize) -> bool {
        index < self.writer_count
    }

    /// Frees `annotations` once no reader can be looking at them any more.
    ///
    /// # Safety
    ///
    /// The caller has unlinked them from their slot (whether before `pin` was made or after), and retires them only once.
    pub(super) unsafe fn retire_annotations(
        &self,
        pin: &Pin,
        annotations: NonNull<LinkedAnnotations>,
    ) {
        self.counts.annotation_bytes(0, Some(annotations));
        // SAFETY: they are retired below, and so have not been freed yet.
        let linked = unsafe { annotations.as_ref() };
        let bytes = linked.get().bytes();
        #[cfg(moirai_loom)]
        linked.retire();
        // SAFETY: a `Box` of plain data, which may be dropped on any thread and calls no user code; the caller has unlinked it, and
        // retires it only once.
        unsafe { pin.retire(annotations, bytes, &self.garbage) };
    }

    /// Frees the annotations that the slots still link. For the drop of the registry, after which no record is evicted or read.
    pub(super) fn free_annotations(&self) {
        let pin = garbage::pin();
        for number in 0..self.directory.end() {
            let Some(page) = self.directory.page(number, &pin) else {
                continue;
            };
            for slot in page.slots() {
                slot.free_annotations();
            }
        }
    }
}
