//! The guard of regions that must not unwind.

use std::process::abort;

/// Aborts the process if it is dropped: unwinding would free memory that another thread uses.
///
/// Nothing in such a region is meant to panic, and what users bring is contained there. The guard is for what was overlooked, so
/// that a mistake ends the process and is not undefined behaviour. End the region with [`disarm`](Self::disarm).
///
/// A model does not abort, because loom reports its errors by panicking, and then drops what is on its threads' stacks.
#[must_use]
pub(crate) struct AbortOnUnwind;

impl AbortOnUnwind {
    /// Ends the region.
    #[inline]
    pub(crate) const fn disarm(self) {
        std::mem::forget(self);
    }
}

impl Drop for AbortOnUnwind {
    #[cold]
    #[inline(never)]
    fn drop(&mut self) {
        if !cfg!(moirai_loom) {
            eprintln!("moirai: a panic while other threads use the stack of this one: aborting");
            abort();
        }
    }
}
