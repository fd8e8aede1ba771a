//! How the parts of one call learn that one of them has panicked.

use std::sync::atomic::{AtomicBool, Ordering};

/// Notes a panic on drop. It is forgotten if there was none.
pub(crate) struct NotesPanic<'a>(pub(crate) &'a AtomicBool);

impl Drop for NotesPanic<'_> {
    fn drop(&mut self) {
        // Ordering: Relaxed: whoever loads it takes it as a hint.
        self.0.store(true, Ordering::Relaxed);
    }
}
