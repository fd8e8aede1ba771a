//! Latches, and the state of a wait for one (rule 6 of the [module](super)).

use std::time::{Duration, Instant};

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

/// How long a wait looks for jobs before it sleeps: about as long as it takes to put a thread to sleep and to wake it.
const SPIN_FOR: Duration = Duration::from_micros(60);

/// How far a wait has come.
pub(crate) struct WaitState {
    since: Option<Instant>,
    /// The version of the shared jobs at the last look without success.
    pub(crate) seen: Option<usize>,
    /// Whether the next sleep hands off the core.
    pub(crate) hand_off: bool,
}

impl WaitState {
    pub(crate) const fn new() -> Self {
        Self { since: None, seen: None, hand_off: false }
    }

    /// Returns whether it is too early to sleep.
    pub(crate) fn keeps_spinning(&mut self) -> bool {
        // A model sleeps at once: looking twice would only add interleavings.
        !cfg!(moirai_loom) && self.since.get_or_insert_with(Instant::now).elapsed() < SPIN_FOR
    }
}

/// Sleeps until the latch is set.
pub(crate) fn park_until_set(latch: &impl Latch) {
    let parker = Parker::new();
    latch.set_waker(parker.unparker());
    while !latch.is_set() {
        parker.park();
    }
}
