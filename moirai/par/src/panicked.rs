//! How the parts of one call learn that one of them has panicked.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a part of one call has panicked.
#[derive(Default)]
pub(crate) struct Panicked(AtomicBool);

impl Panicked {
    /// Returns whether it is known to the calling thread that a part has panicked.
    #[inline]
    pub(crate) fn get(&self) -> bool {
        // Ordering: Relaxed: a hint, which protects nothing.
        self.0.load(Ordering::Relaxed)
    }

    /// Calls `f`, which may panic.
    #[inline]
    pub(crate) fn noting<R>(&self, f: impl FnOnce() -> R) -> R {
        let notes = NotesPanic(&self.0);
        let result = f();
        mem::forget(notes);
        result
    }
}

/// Notes a panic on drop. It is forgotten if there was none.
struct NotesPanic<'a>(&'a AtomicBool);

impl Drop for NotesPanic<'_> {
    fn drop(&mut self) {
        // Ordering: Relaxed: as in `get`.
        self.0.store(true, Ordering::Relaxed);
    }
}
