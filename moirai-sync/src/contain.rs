//! Foreign code that may panic: wakers and callbacks.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs foreign code, and ends its panic here. The panic hook has reported it by then.
///
/// Whoever calls this wakes others in a loop, or runs inside a destructor: unwinding would skip the rest, or abort.
pub(crate) fn contain(foreign: impl FnOnce()) {
    // loom reports what a model found by panicking on the model's own threads: that must not end here.
    if cfg!(moirai_loom) {
        return foreign();
    }
    if let Err(payload) = catch_unwind(AssertUnwindSafe(foreign)) {
        // A payload may panic as it is dropped. What it panics with then is forgotten, or there would be no end to it.
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(again);
        }
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::contain;

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::panic_any("a payload that panics as it is dropped");
        }
    }

    #[test]
    fn a_panic_ends_here_also_if_its_payload_panics() {
        contain(|| panic!("expected by the test"));
        contain(|| std::panic::panic_any(Bomb));
    }
}
