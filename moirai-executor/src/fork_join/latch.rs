//! Latches: events that a thread waits for (rule 6 of the [module](super)).

use moirai_sync::{Parker, Unparker};

/// An event that happens once, and wakes at most one thread.
pub(crate) trait Latch {
    /// Returns whether the latch is set.
    fn is_set(&self) -> bool;

    /// Sets the thread that is woken when the latch is set. If it is set already, no thread is woken.
    fn set_waker(&self, unparker: Unparker);

    /// Takes back the unparker that was set.
    fn clear_waker(&self);
}

/// Sleeps until the latch is set.
pub(crate) fn park_until_set(latch: &impl Latch) {
    let parker = Parker::new();
    latch.set_waker(parker.unparker());
    while !latch.is_set() {
        parker.park();
    }
}
