//! Containing the panics of user code.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use moirai_core::{Panic, text};

use super::{cancelled, location};

/// What stopped a call.
pub(crate) enum Caught {
    /// A panic.
    Panic(Panic),
    /// The unwinding of fork-join work whose task was cancelled.
    Cancelled,
}

/// Calls user code. A panic is caught and described, with its location if `with_location` is set and locations are captured.
#[inline]
pub(crate) fn catch<R>(with_location: bool, f: impl FnOnce() -> R) -> Result<R, Caught> {
    if with_location {
        // Discards the location of an earlier panic, which was caught elsewhere.
        let _ = location::take();
    }
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        if cancelled::is_cancelled(&*payload) {
            return Caught::Cancelled;
        }
        let location = if with_location { location::take() } else { None };
        Caught::Panic(Panic::new(payload, location))
    })
}

/// Returns both messages as one, cut to the limit.
pub(crate) fn joined(first: Option<&str>, second: &str) -> Arc<str> {
    match first {
        None => text::cut(second, text::MAX_MESSAGE_BYTES).into(),
        Some(first) => {
            let both = format!("{first}; then a destructor panicked: {second}");
            text::cut(&both, text::MAX_MESSAGE_BYTES).into()
        }
    }
}
