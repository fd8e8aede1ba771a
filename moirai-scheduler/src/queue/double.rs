//! The double that loom sees in place of crossbeam's queues.
//!
//! It has the same indices, moved by the same kinds of operations, without what makes the real queues grow. Rules:
//!
//! 1. A cell is written once, before `back` moves past it: in a deque by the owner, in an injector under its lock.
//! 2. A cell is read once, by the thread that moved `front` past it, and only after that.
//! 3. No cell is used a second time, so no other thread can overtake a slow reader. A queue holds [`CAPACITY`] tasks in its life
//!    and panics at the next one, which suits models and short tests.
//!
//! Where crossbeam is free to take more or less, the double does what is harder on its users: a batch from the injector takes
//! everything, as crossbeam's does at the end of a block, so that nothing is left behind for a second thread to find. Moving
//! `front` releases nothing and comes with no fence, because no cell is used again; so users can rely on no more of it than its
//! order. Where crossbeam makes thieves wait for a task that is still being written, the double makes pushing threads wait: loom
//! cannot explore several loops that wait for each other.

use std::cell::Cell;
use std::marker::PhantomData;

use moirai_core::shim::cell::UnsafeCell;
use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering};
use moirai_core::shim::sync::{Arc, Mutex};

/// The number of tasks that a queue can hold in its life.
pub(crate) const CAPACITY: usize = if cfg!(moirai_loom) { 4 } else { 64 };

struct Ring<T> {
    front: AtomicUsize,
    back: AtomicUsize,
    cells: [UnsafeCell<Option<T>>; CAPACITY],
}

// SAFETY: A cell goes from its one writer to its one reader (rules 1 and 2). So tasks move between threads, which `T: Send` allows,
// and are never shared.
unsafe impl<T: Send> Sync for Ring<T> {}
// SAFETY: As above. A ring that is sent to another thread takes its tasks with it, which `T: Send` allows.
unsafe impl<T: Send> Send for Ring<T> {}

impl<T> Ring<T> {
    fn new() -> Self {
        Self {
            front: AtomicUsize::new(0),
            back: AtomicUsize::new(0),
            cells: std::array::from_fn(|_| UnsafeCell::new(None)),
        }
    }

    /// Writes a cell.
    ///
    /// # Safety
    ///
    /// The caller is the only thread that may write the cell, and `back` has not moved past it (rule 1).
    unsafe fn write(&self, index: usize, task: T) {
        self.cells[index].with_mut(|cell| {
            // SAFETY: By the promise of the caller no other thread writes the cell, and no thread reads it before it is published.
            unsafe { *cell = Some(task) }
        });
    }

    /// Reads a cell.
    ///
    /// # Safety
    ///
    /// The caller has moved `front` past the cell (rule 2), and reads it once.
    unsafe fn read(&self, index: usize) -> T {
        self.cells[index]
            .with_mut(|cell| {
                // SAFETY: By the promise of the caller no other thread reads the cell, and by rule 3 no thread writes it again.
                unsafe { (*cell).take() }
            })
            .expect("a cell is read once, after it was written")
    }

    fn len(&self) -> usize {
        // Ordering: Relaxed for `front`, see the head of the file. Acquire for `back` pairs with the Release store in `extend`, as
        // in `advance`.
        let front = self.front.load(Ordering::Relaxed);
        let back = self.back.load(Ordering::Acquire);
        back.saturating_sub(front)
    }

    /// Pushes several tasks, which become visible at once.
    ///
    /// # Safety
    ///
    /// The caller is the only thread that may push.
    unsafe fn extend(&self, tasks: impl Iterator<Item = T>) {
        // Ordering: Relaxed, because only the thread that may push writes it.
        let mut back = self.back.load(Ordering::Relaxed);
        for task in tasks {
            // SAFETY: The caller is the only thread that may write the cell, and `back` has not moved past it yet.
            unsafe { self.write(back, task) };
            back += 1;
        }
        // Ordering: Release pairs with the Acquire load in `advance`: the cells are written.
        self.back.store(back, Ordering::Release);
    }

