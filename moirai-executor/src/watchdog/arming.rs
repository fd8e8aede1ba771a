//! Whether the progress thread looks, or sleeps because nothing runs. Rules 1 and 2 of the [module](super).

use moirai_core::shim::sync::atomic::{AtomicBool, Ordering, fence};

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

#[cfg(all(test, moirai_loom))]
mod loom_models {
    use super::*;
    use moirai_core::shim::sync::atomic::AtomicUsize;
    use moirai_core::shim::sync::{Arc, Mutex};
    use moirai_core::shim::thread;

    #[test]
    fn loom_progress_disarming_against_a_worker_that_gets_busy() {
        loom::model(|| {
            let arming = Arc::new((Arming::new(), AtomicUsize::new(1), Mutex::new(true)));
            arming.0.arm();
            let worker = thread::spawn({
                let arming = Arc::clone(&arming);
                move || {
                    let (arming, idle, armed) = &*arming;
                    idle.store(0, Ordering::Relaxed);
                    if arming.is_to_wake() {
                        let mut armed = armed.lock();
                        arming.arm();
                        *armed = true;
                    }
                }
            });
            {
                let (arming, idle, armed) = &*arming;
                let mut armed = armed.lock();
                *armed = !arming.disarm(|| idle.load(Ordering::Relaxed) == 1);
            }
            worker.join().unwrap();
            assert!(*arming.2.lock(), "the worker is busy, and nobody looks");
            assert!(!arming.0.is_to_wake());
        });
    }
}
