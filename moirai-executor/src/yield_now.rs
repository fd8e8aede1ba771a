//! Yielding to other tasks.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::runtime::context::Context as ExecutorContext;
use crate::runtime::shared::Shared;
use crate::task::yield_task;

/// Lets the tasks run that were queued before.
///
/// ```
/// use moirai::prelude::*;
///
/// let executor = Moirai::builder().worker_threads(1).build()?;
/// executor.spawn_async(async { yield_now().await }).join().unwrap();
/// # Ok::<(), BuildError>(())
/// ```
pub async fn yield_now() {
    YieldNow { yielded: false }.await;
}

struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.yielded, true) {
            return Poll::Ready(());
        }
        if !yield_task::<Shared>(cx.waker(), ExecutorContext::polls) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
