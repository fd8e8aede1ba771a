//! Calling the hook in which idle workers sleep.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use moirai_core::ParkHook;

use crate::panics::{self, log};

/// The hook in which idle workers sleep.
#[derive(Clone)]
pub(crate) struct HookHost(Arc<Hosted>);

struct Hosted {
    /// There until the drop.
    hook: Option<Arc<dyn ParkHook>>,
    /// Whether it has panicked. Then no worker sleeps in it any more.
    broken: AtomicBool,
}

impl HookHost {
    pub(crate) fn new(hook: Arc<dyn ParkHook>) -> Self {
        Self(Arc::new(Hosted { hook: Some(hook), broken: AtomicBool::new(false) }))
    }

    /// Tells the hook how many workers there are.
    pub(crate) fn start(&self, workers: usize) {
        self.contain("start", |hook| hook.start(workers));
    }

    /// Blocks in the hook. Returns `false` if it did not, because the hook has panicked.
    pub(crate) fn park(&self, worker: usize) -> bool {
        // Ordering: Relaxed: the flag protects nothing.
        if self.0.broken.load(Ordering::Relaxed) {
            return false;
        }
        self.contain("park", |hook| hook.park(worker));
        true
    }

    /// Wakes a worker that is in the hook, or will be.
    pub(crate) fn unpark(&self, worker: usize) {
        self.contain("unpark", |hook| hook.unpark(worker));
    }

    /// Drives the hook without waiting, unless another thread drives it. `before` is called before the hook is. Returns whether it was.
    pub(crate) fn poll_if_undriven(&self, before: impl FnOnce()) -> bool {
        let undriven = self.is_undriven();
        if undriven {
            before();
            self.contain("poll", |hook| hook.poll());
        }
        undriven
    }

    /// Returns whether the hook waits to be driven.
    pub(crate) fn is_undriven(&self) -> bool {
        let mut driven = false;
        // Ordering: Relaxed: the flag protects nothing.
        if !self.0.broken.load(Ordering::Relaxed) {
            self.contain("is_driven", |hook| driven = hook.is_driven());
        }
        // The call may have broken it.
        !driven && !self.0.broken.load(Ordering::Relaxed)
    }

    fn contain(&self, call: &str, f: impl FnOnce(&dyn ParkHook)) {
        let Some(hook) = self.0.hook.as_deref() else { return };
        if let Some(message) = panics::contain(|| f(hook))
            // Ordering: Relaxed: the flag protects nothing.
            && !self.0.broken.swap(true, Ordering::Relaxed)
        {
            log!(error, call, panic = &*message, "a park hook panicked, and is not used any more");
        }
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        let hook = self.hook.take();
        if let Some(message) = panics::contain(|| drop(hook)) {
            log!(error, panic = &*message, "the destructor of a park hook panicked");
        }
    }
}

impl fmt::Debug for HookHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookHost").finish_non_exhaustive()
    }
}
