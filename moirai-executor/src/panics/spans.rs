//! The spans of `tracing`, whose subscriber is user code and may panic.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use tracing::Span;

use super::contain;

/// Returns the span that the calling thread is in; none if the subscriber panics.
pub(crate) fn current() -> Span {
    let mut span = Span::none();
    let _ = contain(|| span = Span::current());
    span
}

/// Creates a span, and returns it; none if the subscriber panics.
pub(crate) fn create(create: impl FnOnce() -> Span) -> Span {
    let mut span = Span::none();
    let _ = contain(|| span = create());
    span
}

/// Returns another reference to a span; none if the subscriber panics.
pub(crate) fn copy(span: &Span) -> Span {
    let mut copy = Span::none();
    let _ = contain(|| copy = span.clone());
    copy
}

/// Sets a field of a span. A panic of the subscriber is not passed on.
pub(crate) fn record(span: &Span, field: &str, value: u64) {
    let _ = contain(|| _ = span.record(field, value));
}

/// Drops a span. The subscriber may then close it, and its panic is not passed on.
pub(crate) fn close(span: Span) {
    let _ = contain(|| drop(span));
}

/// Calls `f` inside of a span, if it can be entered. A panic of `f` is passed on, one of the subscriber is not.
pub(crate) fn within<R>(span: &Span, f: impl FnOnce() -> R) -> R {
    let mut entered = None;
    let _ = contain(|| entered = Some(span.enter()));
    let result = catch_unwind(AssertUnwindSafe(f));
    let _ = contain(|| drop(entered));
    result.unwrap_or_else(|payload| resume_unwind(payload))
}

/// Calls `f` with a span, and drops the span. The subscriber may then close it, and its panic is not passed on.
pub(crate) fn lend<R>(span: Span, f: impl FnOnce(&Span) -> R) -> R {
    let result = catch_unwind(AssertUnwindSafe(|| f(&span)));
    let _ = contain(|| drop(span));
    result.unwrap_or_else(|payload| resume_unwind(payload))
}
