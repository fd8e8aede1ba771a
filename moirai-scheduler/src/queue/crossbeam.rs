//! The queues of crossbeam.

use crossbeam_deque::Steal;

/// The owner's side of a queue, from which it takes the oldest task first, unless it was created otherwise.
pub(crate) struct Worker<T>(crossbeam_deque::Worker<T>);

/// The side of a FIFO queue from which any thread may take.
pub(crate) struct Stealer<T>(crossbeam_deque::Stealer<T>);

/// A FIFO queue to which any thread may push, and from which any thread may take.
pub(crate) struct Injector<T>(crossbeam_deque::Injector<T>);

impl<T> Worker<T> {
    pub(crate) fn new() -> Self {
        Self(crossbeam_deque::Worker::new_fifo())
    }

    /// Creates a queue from which the owner takes the newest task first; thieves take the oldest.
    pub(crate) fn newest_first() -> Self {
        Self(crossbeam_deque::Worker::new_lifo())
    }

    pub(crate) fn stealer(&self) -> Stealer<T> {
        Stealer(self.0.stealer())
    }

    #[inline]
    pub(crate) fn push(&self, task: T) {
        self.0.push(task);
    }

    #[inline]
    pub(crate) fn pop(&self) -> Option<T> {
        self.0.pop()
    }
}

impl<T> Stealer<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn steal(&self) -> Option<T> {
        until_settled(|| self.0.steal())
    }

    /// Takes up to half of the queue: returns the oldest task, and moves the others to `into`.
    pub(crate) fn steal_batch_and_pop(&self, into: &Worker<T>) -> Option<T> {
        until_settled(|| self.0.steal_batch_and_pop(&into.0))
    }
}

impl<T> Injector<T> {
    pub(crate) fn new() -> Self {
        Self(crossbeam_deque::Injector::new())
    }

    pub(crate) fn push(&self, task: T) {
        self.0.push(task);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn steal(&self) -> Option<T> {
        until_settled(|| self.0.steal())
    }

    /// Takes a batch: returns the oldest task, and moves the others to `into`.
    pub(crate) fn steal_batch_and_pop(&self, into: &Worker<T>) -> Option<T> {
        until_settled(|| self.0.steal_batch_and_pop(&into.0))
    }
}

/// Repeats a steal while it loses a race, because a lost race says nothing about whether there is work. The winner got a task, so
/// the system as a whole makes progress.
fn until_settled<T>(mut steal: impl FnMut() -> Steal<T>) -> Option<T> {
    loop {
        match steal() {
            Steal::Success(task) => return Some(task),
            Steal::Empty => return None,
            Steal::Retry => std::hint::spin_loop(),
        }
    }
}
