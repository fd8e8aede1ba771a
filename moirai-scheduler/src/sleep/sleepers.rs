//! The workers that sleep, and how one of them is called. See the [module](super).

use std::fmt;

use crossbeam_utils::CachePadded;
use moirai_core::shim::sync::Mutex;
use moirai_core::shim::sync::atomic::{AtomicU8, Ordering};
use moirai_sync::{Parker, Unparker};

use super::counts::{self, Counts};

/// The workers that have nothing to do. See the [module](crate::sleep) for the protocol.
pub struct Sleepers {
    pub(super) counts: CachePadded<Counts>,
    /// How many may search at once.
    pub(super) search_limit: usize,
    /// Who sleeps; the last to come is the first to be called, while its cache is warm. As long as the counts say,
    /// whenever the lock is free.
    pub(super) list: Mutex<Vec<usize>>,
    pub(super) places: Box<[CachePadded<Place>]>,
}

/// Where a worker sleeps.
pub(super) struct Place {
    /// Why it was taken from the list; one of the constants of [`word`]. Written under the lock of the list.
    pub(super) word: AtomicU8,
    /// Locked by the worker while it parks, and by nobody else.
    pub(super) parker: Mutex<Parker>,
    pub(super) unparker: Unparker,
}

/// What may be left for a sleeper.
pub(super) mod word {
    /// It was not taken from the list.
    pub(in super::super) const NONE: u8 = 0;
    /// Work was pushed.
    pub(in super::super) const CALLED: u8 = 1;
    /// Work was pushed, and there may be more than one can do: rule 5.
    pub(in super::super) const CHAIN: u8 = 2;
    /// Everyone was woken: rule 7.
    pub(in super::super) const FREED: u8 = 3;
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
            counts: CachePadded::new(Counts::new()),
            search_limit: (workers / 2).max(1),
            list: Mutex::new(Vec::with_capacity(workers)),
            places: (0..workers)
                .map(|_| {
                    let parker = Parker::new();
                    CachePadded::new(Place {
                        word: AtomicU8::new(word::NONE),
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
        if !now.all_busy() && !now.more_owed() {
            self.call_unless_left();
        }
    }

    /// Says that work was made visible that only worker `worker` finds, by the calling thread. Wakes that worker if it sleeps.
    ///
    /// Costs a fence and a load if nobody sleeps, and takes a lock otherwise. Does nothing if there is no such worker.
    #[inline]
    pub fn notify_worker(&self, worker: usize) {
        if self.counts.after_fence().sleeping() > 0 {
            self.call_this(worker);
        } else {
            self.disturb();
        }
    }

    /// Says that work was made visible that its owner will do itself if nobody comes, such as the half of a `join`. Wakes a worker
    /// if one sleeps and none is searching: who is searching sees it.
    #[inline]
    pub fn invite(&self) {
        let now = self.counts.after_fence();
        if now.sleeping() > 0 && now.searching() == 0 {
            self.call(word::CALLED);
        }
    }

    /// What wakes a worker that rests.
    ///
    /// # Panics
    ///
    /// If there is no such worker.
    #[must_use]
    pub fn unparker(&self, worker: usize) -> Unparker {
        self.places[worker].unparker.clone()
    }

    /// Wakes every worker that sleeps, to ask its `stop`, and to look for work.
    pub fn wake_all(&self) {
        let freed = {
            let mut list = self.list.lock();
            self.counts.withdraw_all();
            for &worker in list.iter() {
                // Ordering: Release pairs with the Acquire load in `Announced::park`.
                self.places[worker].word.store(word::FREED, Ordering::Release);
            }
            std::mem::replace(&mut *list, Vec::with_capacity(self.places.len()))
        };
        for worker in freed {
            self.places[worker].unparker.unpark();
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
    fn call_unless_left(&self) {
        if !self.counts.leave_to_searchers() {
            self.call(word::CALLED);
        }
    }

    /// Rule 9.
    #[cold]
    fn call_this(&self, worker: usize) {
        {
            let mut list = self.list.lock();
            let Some(at) = list.iter().rposition(|&other| other == worker) else {
                drop(list);
                return self.disturb();
            };
            list.remove(at);
            self.counts.call_one();
            // Ordering: Release pairs with the Acquire load in `Announced::park`.
            self.places[worker].word.store(word::CALLED, Ordering::Release);
        }
        self.places[worker].unparker.unpark();
    }

    /// Has those who linger look once more: the one whose work was pushed may be among them.
    #[inline]
    fn disturb(&self) {
        if self.counts.now().searching() > 0 {
            let _ = self.counts.leave_to_searchers();
        }
    }

    /// Rule 2.
    pub(super) fn call(&self, word: u8) {
        let called = {
            let mut list = self.list.lock();
            if !self.counts.call() {
                return;
            }
            let Some(worker) = list.pop() else {
                unreachable!("the list is as long as the counts say")
            };
            // Ordering: Release pairs with the Acquire load in `Announced::park`.
            self.places[worker].word.store(word, Ordering::Release);
            worker
        };
        self.places[called].unparker.unpark();
    }
}

impl fmt::Debug for Sleepers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleepers")
            .field("workers", &self.places.len())
            .field("sleeping", &self.sleeping())
            .field("searching", &self.searching())
            .finish()
    }
}
