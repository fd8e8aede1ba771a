//! How the fork-join work of a cancelled task stops: it unwinds, with a payload that the task's cell recognizes.

use std::any::Any;
use std::panic::resume_unwind;

/// The payload of that unwinding.
struct CancelledPayload;

/// Unwinds, without calling the panic hook.
#[cold]
#[inline(never)]
pub(crate) fn unwind_cancelled() -> ! {
    resume_unwind(Box::new(CancelledPayload))
}

/// Returns whether a payload is that of cancelled fork-join work.
pub(crate) fn is_cancelled(payload: &(dyn Any + Send)) -> bool {
    payload.is::<CancelledPayload>()
}
