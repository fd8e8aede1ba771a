//! What loom sees in place of crossbeam's queues.
//!
//! The same indices, moved by the same kinds of operations, without what makes the real ones grow. Rules:
//!
//! 1. A cell is written once, before `back` moves past it: in a deque by the owner, in an injector under its lock.
//! 2. A cell is read once, by whoever moved `front` past it, and only after that.
//! 3. No cell is used a second time, so nothing can overtake a slow reader. A queue holds [`CAPACITY`] tasks in its
//!    life, and panics at the next one, which suits models and short tests.
//!
//! Where crossbeam is free to take more or less, the double does what is harder on its users: a batch from the injector
//! takes everything, as crossbeam's does at the end of a block, so that nothing is left behind for a second thread to
//! find. Moving `front` releases nothing and comes with no fence, because no cell is used again; so users may lean on
//! no more of it than its order. Where crossbeam lets thieves wait for a task that is being written, the double lets
//! those wait who push: loom cannot explore several loops that wait for each other.

use std::cell::Cell;
use std::marker::PhantomData;

use moirai_core::shim::cell::UnsafeCell;
use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering};
use moirai_core::shim::sync::{Arc, Mutex};

/// How many tasks a queue holds in its life.
pub(crate) const CAPACITY: usize = if cfg!(moirai_loom) { 4 } else { 64 };

struct Ring<T> {
    front: AtomicUsize,
    back: AtomicUsize,
    cells: [UnsafeCell<Option<T>>; CAPACITY],
}

// SAFETY: a cell goes from its one writer to its one reader (rules 1 and 2), so tasks move between threads, which `T:
// Send` allows, and are never shared.
unsafe impl<T: Send> Sync for Ring<T> {}
// SAFETY: as above; a ring that moves takes its tasks with it.
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
    /// The caller is the only one who may, and `back` is not past the cell (rule 1).
    unsafe fn write(&self, index: usize, task: T) {
        self.cells[index].with_mut(|cell| {
            // SAFETY: nobody else writes it (the caller's promise), and nobody reads it before it is published.
            unsafe { *cell = Some(task) }
        });
    }

    /// Reads a cell.
    ///
    /// # Safety
    ///
    /// The caller has moved `front` past the cell (rule 2).
    unsafe fn read(&self, index: usize) -> T {
        self.cells[index]
            .with_mut(|cell| {
                // SAFETY: nobody else reads it (the caller's promise), and by rule 3 nobody writes it again.
                unsafe { (*cell).take() }
            })
            .expect("a cell is read once, after it was written")
    }

    fn len(&self) -> usize {
        // Ordering: Relaxed `front`, see the head of the file. Acquire `back`, as in `advance`.
        let front = self.front.load(Ordering::Relaxed);
        let back = self.back.load(Ordering::Acquire);
        back.saturating_sub(front)
    }

    /// Pushes several, which become visible at once.
    ///
    /// # Safety
    ///
    /// The caller is the only one who may push.
    unsafe fn extend(&self, tasks: impl Iterator<Item = T>) {
        // Ordering: Relaxed, only who may push writes it.
        let mut back = self.back.load(Ordering::Relaxed);
        for task in tasks {
            // SAFETY: the caller is the only one who may, and `back` has not moved yet.
            unsafe { self.write(back, task) };
            back += 1;
        }
        // Ordering: Release pairs with the Acquire load in `advance`: the cells are written.
        self.back.store(back, Ordering::Release);
    }

    /// Moves `front` by what `batch` says of the number of tasks there; the range is the caller's to read.
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
            // Ordering: Relaxed. It makes the cells the caller's; what is in them was acquired with `back`.
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
    /// The owner is one thread at a time.
    not_sync: PhantomData<Cell<()>>,
}

/// The side of a FIFO queue that everyone else may take from.
pub(crate) struct Stealer<T>(Arc<Ring<T>>);

/// A FIFO queue that everyone may push to and take from.
pub(crate) struct Injector<T> {
    ring: Ring<T>,
    /// Held by whoever pushes.
    pushing: Mutex<()>,
}

impl<T> Worker<T> {
    pub(crate) fn new() -> Self {
        Self { ring: Arc::new(Ring::new()), not_sync: PhantomData }
    }

    pub(crate) fn stealer(&self) -> Stealer<T> {
        Stealer(Arc::clone(&self.ring))
    }

    pub(crate) fn push(&self, task: T) {
        self.extend(std::iter::once(task));
    }

    pub(crate) fn pop(&self) -> Option<T> {
        let taken = self.ring.advance(|_| 1)?;
        // SAFETY: `advance` moved `front` past this cell.
        Some(unsafe { self.ring.read(taken.start) })
    }

    fn extend(&self, tasks: impl Iterator<Item = T>) {
        // SAFETY: there is one worker for each deque, and it is not shared.
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
        // SAFETY: as in `Worker::pop`.
        Some(unsafe { self.0.read(taken.start) })
    }

    pub(crate) fn steal_batch_and_pop(&self, into: &Worker<T>) -> Option<T> {
        let taken = self.0.advance(|len| len.div_ceil(2))?;
        // SAFETY: as in `Worker::pop`.
        let first = unsafe { self.0.read(taken.start) };
        into.extend((taken.start + 1..taken.end).map(|index| {
            // SAFETY: as in `Worker::pop`.
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
        // SAFETY: whoever holds the lock is the only one who pushes.
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
        // SAFETY: `advance` moved `front` past this cell.
        Some(unsafe { self.ring.read(taken.start) })
    }

    pub(crate) fn steal_batch_and_pop(&self, into: &Worker<T>) -> Option<T> {
        let taken = self.ring.advance(|len| len)?;
        // SAFETY: `advance` moved `front` past these cells.
        let first = unsafe { self.ring.read(taken.start) };
        into.extend((taken.start + 1..taken.end).map(|index| {
            // SAFETY: as above.
            unsafe { self.ring.read(index) }
        }));
        Some(first)
    }
}
