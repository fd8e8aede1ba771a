//! Mailboxes: closures that one worker alone may run.

use std::collections::VecDeque;

use crossbeam_utils::CachePadded;
use moirai_core::shim::sync::Mutex;
use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering};
use moirai_sync::{Parker, Unparker};

use crate::fork_join::latch::Latch;
use crate::runtime::wait_id::WaitId;

#[cfg(all(test, moirai_loom))]
mod loom;

/// A mailbox for each worker of an executor.
///
/// Posting is a push in the sense of the scheduler's contract: the caller then notifies the worker, which makes a fence. A worker that
/// is about to sleep announces it, makes a fence, and looks. So it sees what was posted, or is woken.
#[derive(Debug)]
pub(crate) struct Mailboxes<T> {
    /// The number of waits in all mailboxes.
    waits: AtomicUsize,
    boxes: Box<[CachePadded<Mailbox<T>>]>,
}

#[derive(Debug)]
struct Mailbox<T> {
    /// A copy of the number of posts, which is read without the lock.
    posts: AtomicUsize,
    queue: Mutex<VecDeque<T>>,
    /// Wakes a thread that waits as the worker, with its core and not among the sleepers.
    waiter: Mutex<Option<Unparker>>,
    /// What the worker waits for in other executors, outermost first.
    waits: Mutex<Vec<WaitId>>,
}

impl<T> Mailboxes<T> {
    pub(crate) fn new(workers: usize) -> Self {
        let mailbox = || Mailbox {
            posts: AtomicUsize::new(0),
            queue: Mutex::new(VecDeque::new()),
            waiter: Mutex::new(None),
            waits: Mutex::new(Vec::new()),
        };
        Self {
            waits: AtomicUsize::new(0),
            boxes: (0..workers).map(|_| CachePadded::new(mailbox())).collect(),
        }
    }

    /// Posts to a worker. The caller must notify it.
    pub(crate) fn post(&self, worker: usize, post: T) {
        self.boxes[worker].with(|queue| queue.push_back(post));
        self.wake_waiter(worker);
    }

    /// Wakes the thread that waits as a worker. A thread sets its waiter, under a lock that is taken here too, before it looks for what
    /// wakes it. So either it sees what the caller has done before, or this wakes it.
    pub(crate) fn wake_waiter(&self, worker: usize) {
        let waiter = self.boxes[worker].waiter.lock().clone();
        if let Some(waiter) = waiter {
            waiter.unpark();
        }
    }

    /// Sleeps as a worker, with its core and not among the sleepers, until the latch is set or `wakes` holds. Whoever makes it hold
    /// posts to the worker, or calls [`wake_waiter`](Self::wake_waiter) afterwards. `ready` is called before the first look.
    pub(crate) fn park(
        &self,
        worker: usize,
        latch: &impl Latch,
        ready: impl FnOnce(),
        wakes: impl Fn() -> bool,
    ) {
        let parker = Parker::new();
        *self.boxes[worker].waiter.lock() = Some(parker.unparker());
        latch.set_waker(parker.unparker());
        ready();
        while !latch.is_set() && !wakes() {
            parker.park();
        }
        latch.clear_waker();
        *self.boxes[worker].waiter.lock() = None;
    }

    /// Returns whether there is a post for a worker that fits.
    pub(crate) fn has_fitting(&self, worker: usize, fits: impl Fn(&T) -> bool) -> bool {
        self.has_post(worker) && self.boxes[worker].queue.lock().iter().any(fits)
    }

    /// Takes the oldest post for a worker that fits.
    pub(crate) fn take_fitting(&self, worker: usize, fits: impl Fn(&T) -> bool) -> Option<T> {
        if !self.has_post(worker) {
            return None;
        }
        self.boxes[worker].with(|queue| queue.remove(queue.iter().position(fits)?))
    }

    /// Returns whether there is a post for a worker. Exact for a caller that asks after its fence.
    #[inline]
    pub(crate) fn has_post(&self, worker: usize) -> bool {
        // Ordering: Relaxed: the fence of the worker comes before this load, and that of the notification after the store in `with`.
        self.boxes[worker].posts.load(Ordering::Relaxed) > 0
    }

    /// Takes the oldest post for a worker.
    #[inline]
    pub(crate) fn take(&self, worker: usize) -> Option<T> {
        if !self.has_post(worker) {
            return None;
        }
        self.boxes[worker].with(VecDeque::pop_front)
    }

    /// Notes that a worker waits for something in another executor, until [`end_wait`](Self::end_wait). Waits end in reverse order.
    pub(crate) fn begin_wait(&self, worker: usize, wait: WaitId) {
        // Ordering: Relaxed: a caller that is a part of the wait began after this, in a task that was queued after this.
        self.waits.fetch_add(1, Ordering::Relaxed);
        self.boxes[worker].waits.lock().push(wait);
    }

    /// Notes that the latest wait of a worker is over, and calls `forget` with each of its posts: what belonged to this wait belongs to
    /// none from here on. A later wait may have the same address.
    pub(crate) fn end_wait(&self, worker: usize, forget: impl FnMut(&mut T)) {
        self.boxes[worker].waits.lock().pop();
        // Ordering: Relaxed: nobody that is a part of the wait is left.
        self.waits.fetch_sub(1, Ordering::Relaxed);
        self.boxes[worker].queue.lock().iter_mut().for_each(forget);
    }

    /// Returns whether any worker waits for something in another executor, as far as one that is a part of that needs to know.
    #[inline]
    pub(crate) fn has_waits(&self) -> bool {
        // Ordering: Relaxed: see `begin_wait`.
        self.waits.load(Ordering::Relaxed) > 0
    }

    /// Returns a worker that waits for something of which `is_part` says that the caller is a part, and the innermost such wait.
    pub(crate) fn waiting_for(&self, is_part: impl Fn(WaitId) -> bool) -> Option<(usize, WaitId)> {
        self.boxes.iter().enumerate().find_map(|(worker, mailbox)| {
            let waits = mailbox.waits.lock();
            let wait = waits.iter().rev().find(|wait| is_part(**wait))?;
            Some((worker, *wait))
        })
    }

    /// Takes a post for any worker, when there are no workers any more.
    pub(crate) fn take_any(&self) -> Option<T> {
        self.boxes.iter().find_map(|mailbox| mailbox.with(VecDeque::pop_front))
    }

    /// The number of posts that no worker has taken yet.
    pub(crate) fn len(&self) -> usize {
        // Ordering: Relaxed: nothing follows from it.
        self.boxes.iter().map(|mailbox| mailbox.posts.load(Ordering::Relaxed)).sum()
    }
}

impl<T> Mailbox<T> {
    fn with<R>(&self, f: impl FnOnce(&mut VecDeque<T>) -> R) -> R {
        let mut queue = self.queue.lock();
        let result = f(&mut queue);
        // Ordering: Relaxed: see `has_post`.
        self.posts.store(queue.len(), Ordering::Relaxed);
        result
    }
}
