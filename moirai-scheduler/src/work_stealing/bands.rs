//! The bands: queues for the tasks that are not [`Normal`](Priority::Normal), and the bounds within which they go first or last.
//!
//! # The count
//!
//! A worker that has only normal tasks must not pay for the bands, so it reads a single number, which no thread writes while there
//! are only normal tasks.
//!
//! 1. `elevated` is incremented *before* a task is pushed to the critical or the high band, and decremented *after* the task was
//!    taken out. So it is never less than the number of tasks in these bands.
//! 2. A `pop` that comes after a push, by happens-before or by the fences of rule 2 of the contract, reads a number that includes
//!    that push. The push is subtracted only once its task has been handed out. So no task is missed because of a stale zero.
//! 3. A number that is too high for a moment costs a search in two empty queues.

use crossbeam_utils::CachePadded;
use moirai_core::Priority;
use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering};

use crate::queue::Injector;

/// The number of critical and high tasks that a worker takes in a row while a normal or a low one waits.
pub const ELEVATED_RUN: u32 = 16;

/// One in this many critical and high tasks that a worker takes is the oldest high one, if one waits.
pub const HIGH_EVERY: u32 = 8;

/// Once in this many times that it looks for a task, a worker looks in the low band first.
pub const LOW_EVERY: u32 = 64;

/// The bands.
pub(crate) struct Bands<T> {
    /// The number of tasks in the critical and the high band, or on their way in or out.
    elevated: CachePadded<AtomicUsize>,
    critical: Injector<T>,
    high: Injector<T>,
    low: Injector<T>,
}

/// A priority that has a band.
#[derive(Clone, Copy)]
pub(super) enum Band {
    Critical,
    High,
    Low,
}

impl Band {
    /// Returns the band of a priority, or `None` for `Normal`.
    #[inline]
    pub(super) const fn of(priority: Priority) -> Option<Self> {
        match priority {
            Priority::Critical => Some(Self::Critical),
            Priority::High => Some(Self::High),
            Priority::Normal => None,
            Priority::Low => Some(Self::Low),
        }
    }
}

impl<T> Bands<T> {
    pub(super) fn new() -> Self {
        Self {
            elevated: CachePadded::new(AtomicUsize::new(0)),
            critical: Injector::new(),
            high: Injector::new(),
            low: Injector::new(),
        }
    }

    pub(super) fn push(&self, task: T, band: Band) {
        let queue = match band {
            Band::Low => return self.low.push(task),
            Band::High => &self.high,
            Band::Critical => &self.critical,
        };
        // Ordering: Relaxed, because what orders this before the load of a `pop` is what orders the push itself (rule 2).
        self.elevated.fetch_add(1, Ordering::Relaxed);
        queue.push(task);
    }

    /// Returns `false` if there are no critical or high tasks. There may be none even if it returns `true` (rule 3).
    #[inline]
    pub(crate) fn has_elevated(&self) -> bool {
        // Ordering: Relaxed, because what orders the push orders this load, too (rule 2).
        self.elevated.load(Ordering::Relaxed) != 0
    }

    /// Takes a critical task, or else a high one; the other way round if `high_first`.
    pub(crate) fn take_elevated(&self, high_first: bool) -> Option<T> {
        let task = if high_first {
            self.high.steal().or_else(|| self.critical.steal())
        } else {
            self.critical.steal().or_else(|| self.high.steal())
        };
        if task.is_some() {
            // Ordering: Relaxed. Through the queue, it follows the increment for this very task (rule 1), so the number never
            // wraps.
            self.elevated.fetch_sub(1, Ordering::Relaxed);
        }
        task
    }

    pub(crate) fn take_low(&self) -> Option<T> {
        if self.low.is_empty() {
            return None;
        }
        self.low.steal()
    }

    /// Returns `true` if a low task waits.
    #[inline]
    pub(crate) fn has_low(&self) -> bool {
        !self.low.is_empty()
    }

    /// Returns whether a critical task waits, and whether a high one does.
    pub(crate) fn elevated(&self) -> [bool; 2] {
        [!self.critical.is_empty(), !self.high.is_empty()]
    }

    pub(super) fn len(&self) -> usize {
        self.critical.len() + self.high.len() + self.low.len()
    }
}
