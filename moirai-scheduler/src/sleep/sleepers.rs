//! The sleeping workers, and how they are notified. See the [module](super).

use std::collections::VecDeque;
use std::fmt;

use crossbeam_utils::CachePadded;
use moirai_core::shim::sync::atomic::{AtomicU8, Ordering};
use moirai_core::shim::sync::{Mutex, lock_patiently};
use moirai_sync::{Parker, Unparker};

use super::counts::{self, SleepCounts};

/// The sleeping and searching workers of one executor. See the [module](crate::sleep) for the protocol.
///
/// A thread that pushes calls [`notify`](Self::notify) after the push, or [`notify_worker`](Self::notify_worker) if only one worker
/// can find the task. A worker that runs out of tasks calls [`next`](Self::next), which returns the next one. There is an
/// [example](crate#example) in the documentation of the crate.
pub struct Sleepers {
    pub(super) counts: CachePadded<SleepCounts>,
    /// The number of workers that may search at once.
    pub(super) search_limit: usize,
    /// The sleeping workers. The last one is the first to be notified. Whenever the lock is free, the list is as long as the count
    /// of sleeping workers. On cache lines of its own: who is notified reads what is around it, without the lock.
    pub(super) list: CachePadded<Mutex<VecDeque<usize>>>,
    pub(super) slots: Box<[CachePadded<SleepSlot>]>,
    /// Wakes a worker that sleeps in a hook (rule 10).
    unpark: Option<Box<dyn Fn(usize) + Send + Sync>>,
}

/// Where one worker sleeps.
pub(super) struct SleepSlot {
    /// Why the worker was taken from the list: one of the constants of [`notice`]. Written under the lock of the list.
    pub(super) notice: AtomicU8,
    /// Locked by the worker while it parks, and by no other thread.
    pub(super) parker: Mutex<Parker>,
    pub(super) unparker: Unparker,
}

/// The notices that a sleeping worker can find in its slot.
pub(super) mod notice {
    /// It was not taken from the list.
    pub(in super::super) const NONE: u8 = 0;
    /// Work was pushed.
    pub(in super::super) const NOTIFIED: u8 = 1;
    /// Work was pushed, and there may be more of it than this worker can do: it has to wake the next one (rule 5).
    pub(in super::super) const WAKE_NEXT: u8 = 2;
    /// All workers were woken (rule 7).
    pub(in super::super) const STOPPED: u8 = 3;
}

impl Sleepers {
    /// The largest number of workers.
    pub const MAX_WORKERS: usize = counts::MAX;

