//! Containing the panics of user code.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use moirai_core::{Panic, text};

use super::{cancelled, location};

/// What was caught.
pub(crate) enum Caught {
    /// A panic.
    Panic(Panic),
    /// The unwinding of a fork-join whose task was cancelled.
    Cancelled,
}

/// Calls user code. A panic is caught and described, with its place if that is wanted and captured.
#[inline]
pub(crate) fn catch<R>(with_location: bool, f: impl FnOnce() -> R) -> Result<R, Caught> {
    if with_location {
        // That of a panic which was caught elsewhere is not this one's.
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

/// Calls user code that returns nothing, such as a destructor. A panic is caught, and its message returned.
#[inline]
pub(crate) fn message_of(f: impl FnOnce()) -> Option<Arc<str>> {
    let payload = catch_unwind(AssertUnwindSafe(f)).err()?;
    let message = Panic::message_of(&*payload);
    dispose(payload);
    Some(message)
}

/// Both messages, cut to the limit.
pub(crate) fn joined(first: Option<&str>, second: &str) -> Arc<str> {
    match first {
        None => text::cut(second, text::MAX_MESSAGE_BYTES).into(),
        Some(first) => {
            let both = format!("{first}; then a destructor panicked: {second}");
            text::cut(&both, text::MAX_MESSAGE_BYTES).into()
        }
    }
}

/// Drops a panic's payload, whose own destructor may panic, and the payload of that panic too. The third is leaked.
fn dispose(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload)))
        && let Err(third) = catch_unwind(AssertUnwindSafe(|| drop(second)))
    {
        std::mem::forget(third);
    }
}
