//! Mailboxes: closures that one worker alone may run.

use std::collections::VecDeque;

use crossbeam_utils::CachePadded;
use moirai_core::shim::sync::Mutex;
use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering};

/// A mailbox for each worker of an executor.
///
/// Posting is a push in the sense of the scheduler's contract: the caller then notifies the worker, which makes a fence. A worker that
/// is about to sleep announces it, makes a fence, and looks. So it sees what was posted, or is woken.
#[derive(Debug)]
pub(crate) struct Mailboxes<T> {
    boxes: Box<[CachePadded<Mailbox<T>>]>,
}

#[derive(Debug)]
struct Mailbox<T> {
    /// A copy of the number of posts, which is read without the lock.
    posts: AtomicUsize,
    queue: Mutex<VecDeque<T>>,
}

impl<T> Mailboxes<T> {
    pub(crate) fn new(workers: usize) -> Self {
        let mailbox = || Mailbox { posts: AtomicUsize::new(0), queue: Mutex::new(VecDeque::new()) };
        Self { boxes: (0..workers).map(|_| CachePadded::new(mailbox())).collect() }
    }

    /// Posts to a worker. The caller must notify it.
    pub(crate) fn post(&self, worker: usize, post: T) {
        self.boxes[worker].with(|queue| queue.push_back(post));
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
