//! The work of a task: a future or a closure.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The work of a task: every `Send` future whose output is `Send`.
pub trait Work: Send {
    /// The output of the task.
    type Output: Send;

    /// Whether [`failure`](Self::failure) is ever `Some`.
    const MAY_FAIL: bool = false;

    /// Runs the work until it is done or must wait.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output>;

    /// Returns the message of the failure, if this output is one. It does not panic.
    fn failure(output: &Self::Output) -> Option<Arc<str>> {
        let _ = output;
        None
    }
}

impl<F> Work for F
where
    F: Future + Send,
    F::Output: Send,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        Future::poll(self, cx)
    }
}

/// A future that calls a closure once.
pub(crate) struct Closure<F>(Option<F>);

impl<F> Closure<F> {
    pub(crate) const fn new(f: F) -> Self {
        Self(Some(f))
    }
}

// The closure is moved out before it is called, and nothing points into it until then.
impl<F> Unpin for Closure<F> {}

impl<F: FnOnce() -> R, R> Future for Closure<F> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<R> {
        let f = self.0.take().expect("a closure's task is polled once");
        Poll::Ready(f())
    }
}
