//! Calling code that may panic where a panic must not spread: wakers, destructors, callbacks, plugins.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::Panic;

/// Calls `foreign` and ends its panic here, if there is one. Returns the panic's message, cut to
/// [`MAX_MESSAGE_BYTES`](crate::text::MAX_MESSAGE_BYTES); the panic hook has reported the panic by then.
///
/// Use it where unwinding would skip work that is owed to others, such as the rest of a list of wakers, or would abort the process
/// because a destructor is running.
///
/// Under `--cfg moirai_loom` a panic passes through, because loom reports what a model found by panicking on the model's threads.
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
    let payload = catch_unwind(AssertUnwindSafe(foreign)).err()?;
    let message = Panic::message_of(&*payload);
    dispose(payload);
    Some(message)
}

/// Drops the payload of a panic. If its destructor panics too, the second payload is dropped in the same way; a third is leaked, or
/// there would be no end to it.
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

    /// Panics as it is dropped, with a payload that does the same.
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
