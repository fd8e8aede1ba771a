//! What makes a task fail that has returned a value.

use std::fmt::Display;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use moirai_core::text;
use pin_project_lite::pin_project;

use crate::panics;
use crate::task::Work;

/// Decides whether a task that has returned a `T` has failed. It is a type, so that tasks that cannot fail like this pay nothing.
pub trait Check<T>: Send + Sync + 'static {
    /// The work `W` with this check.
    type Checked<W: Work<Output = T> + 'static>: Work<Output = T> + 'static;

    /// Adds this check to work.
    fn check<W: Work<Output = T> + 'static>(work: W) -> Self::Checked<W>;
}

/// The check of most tasks: what they return is no failure.
#[derive(Clone, Copy, Debug, Default)]
pub struct NeverFails;

impl<T> Check<T> for NeverFails {
    type Checked<W: Work<Output = T> + 'static> = W;

    #[inline(always)]
    fn check<W: Work<Output = T> + 'static>(work: W) -> W {
        work
    }
}

/// The check of tasks that fail when they return an `Err`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ErrIsFailure;

impl<T: Send + 'static, E: Display + Send + 'static> Check<Result<T, E>> for ErrIsFailure {
    type Checked<W: Work<Output = Result<T, E>> + 'static> = Fallible<W>;

    fn check<W: Work<Output = Result<T, E>> + 'static>(work: W) -> Fallible<W> {
        Fallible { work }
    }
}

pin_project! {
    /// Work that fails when it returns an `Err`.
    #[derive(Debug)]
    pub struct Fallible<W> {
        #[pin]
        work: W,
    }
}

impl<T, E, W> Work for Fallible<W>
where
    T: Send,
    E: Display + Send,
    W: Work<Output = Result<T, E>>,
{
    type Output = Result<T, E>;

    const MAY_FAIL: bool = true;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().work.poll(cx)
    }

    fn failure(output: &Self::Output) -> Option<Arc<str>> {
        let error = output.as_ref().err()?;
        let mut message = String::new();
        if panics::contain(|| message = error.to_string()).is_some() {
            message = "an error whose text cannot be told, because telling it panicked".to_owned();
        }
        Some(text::cut(&message, text::MAX_MESSAGE_BYTES).into())
    }
}
