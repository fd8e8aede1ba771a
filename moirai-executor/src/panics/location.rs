//! Where panics happen, learned from the process's panic hook.

use std::cell::RefCell;
use std::panic;
use std::sync::{Arc, Once};

use moirai_core::text;

thread_local! {
    /// The location of this thread's last panic, until it is taken.
    static LAST: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
}

/// Chains onto the process's panic hook, once. The hook that was there before is still called.
pub(crate) fn capture_locations() {
    static CHAINED: Once = Once::new();
    CHAINED.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if let Some(location) = info.location() {
                let location = location.to_string();
                let location = text::cut(&location, text::MAX_MESSAGE_BYTES).into();
                // A thread that is being torn down has no thread-local storage any more.
                let _ = LAST.try_with(|last| {
                    if let Ok(mut last) = last.try_borrow_mut() {
                        *last = Some(location);
                    }
                });
            }
            previous(info);
        }));
    });
}

/// Takes the location of the panic that this thread has just caught, if locations are captured.
pub(super) fn take() -> Option<Arc<str>> {
    LAST.try_with(|last| last.try_borrow_mut().ok().and_then(|mut last| last.take())).ok().flatten()
}
