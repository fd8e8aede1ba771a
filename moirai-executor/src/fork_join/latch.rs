//! Waiting for what others do. Rule 6 of the [module](super).

use std::time::{Duration, Instant};

use moirai_sync::{Parker, Unparker};

/// Something that happens once, and of which one thread is told.
pub(crate) trait Latch {
    /// Whether it has is_set.
    fn is_set(&self) -> bool;

    /// Says whom to wake when it happens. If it has is_set already, nobody is woken.
    fn set_waker(&self, unparker: Unparker);

    /// Takes back who is to be woken.
    fn clear_waker(&self);
}

/// How long a wait looks for pieces before it sleeps: about as long as it takes to put a thread to sleep and to wake it.
const SPIN_FOR: Duration = Duration::from_micros(60);

/// How far a wait has come.
pub(crate) struct WaitState {
    since: Option<Instant>,
    /// What the last look at the shared_jobs has seen, in vain.
    pub(crate) seen: Option<usize>,
    /// Whether the next sleep is without a seat.
    pub(crate) hand_off: bool,
}

impl WaitState {
    pub(crate) const fn new() -> Self {
        Self { since: None, seen: None, hand_off: false }
    }

    /// Whether it is too early to sleep.
    pub(crate) fn keeps_spinning(&mut self) -> bool {
        // A model needs no second look before it sleeps.
        !cfg!(moirai_loom) && self.since.get_or_insert_with(Instant::now).elapsed() < SPIN_FOR
    }
}

/// Sleeps until the latch has is_set.
pub(crate) fn park_until_set(latch: &impl Latch) {
    let parker = Parker::new();
    latch.set_waker(parker.unparker());
    while !latch.is_set() {
        parker.park();
    }
}
