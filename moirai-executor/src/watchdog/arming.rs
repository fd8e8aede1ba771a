//! Whether the watchdog thread looks, or sleeps because nothing runs. Rules 1 and 2 of the [module](super).

use moirai_core::shim::sync::atomic::{AtomicBool, Ordering, fence};

#[cfg(all(test, moirai_loom))]
mod loom;

/// Rules 1 and 2.
pub(crate) struct Arming(AtomicBool);

impl Arming {
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Rule 2: whether the thread has to be woken, for a worker that has made visible that it is busy.
    #[inline]
    pub(crate) fn is_to_wake(&self) -> bool {
        // Ordering: SeqCst pairs with the fence in `disarm`: see the module.
        fence(Ordering::SeqCst);
        // Ordering: Relaxed: the fence.
        !self.0.load(Ordering::Relaxed)
    }

    /// Under the lock.
    pub(crate) fn arm(&self) {
        // Ordering: Relaxed: who sees it a little late arms once more.
        self.0.store(true, Ordering::Relaxed);
    }

    /// Rule 1: clears it, and says whether it stays so. Under the lock.
    pub(crate) fn disarm(&self, all_idle: impl FnOnce() -> bool) -> bool {
        // Ordering: Relaxed: the fence that follows.
        self.0.store(false, Ordering::Relaxed);
        // Ordering: SeqCst pairs with the fence in `is_to_wake`: see the module.
        fence(Ordering::SeqCst);
        let stays = all_idle();
        if !stays {
            self.arm();
        }
        stays
    }
}
