//! Waiting for what others do. Rule 6 of the [module](super).

use std::time::{Duration, Instant};

use moirai_sync::{Parker, Unparker};

/// Something that happens once, and of which one thread is told.
pub(crate) trait Event {
    /// Whether it has happened.
    fn has_happened(&self) -> bool;

    /// Says whom to wake when it happens. If it has happened already, nobody is woken.
    fn arm(&self, unparker: Unparker);

    /// Takes back who is to be woken.
    fn disarm(&self);
}

/// How long a wait looks for pieces before it sleeps: about as long as it takes to put a thread to sleep and to wake it.
const PATIENCE: Duration = Duration::from_micros(60);

/// How far a wait has come.
pub(crate) struct Wait {
    since: Option<Instant>,
    /// What the last look at the board has seen, in vain.
    pub(crate) seen: Option<usize>,
    /// Whether the next sleep is without a seat.
    pub(crate) hand_on: bool,
}

impl Wait {
    pub(crate) const fn new() -> Self {
        Self { since: None, seen: None, hand_on: false }
    }

    /// Whether it is too early to sleep.
    pub(crate) fn stays_awake(&mut self) -> bool {
        // A model needs no second look before it sleeps.
        !cfg!(moirai_loom) && self.since.get_or_insert_with(Instant::now).elapsed() < PATIENCE
    }
}

/// Sleeps until the event has happened.
pub(crate) fn park_for(event: &impl Event) {
    let parker = Parker::new();
    event.arm(parker.unparker());
    while !event.has_happened() {
        parker.park();
    }
}
