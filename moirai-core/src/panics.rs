//! Containing the panics of user code where they must not spread: wakers, destructors, callbacks, plugins.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::Panic;

/// Calls `foreign` and contains its panic, if it panics. Returns the panic's message, cut to
/// [`MAX_MESSAGE_BYTES`](crate::text::MAX_MESSAGE_BYTES) bytes. The panic hook has run by then.
///
/// Use it where unwinding would skip work that others rely on, such as waking the rest of a list of wakers, or would abort the
/// process because a destructor is running.
///
/// Under `--cfg moirai_loom` the panic is not contained, because loom reports the errors of a model by panicking on the model's
/// threads.
///
/// ```
/// use moirai_core::panics::contain;
/// assert_eq!(contain(|| ()), None);
/// assert_eq!(contain(|| panic!("on fire")).as_deref(), Some("on fire"));
/// ```
#[inline]
pub fn contain(foreign: impl FnOnce()) -> Option<Arc<str>> {
    if cfg!(moirai_loom) {
        foreign();
        return None;
    }
    let outer = DEPTH.with(|depth| depth.replace(depth.get() + 1));
    let message = catch_unwind(AssertUnwindSafe(foreign)).err().map(|payload| {
        let message = Panic::message_of(&*payload);
        dispose(payload);
        message
    });
    DEPTH.with(|depth| depth.set(outer));
    message
}

thread_local! {
    /// The number of calls of [`contain`] that the thread is inside of.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Returns whether the calling thread is inside of a call of [`contain`], and so runs code that may not know what its caller is about.
///
/// ```
/// use moirai_core::panics::{contain, is_contained};
/// assert!(!is_contained());
/// contain(|| assert!(is_contained()));
/// assert!(!is_contained());
/// ```
#[must_use]
pub fn is_contained() -> bool {
    DEPTH.with(Cell::get) > 0
}

/// Drops the payload of a panic. If its destructor panics as well, the second payload is dropped in the same way. A third one is
/// leaked, because this could go on without end.
fn dispose(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload)))
        && let Err(third) = catch_unwind(AssertUnwindSafe(|| drop(second)))
    {
        std::mem::forget(third);
    }
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::contain;

    /// Panics when it is dropped, with a payload that does the same.
    struct Bomb(u32);

    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::panic_any(Bomb(self.0 + 1));
        }
    }

    #[test]
    fn a_panic_ends_here_even_if_its_payload_panics_again_and_again() {
        assert_eq!(
            contain(|| panic!("expected by the test")).as_deref(),
            Some("expected by the test")
        );
        let message = contain(|| std::panic::panic_any(Bomb(0)));
        assert_eq!(message.as_deref(), Some("a payload that is not a string"));
    }
}
