//! Asking a tree of work to stop.
//!
//! [`CancellationToken`] is the handle, the tree behind it and its protocol are in the private module `node`.

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
// The tree needs weak references, which loom's `Arc` has not. The protocol of `node` leans on no count.
use std::sync::Arc;
use std::task::Poll;

/// Asks work to stop: whoever holds a token can cancel it, look whether it was, and wait until it is.
///
/// Clones are the same token. A [child](Self::child_token) is cancelled with its parent, and can be cancelled without it,
/// and so for all generations. Cancelling cannot be undone.
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
/// // In async code, the one that comes first:
/// use futures_lite::future::{block_on, pending, ready};
/// assert_eq!(block_on(connection.run_until_cancelled(pending::<()>())), None);
/// assert_eq!(block_on(CancellationToken::new().run_until_cancelled(ready(1))), Some(1));
/// ```
///
/// # Memory
///
/// A token's place in its parent is given up, in constant time, when its last handle is dropped, or when it has
/// descendants, the last handle to those: they keep the tokens above them. So a parent may live for years and have any
/// number of children one after the other; but a chain in which each token is made from the one before, without end, grows.
#[derive(Clone)]
pub struct CancellationToken {
    node: Arc<Node>,
}

impl CancellationToken {
    /// A token without a parent, not cancelled.
    #[must_use]
    pub fn new() -> Self {
        Self { node: Arc::new(Node::root()) }
    }

    /// A token that is cancelled with this one. The child of a cancelled token is cancelled from the start.
    #[must_use]
    pub fn child_token(&self) -> Self {
        Self { node: Node::child(&self.node) }
    }

    /// Cancels this token and all its descendants, then wakes those who wait for one of them, then runs their
    /// [callbacks](Self::on_cancel), on this thread. From the second time on it does nothing.
    ///
    /// When the first waiter is woken, all descendants are cancelled already, except those whom another thread is
    /// cancelling through a token of theirs at this very moment. A second call, from another thread or from a callback,
    /// does not wait for the first. The depth of the tree costs no stack.
    ///
    /// Wakers and callbacks that panic are contained; see the [crate's promises](crate#what-they-promise).
    pub fn cancel(&self) {
        Node::cancel(&self.node);
    }

    /// Whether this token was cancelled: one load.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.node.is_cancelled()
    }

    /// Waits until the token is cancelled. Ready at once if it is.
    pub fn cancelled(&self) -> Cancelled<'_> {
        Cancelled::new(&self.node)
    }

    /// As [`cancelled`](Self::cancelled), for a future that outlives the borrow.
    pub fn cancelled_owned(self) -> CancelledOwned {
        CancelledOwned::new(self.node)
    }

    /// Runs `future` until it is ready, or drops it when the token is cancelled first: then there is no output.
    ///
    /// A future is not polled again once the token is cancelled; one that is ready in the poll during which that happens
    /// has its output returned.
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

    /// Runs `callback` once, when the token is cancelled, on the thread that cancels it; at once, on this thread, if it is
    /// cancelled already. The token forgets the callback when the [`Registration`] is dropped.
    ///
    /// It is meant for building on, such as a task that is to be woken by its token: keep the callback short, since the
    /// others wait for it. A panic in it is contained. It may use the token, but a clone of the token that it keeps makes
    /// a cycle until it ran or was forgotten.
    pub fn on_cancel(&self, callback: impl FnOnce() + Send + 'static) -> Registration {
        let key = Node::on_cancel(&self.node, Box::new(callback));
        Registration { hook: key.map(|key| (Arc::clone(&self.node), key)) }
    }

    /// Cancels the token when the guard is dropped, also in a panic.
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

/// Keeps a callback of [`CancellationToken::on_cancel`] registered; dropping it has the token forget the callback.
///
/// The drop does not wait for a callback that runs on another thread at that moment.
#[must_use = "dropping it has the token forget the callback"]
pub struct Registration {
    /// `None` if the callback ran at once.
    hook: Option<(Arc<Node>, usize)>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some((node, key)) = self.hook.take() {
            // The callback is foreign code: it is dropped here, with no lock held.
            drop(node.forget_hook(key));
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").finish_non_exhaustive()
    }
}

/// Cancels its token when it is dropped. Made by [`CancellationToken::drop_guard`].
#[must_use = "dropping it cancels the token"]
#[derive(Debug)]
pub struct DropGuard {
    /// `None` once disarmed.
    token: Option<CancellationToken>,
}

impl DropGuard {
    /// Gives the token back, which is then not cancelled by this guard.
    ///
    /// # Panics
    ///
    /// Never: only this function, which consumes the guard, takes the token out.
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
