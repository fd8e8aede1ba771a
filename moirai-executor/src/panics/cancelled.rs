//! How a cancelled task's fork-join stops: by unwinding, with a payload that the task's cell knows.

use std::any::Any;
use std::panic::resume_unwind;

/// The payload.
struct CancelledPayload;

/// Unwinds, without a message.
#[cold]
#[inline(never)]
pub(crate) fn unwind_cancelled() -> ! {
    resume_unwind(Box::new(CancelledPayload))
}

/// Whether a payload is that of a fork-join that was cancelled.
pub(crate) fn is_cancelled(payload: &(dyn Any + Send)) -> bool {
    payload.is::<CancelledPayload>()
}
