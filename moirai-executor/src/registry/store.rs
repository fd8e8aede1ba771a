//! What the writers, the evictor and the readers share.

use std::ptr::NonNull;

use crossbeam_utils::CachePadded;

use super::annotations::Annotations;
use super::completions::CompletionLog;
use super::counts::Counts;
use super::depot::Depot;
use super::directory::Directory;
use super::reclaim::{Garbage, Pin};

/// The slots, the completions and the counts of one registry.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) directory: Directory,
    pub(super) depot: Depot,
    /// The completions of each set of writer: the workers', then the guests'.
    pub(super) logs: Box<[CachePadded<CompletionLog>]>,
    pub(super) counts: Counts,
    pub(super) garbage: Garbage,
}

impl Store {
    /// With slots that begin with `generation`.
    pub(super) fn new(sets: usize, generation: u32) -> Self {
        Self {
            directory: Directory::new(generation),
            depot: Depot::new(),
            logs: (0..sets).map(|_| CachePadded::new(CompletionLog::new())).collect(),
            counts: Counts::new(sets),
            garbage: Garbage::default(),
        }
    }

    /// How many records of ended tasks there are.
    pub(super) fn retained(&self) -> usize {
        self.logs.iter().map(|log| log.len()).sum()
    }

    /// Retires a annotations.
    ///
    /// # Safety
    ///
    /// It was unlinked from its slot by the caller, before `pin` was made or after, and is retired once.
    pub(super) unsafe fn retire_annotations(&self, pin: &Pin, annotations: NonNull<Annotations>) {
        self.counts.annotation_bytes(0, Some(annotations));
        // SAFETY: not retired yet.
        let bytes = unsafe { annotations.as_ref() }.bytes();
        // SAFETY: a `Box` of plain data, unlinked, and retired once, says the caller.
        unsafe { pin.retire(annotations, bytes, &self.garbage) };
    }

    /// What the slots hold that have no eviction before them any more.
    pub(super) fn free_annotations(&self) {
        for number in 0..self.directory.end() {
            let Some(page) = self.directory.page(number) else {
                continue;
            };
            for slot in page.slots() {
                slot.free_annotations();
            }
        }
    }
}
