//! What hyper asks of an executor.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Executor, Sleep, Timer};
use moirai::Moirai;

/// An executor for hyper, whose tasks are tasks of Moirai.
///
/// It does not keep Moirai running. What it is given after Moirai has shut down is dropped.
#[derive(Clone, Debug)]
pub struct MoiraiExecutor {
    moirai: Moirai,
    name: &'static str,
}

impl MoiraiExecutor {
    /// Creates an executor that spawns on `moirai`. Its tasks are called `hyper`.
    #[must_use]
    pub fn new(moirai: &Moirai) -> Self {
        Self { moirai: moirai.without_owner(), name: "hyper" }
    }

    /// Sets the name of the tasks.
    #[must_use]
    pub fn name(self, name: &'static str) -> Self {
        Self { name, ..self }
    }
}

impl<F> Executor<F> for MoiraiExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        drop(self.moirai.task().name(self.name).spawn_async(future));
    }
}

/// A timer for hyper, with the timers of Moirai.
#[derive(Clone, Copy, Debug, Default)]
pub struct MoiraiTimer;

impl Timer for MoiraiTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(Sleeping(Box::pin(moirai::time::sleep(duration))))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.sleep(deadline.saturating_duration_since(Instant::now()))
    }
}

struct Sleeping(Pin<Box<moirai::time::Sleep>>);

impl Future for Sleeping {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}

impl Sleep for Sleeping {}
