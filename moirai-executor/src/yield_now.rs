//! Giving way.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Lets the tasks run that were queued before.
///
/// ```
/// # futures_lite::future::block_on(async {
/// moirai_executor::yield_now().await;
/// # });
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
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