    /// Creates the state for `workers` workers, all of which count as busy.
    ///
    /// # Panics
    ///
    /// If `workers` is zero, or more than [`MAX_WORKERS`](Self::MAX_WORKERS).
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
            list: CachePadded::new(Mutex::new(VecDeque::with_capacity(workers))),
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
            unpark: None,
        }
    }

    /// Sets what is called to wake a worker that sleeps [in a hook](Self::next_in_hook), with the worker's index. It is called
    /// after the worker has been notified, with no lock held, and for workers that do not sleep in a hook, too. It must not panic.
    #[must_use]
    pub fn with_unpark(mut self, unpark: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.unpark = Some(Box::new(unpark));
        self
    }

    /// Announces that the calling thread has made work visible that any worker can find. Wakes a worker if one is sleeping and none
    /// is searching.
    ///
    /// Must be called after the push, by the thread that pushed; otherwise all workers may sleep on while the task waits.
    ///
    /// Costs a fence and a load if all workers are busy, and takes a lock only to wake a worker.
    #[inline]
    pub fn notify(&self) {
        let now = self.counts.after_fence();
        if !now.all_busy() && !now.has_more_pending() {
            self.wake_one_unless_pending();
        }
    }

    /// Announces that the calling thread has made work visible that only worker `worker` finds. Wakes that worker if it is
    /// sleeping.
    ///
    /// Must be called after the push, by the thread that pushed; otherwise the worker may sleep on while the task waits.
    ///
    /// Costs a fence and a load if no worker is sleeping, and takes a lock otherwise. If there is no worker with this index, none
    /// is woken.
    #[inline]
    pub fn notify_worker(&self, worker: usize) {
        if self.counts.after_fence().sleeping() > 0 {
            self.wake_this(worker);
        } else {
            self.recheck();
        }
    }

    /// Announces that the calling thread has made work visible that it will do itself if no worker takes it, such as one of the
    /// closures of a `join`. Wakes a worker if one is sleeping and none is searching: a searching worker learns of the work through
    /// the `invited` of [`next`](Self::next), or in its last look before it sleeps.
    #[inline]
    pub fn invite(&self) {
        let now = self.counts.after_fence();
        if now.sleeping() > 0 && now.searching() == 0 {
            self.wake_one(notice::NOTIFIED);
        }
    }

    /// Returns whether [`invite`](Self::invite) would wake a worker now: one sleeps, and none searches. A caller that makes the work
    /// visible, then a sequentially consistent fence, and then asks, need not invite if this is `false`.
    #[must_use]
    #[inline]
    pub fn can_invite(&self) -> bool {
        // The caller has made a fence. ThreadSanitizer sees none but those of the counts.
        let now = if cfg!(moirai_tsan) { self.counts.after_fence() } else { self.counts.now() };
        now.sleeping() > 0 && now.searching() == 0
    }

    /// Returns the handle that wakes worker `worker` while it [rests](Self::rest).
    ///
    /// # Panics
    ///
    /// If there is no such worker.
    #[must_use]
    pub fn unparker(&self, worker: usize) -> Unparker {
        self.slots[worker].unparker.clone()
    }

    /// Wakes every sleeping worker, so that it calls its `stop` and looks for work. To stop the workers, make `stop` return `true`
    /// first.
    pub fn wake_all(&self) {
        let stopped = {
            let mut list = lock_patiently(&self.list);
            self.counts.withdraw_all();
            for &worker in list.iter() {
                // Ordering: Release pairs with the Acquire load in `Announced::is_notified`.
                self.slots[worker].notice.store(notice::STOPPED, Ordering::Release);
            }
            std::mem::replace(&mut *list, VecDeque::with_capacity(self.slots.len()))
        };
        for worker in stopped {
            self.unpark(worker);
        }
        // A worker whose sleep is suspended is not in the list, and may be in its hook for long.
        if let Some(unpark) = &self.unpark {
            (0..self.slots.len()).for_each(unpark);
        }
    }

    /// Returns the number of workers that sleep or are about to. Nothing follows from it about the queues.
    #[must_use]
    pub fn sleeping(&self) -> usize {
        self.counts.now().sleeping()
    }

    /// Returns the workers that sleep or are about to, in no order. It takes the lock under which workers go to sleep, for as long as it
    /// takes to copy their numbers.
    #[must_use]
    pub fn asleep(&self) -> Vec<usize> {
        lock_patiently(&self.list).iter().copied().collect()
    }

    /// Returns the number of workers that have nothing to do: those that sleep, and those that search. Nothing follows from it
    /// about the queues.
    #[must_use]
    pub fn idle(&self) -> usize {
        let now = self.counts.now();
        now.sleeping() + now.searching()
    }

    /// Returns the number of workers that are searching. Nothing follows from it about the queues.
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

    /// Wakes worker `worker` if it is in the list, and otherwise makes the searching workers look again (rule 9).
    #[cold]
    fn wake_this(&self, worker: usize) {
        if !self.wake_if_listed(worker) {
            self.recheck();
        }
    }

    /// Wakes worker `worker` if it is in the list. Returns whether it was.
    pub(super) fn wake_if_listed(&self, worker: usize) -> bool {
        {
            let mut list = lock_patiently(&self.list);
            let Some(at) = list.iter().rposition(|&other| other == worker) else {
                return false;
            };
            let _ = list.remove(at);
            self.counts.claim_this_sleeper();
            // Ordering: Release pairs with the Acquire load in `Announced::is_notified`.
            self.slots[worker].notice.store(notice::NOTIFIED, Ordering::Release);
        }
        self.unpark(worker);
        true
    }

    /// Unparks a worker that was taken from the list.
    fn unpark(&self, worker: usize) {
        self.slots[worker].unparker.unpark();
        if let Some(unpark) = &self.unpark {
            unpark(worker);
        }
    }

    /// Makes the spinning workers look once more: the one that the work was pushed for may be among them.
    #[inline]
    fn recheck(&self) {
        if self.counts.now().searching() > 0 {
            let _ = self.counts.add_pending_wake();
        }
    }

    /// Wakes the first worker of the list with `notice`, unless none is sleeping or a searching one can be left with the wake-up
    /// (rule 2).
    pub(super) fn wake_one(&self, notice: u8) {
        let notified = {
            let mut list = lock_patiently(&self.list);
            if !self.counts.claim_sleeper() {
                return;
            }
            let Some(worker) = list.pop_back() else {
                unreachable!("the list is as long as the counts say")
            };
            // Ordering: Release pairs with the Acquire load in `Announced::is_notified`.
            self.slots[worker].notice.store(notice, Ordering::Release);
            worker
        };
        self.unpark(notified);
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
