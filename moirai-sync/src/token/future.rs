//! Waiting until a token is cancelled.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::node::Node;
use crate::waiters::WaiterKey;

/// The future that [`CancellationToken::cancelled`](super::CancellationToken::cancelled) returns. Dropping it ends the wait.
#[must_use = "futures do nothing unless awaited"]
pub struct Cancelled<'a> {
    node: &'a Node,
    place: Option<WaiterKey>,
}

/// The future that [`CancellationToken::cancelled_owned`](super::CancellationToken::cancelled_owned) returns. Dropping it ends the
/// wait.
#[must_use = "futures do nothing unless awaited"]
pub struct CancelledOwned {
    node: Arc<Node>,
    place: Option<WaiterKey>,
}

impl<'a> Cancelled<'a> {
    pub(super) const fn new(node: &'a Node) -> Self {
        Self { node, place: None }
    }
}

impl CancelledOwned {
    pub(super) const fn new(node: Arc<Node>) -> Self {
        Self { node, place: None }
    }
}

impl Future for Cancelled<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.node.cancelled.poll_wait(&mut this.place, context)
    }
}

impl Future for CancelledOwned {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.node.cancelled.poll_wait(&mut this.place, context)
    }
}

impl Drop for Cancelled<'_> {
    fn drop(&mut self) {
        self.node.cancelled.leave(&mut self.place);
    }
}

impl Drop for CancelledOwned {
    fn drop(&mut self) {
        self.node.cancelled.leave(&mut self.place);
    }
}

impl fmt::Debug for Cancelled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancelled")
            .field("cancelled", &self.node.is_cancelled())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CancelledOwned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelledOwned")
            .field("cancelled", &self.node.is_cancelled())
            .finish_non_exhaustive()
    }
}
