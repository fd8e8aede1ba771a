//! Cancellation tokens, which ask a tree of work to stop.
//!
//! [`CancellationToken`] is the handle. The tree behind it, and its protocol, are in the private module `node`.

mod future;
mod node;

#[cfg(all(test, moirai_loom))]
mod loom;
#[cfg(all(test, not(moirai_loom)))]
mod tests;

pub use future::{Cancelled, CancelledOwned};

use node::Node;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
// The tree needs weak references, which loom's `Arc` does not have. The protocol in `node` does not depend on any count.
use std::sync::Arc;
use std::task::Poll;

/// Asks work to stop. The holder of a token can cancel it, check whether it is cancelled, and wait until it is.
///
/// Clones are the same token. A [child](Self::child_token) is cancelled with its parent, and can be cancelled without it; so it is
/// in all generations. Cancelling cannot be undone.
///
/// ```
/// use moirai_sync::CancellationToken;
/// use std::thread;
///
/// let server = CancellationToken::new();
/// let connection = server.child_token();
/// let working = thread::spawn({
///     let connection = connection.clone();
///     move || while !connection.is_cancelled() { thread::yield_now() }
/// });
/// server.cancel();
/// working.join().unwrap();
///
/// // In async code, whichever comes first:
/// use futures_lite::future::{block_on, pending, ready};
/// assert_eq!(block_on(connection.run_until_cancelled(pending::<()>())), None);
/// assert_eq!(block_on(CancellationToken::new().run_until_cancelled(ready(1))), Some(1));
/// ```
///
/// # Memory
///
/// A token is removed from its parent, in constant time, when its last handle is dropped, or, if it has descendants, when the last
/// handle to any of these is dropped: descendants keep the tokens above them. So a parent may live for years and have any number of
/// children one after the other. But a chain without end, in which each token is made from the one before, grows.
#[derive(Clone)]
pub struct CancellationToken {
    node: Arc<Node>,
}

impl CancellationToken {
    /// Creates a token without a parent, which is not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self { node: Arc::new(Node::root()) }
    }

    /// Creates a token that is cancelled with this one. The child of a cancelled token is cancelled from the start.
    #[must_use]
    pub fn child_token(&self) -> Self {
        Self { node: Node::child(&self.node) }
    }

    /// Cancels this token and all its descendants, then wakes all that wait for one of them, and then runs their
    /// [callbacks](Self::on_cancel), on this thread. If the token is cancelled already, this does nothing.
    ///
    /// When the first waiter is woken, all descendants are cancelled already, except those that another thread is just cancelling
    /// through a token of their own branch. A second call, from another thread or from a callback, does not wait for the first. The
    /// walk needs no stack, however deep the tree is.
    ///
    /// Wakers and callbacks that panic are contained; see the [crate's guarantees](crate#guarantees).
    pub fn cancel(&self) {
        Node::cancel(&self.node);
    }

    /// Returns `true` if the token is cancelled. This is one load.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.node.is_cancelled()
    }

    /// Waits until the token is cancelled. The future is ready at once if it is cancelled already.
    pub fn cancelled(&self) -> Cancelled<'_> {
        Cancelled::new(&self.node)
    }

    /// Waits until the token is cancelled, as [`cancelled`](Self::cancelled) does, with a future that owns the token.
    pub fn cancelled_owned(self) -> CancelledOwned {
        CancelledOwned::new(self.node)
    }

    /// Runs `future` until it is ready, and returns its output. If the token is cancelled first, drops the future and returns
    /// `None`.
    ///
    /// The future is not polled any more once the token is cancelled. If the token is cancelled during a poll in which the future
    /// becomes ready, its output is returned.
    pub async fn run_until_cancelled<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let mut cancelled = pin!(self.cancelled());
        poll_fn(|context| {
            if self.is_cancelled() {
                return Poll::Ready(None);
            }
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            cancelled.as_mut().poll(context).map(|()| None)
        })
        .await
    }

    /// Runs `callback` once, when the token is cancelled, on the thread that cancels it. If the token is cancelled already, runs it
    /// at once, on this thread. Dropping the [`Registration`] removes the callback.
    ///
    /// This is for building other things on it, such as a task that its token wakes. The callback should be short, because the
    /// other callbacks wait for it. If it panics, the panic is contained. It may use the token; but if it holds a clone of it, the
    /// two keep each other alive until the callback has run or is removed.
    ///
    /// ```
    /// use moirai_sync::CancellationToken;
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicBool, Ordering};
    ///
    /// let token = CancellationToken::new();
    /// let stop = Arc::new(AtomicBool::new(false));
    /// let _registration = token.on_cancel({
    ///     let stop = Arc::clone(&stop);
    ///     move || stop.store(true, Ordering::Relaxed)
    /// });
    /// token.cancel();
    /// assert!(stop.load(Ordering::Relaxed));
    /// ```
    pub fn on_cancel(&self, callback: impl FnOnce() + Send + 'static) -> Registration {
        let key = Node::on_cancel(&self.node, Box::new(callback));
        Registration { hook: key.map(|key| (Arc::clone(&self.node), key)) }
    }

    /// Returns a guard that cancels the token when it is dropped, also when a panic unwinds.
    ///
    /// ```
    /// let token = moirai_sync::CancellationToken::new();
    /// let guard = token.clone().drop_guard();
    /// drop(guard);
    /// assert!(token.is_cancelled());
    /// ```
    pub fn drop_guard(self) -> DropGuard {
        DropGuard { token: Some(self) }
    }

    #[cfg(all(test, not(moirai_loom)))]
    fn node(&self) -> &Node {
        &self.node
    }
}

impl Default for CancellationToken {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CancellationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancellationToken")
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

/// Keeps a callback of [`CancellationToken::on_cancel`] registered. Dropping it removes the callback.
///
/// The drop does not wait for a callback that is running on another thread.
#[must_use = "dropping it removes the callback"]
pub struct Registration {
    /// `None` if the callback has run at once.
    hook: Option<(Arc<Node>, usize)>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some((node, key)) = self.hook.take() {
            // The callback is user code, so it is dropped here, with no lock held.
            drop(node.forget_hook(key));
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").finish_non_exhaustive()
    }
}

/// Cancels its token when it is dropped. [`CancellationToken::drop_guard`] creates it.
#[must_use = "dropping it cancels the token"]
#[derive(Debug)]
pub struct DropGuard {
    /// `None` once the guard is disarmed.
    token: Option<CancellationToken>,
}

impl DropGuard {
    /// Returns the token, which this guard will not cancel any more.
    ///
    /// # Panics
    ///
    /// Never: only this method, which consumes the guard, takes the token out.
    #[must_use = "disarming is pointless if the guard could have been left alone"]
    pub fn disarm(mut self) -> CancellationToken {
        self.token.take().expect("a guard is disarmed once")
    }
}

impl Drop for DropGuard {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            token.cancel();
        }
    }
}