    /// Moves `front` past as many tasks as `batch` wants of those that are there, and returns the range of cells that the caller
    /// may now read.
    fn advance(&self, batch: impl Fn(usize) -> usize) -> Option<std::ops::Range<usize>> {
        loop {
            // Ordering: Relaxed, see the head of the file.
            let front = self.front.load(Ordering::Relaxed);
            // Ordering: Acquire pairs with the Release store of `back` in `extend`: the cells before it are written.
            let back = self.back.load(Ordering::Acquire);
            let len = back.saturating_sub(front);
            if len == 0 {
                return None;
            }
            let end = front + batch(len);
            // Ordering: Relaxed. The exchange makes the cells the caller's; their contents were acquired with `back`.
            if self.front.compare_exchange(front, end, Ordering::Relaxed, Ordering::Relaxed).is_ok()
            {
                return Some(front..end);
            }
        }
    }
}

/// The owner's side of a FIFO queue.
pub(crate) struct Worker<T> {
    ring: Arc<Ring<T>>,
    /// Only one thread at a time is the owner.
    not_sync: PhantomData<Cell<()>>,
}

/// The side of a FIFO queue from which any thread may take.
pub(crate) struct Stealer<T>(Arc<Ring<T>>);

/// A FIFO queue to which any thread may push, and from which any thread may take.
pub(crate) struct Injector<T> {
    ring: Ring<T>,
    /// Held by the thread that pushes.
    pushing: Mutex<()>,
}

impl<T> Worker<T> {
    pub(crate) fn new() -> Self {
        Self { ring: Arc::new(Ring::new()), not_sync: PhantomData }
    }

    /// The double takes the oldest first also here: models are about who takes a task, not about the order.
    #[cfg(moirai_loom)]
    pub(crate) fn newest_first() -> Self {
        Self::new()
    }

    pub(crate) fn stealer(&self) -> Stealer<T> {
        Stealer(Arc::clone(&self.ring))
    }

    pub(crate) fn push(&self, task: T) {
        self.extend(std::iter::once(task));
    }

    pub(crate) fn pop(&self) -> Option<T> {
        let taken = self.ring.advance(|_| 1)?;
        // SAFETY: `advance` moved `front` past this cell, for this thread.
        Some(unsafe { self.ring.read(taken.start) })
    }

    fn extend(&self, tasks: impl Iterator<Item = T>) {
        // SAFETY: Each deque has one `Worker`, and it is not shared between threads.
        unsafe { self.ring.extend(tasks) };
    }
}

impl<T> Stealer<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn steal(&self) -> Option<T> {
        let taken = self.0.advance(|_| 1)?;
        // SAFETY: As in `Worker::pop`.
        Some(unsafe { self.0.read(taken.start) })
    }

    pub(crate) fn steal_batch_and_pop(&self, into: &Worker<T>) -> Option<T> {
        let taken = self.0.advance(|len| len.div_ceil(2))?;
        // SAFETY: As in `Worker::pop`.
        let first = unsafe { self.0.read(taken.start) };
        into.extend((taken.start + 1..taken.end).map(|index| {
            // SAFETY: As in `Worker::pop`.
            unsafe { self.0.read(index) }
        }));
        Some(first)
    }
}

impl<T> Injector<T> {
    pub(crate) fn new() -> Self {
        Self { ring: Ring::new(), pushing: Mutex::new(()) }
    }

    pub(crate) fn push(&self, task: T) {
        let _pushing = self.pushing.lock();
        // SAFETY: Only the thread that holds the lock pushes.
        unsafe { self.ring.extend(std::iter::once(task)) };
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ring.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.ring.len()
    }

    pub(crate) fn steal(&self) -> Option<T> {
        let taken = self.ring.advance(|_| 1)?;
        // SAFETY: `advance` moved `front` past this cell, for this thread.
        Some(unsafe { self.ring.read(taken.start) })
    }

    pub(crate) fn steal_batch_and_pop(&self, into: &Worker<T>) -> Option<T> {
        let taken = self.ring.advance(|len| len)?;
        // SAFETY: `advance` moved `front` past these cells, for this thread.
        let first = unsafe { self.ring.read(taken.start) };
        into.extend((taken.start + 1..taken.end).map(|index| {
            // SAFETY: As above.
            unsafe { self.ring.read(index) }
        }));
        Some(first)
    }
}
