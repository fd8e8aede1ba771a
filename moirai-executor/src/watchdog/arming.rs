//! The flag that says whether the watchdog thread looks once a tick, or sleeps because nothing runs: rules 1 and 2 of the [parent
//! module](super).

use moirai_core::shim::sync::atomic::{AtomicBool, Ordering, fence};

#[cfg(all(test, moirai_loom))]
mod loom;

/// Whether the watchdog thread is armed.
pub(crate) struct Arming(AtomicBool);

impl Arming {
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Returns `true` if the watchdog thread must be woken (rule 2). The caller must have made visible before that a worker is
    /// busy.
    #[inline]
    pub(crate) fn is_to_wake(&self) -> bool {
        // Ordering: SeqCst pairs with the fence in `disarm`: either the load below sees that the flag is clear, or `all_idle` there
        // sees the busy worker. With less, neither need be so, and the watchdog thread would sleep while a worker is busy.
        fence(Ordering::SeqCst);
        // Ordering: Relaxed: the fence above orders the load.
        !self.0.load(Ordering::Relaxed)
    }

    /// Arms the watchdog thread. The caller must hold the lock of [`Watchdog::state`](super::shared::Watchdog::state).
    pub(crate) fn arm(&self) {
        // Ordering: Relaxed: a worker that sees the store late only arms once more.
        self.0.store(true, Ordering::Relaxed);
    }

    /// Disarms the watchdog thread, and looks once more (rule 1). Returns `false`, and arms it again, if not all threads are idle.
    ///
    /// The caller must hold the lock of [`Watchdog::state`](super::shared::Watchdog::state).
    pub(crate) fn disarm(&self, all_idle: impl FnOnce() -> bool) -> bool {
        // Ordering: Relaxed: the fence below orders the store.
        self.0.store(false, Ordering::Relaxed);
        // Ordering: SeqCst pairs with the fence in `is_to_wake`: see there.
        fence(Ordering::SeqCst);
        let stays = all_idle();
        if !stays {
            self.arm();
        }
        stays
    }
}
