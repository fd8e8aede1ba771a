//! The workers that sleep, and how one of them is notified. See the [module](super).

use std::fmt;

use crossbeam_utils::CachePadded;
use moirai_core::shim::sync::Mutex;
use moirai_core::shim::sync::atomic::{AtomicU8, Ordering};
use moirai_sync::{Parker, Unparker};

use super::counts::{self, SleepCounts};

/// The workers that have nothing to do. See the [module](crate::sleep) for the protocol.
pub struct Sleepers {
    pub(super) counts: CachePadded<SleepCounts>,
    /// How many may search at once.
    pub(super) search_limit: usize,
    /// Who sleeps; the last to come is the first to be notified, while its cache is warm. As long as the counts say,
    /// whenever the lock is free.
    pub(super) list: Mutex<Vec<usize>>,
    pub(super) slots: Box<[CachePadded<SleepSlot>]>,
}

/// Where a worker sleeps.
pub(super) struct SleepSlot {
    /// Why it was taken from the list; one of the constants of [`notice`]. Written under the lock of the list.
    pub(super) notice: AtomicU8,
    /// Locked by the worker while it parks, and by nobody else.
    pub(super) parker: Mutex<Parker>,
    pub(super) unparker: Unparker,
}

/// What may be left for a sleeper.
pub(super) mod notice {
    /// It was not taken from the list.
    pub(in super::super) const NONE: u8 = 0;
    /// Work was pushed.
    pub(in super::super) const NOTIFIED: u8 = 1;
    /// Work was pushed, and there may be more than one can do: rule 5.
    pub(in super::super) const WAKE_NEXT: u8 = 2;
    /// Everyone was woken: rule 7.
    pub(in super::super) const STOPPED: u8 = 3;
}

impl Sleepers {
    /// The largest number of workers.
    pub const MAX_WORKERS: usize = counts::MAX;

    /// For `workers` workers, all of them busy.
    ///
    /// # Panics
    ///
    /// If there are none, or more than [`MAX_WORKERS`](Self::MAX_WORKERS).
    #[must_use]
    pub fn new(workers: usize) -> Self {
        assert!(
            (1..=Self::MAX_WORKERS).contains(&workers),
            "from 1 to {} workers, not {workers}",
            Self::MAX_WORKERS
        );
        Self {
            counts: CachePadded::new(SleepCounts::new()),
            search_limit: (workers / 2).max(1),
            list: Mutex::new(Vec::with_capacity(workers)),
            slots: (0..workers)
                .map(|_| {
                    let parker = Parker::new();
                    CachePadded::new(SleepSlot {
                        notice: AtomicU8::new(notice::NONE),
                        unparker: parker.unparker(),
                        parker: Mutex::new(parker),
                    })
                })
                .collect(),
        }
    }

    /// Says that work was made visible, by the calling thread. Wakes a worker if one sleeps and none is searching.
    ///
    /// Costs a fence and a load if nobody sleeps, and takes a lock only to wake somebody.
    #[inline]
    pub fn notify(&self) {
        let now = self.counts.after_fence();
        if !now.all_busy() && !now.has_more_pending() {
            self.wake_one_unless_pending();
        }
    }

    /// Says that work was made visible that only worker `worker` finds, by the calling thread. Wakes that worker if it sleeps.
    ///
    /// Costs a fence and a load if nobody sleeps, and takes a lock otherwise. Does nothing if there is no such worker.
    #[inline]
    pub fn notify_worker(&self, worker: usize) {
        if self.counts.after_fence().sleeping() > 0 {
            self.wake_this(worker);
        } else {
            self.recheck();
        }
    }

    /// Says that work was made visible that its owner will do itself if nobody comes, such as the half of a `join`. Wakes a worker
    /// if one sleeps and none is searching: who is searching sees it.
    #[inline]
    pub fn invite(&self) {
        let now = self.counts.after_fence();
        if now.sleeping() > 0 && now.searching() == 0 {
            self.wake_one(notice::NOTIFIED);
        }
    }

    /// What wakes a worker that rests.
    ///
    /// # Panics
    ///
    /// If there is no such worker.
    #[must_use]
    pub fn unparker(&self, worker: usize) -> Unparker {
        self.slots[worker].unparker.clone()
    }

    /// Wakes every worker that sleeps, to ask its `stop`, and to look for work.
    pub fn wake_all(&self) {
        let stopped = {
            let mut list = self.list.lock();
            self.counts.withdraw_all();
            for &worker in list.iter() {
                // Ordering: Release pairs with the Acquire load in `Announced::park`.
                self.slots[worker].notice.store(notice::STOPPED, Ordering::Release);
            }
            std::mem::replace(&mut *list, Vec::with_capacity(self.slots.len()))
        };
        for worker in stopped {
            self.slots[worker].unparker.unpark();
        }
    }

    /// How many workers sleep, or are about to. Nothing may be concluded from it about the queues.
    #[must_use]
    pub fn sleeping(&self) -> usize {
        self.counts.now().sleeping()
    }

    /// How many workers have nothing to do: those that sleep, and those that search. Nothing may be concluded from it about
    /// the queues.
    #[must_use]
    pub fn idle(&self) -> usize {
        let now = self.counts.now();
        now.sleeping() + now.searching()
    }

    /// How many workers are searching. Nothing may be concluded from it about the queues.
    #[must_use]
    pub fn searching(&self) -> usize {
        self.counts.now().searching()
    }

    #[cold]
    fn wake_one_unless_pending(&self) {
        if !self.counts.add_pending_wake() {
            self.wake_one(notice::NOTIFIED);
        }
    }

    /// Rule 9.
    #[cold]
    fn wake_this(&self, worker: usize) {
        {
            let mut list = self.list.lock();
            let Some(at) = list.iter().rposition(|&other| other == worker) else {
                drop(list);
                return self.recheck();
            };
            list.remove(at);
            self.counts.claim_this_sleeper();
            // Ordering: Release pairs with the Acquire load in `Announced::park`.
            self.slots[worker].notice.store(notice::NOTIFIED, Ordering::Release);
        }
        self.slots[worker].unparker.unpark();
    }

    /// Has those who spin look once more: the one whose work was pushed may be among them.
    #[inline]
    fn recheck(&self) {
        if self.counts.now().searching() > 0 {
            let _ = self.counts.add_pending_wake();
        }
    }

    /// Rule 2.
    pub(super) fn wake_one(&self, notice: u8) {
        let notified = {
            let mut list = self.list.lock();
            if !self.counts.claim_sleeper() {
                return;
            }
            let Some(worker) = list.pop() else {
                unreachable!("the list is as long as the counts say")
            };
            // Ordering: Release pairs with the Acquire load in `Announced::park`.
            self.slots[worker].notice.store(notice, Ordering::Release);
            worker
        };
        self.slots[notified].unparker.unpark();
    }
}

impl fmt::Debug for Sleepers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleepers")
            .field("workers", &self.slots.len())
            .field("sleeping", &self.sleeping())
            .field("searching", &self.searching())
            .finish()
    }
}
