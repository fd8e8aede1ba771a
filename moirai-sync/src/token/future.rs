//! Waiting until a token is cancelled.

use super::CancellationToken;
use crate::waiters::WaiterKey;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The future that [`CancellationToken::cancelled`] returns. Dropping it stops waiting.
#[must_use = "futures do nothing unless awaited"]
#[derive(Debug)]
pub struct Cancelled<'a> {
    token: &'a CancellationToken,
    place: Option<WaiterKey>,
}

/// The future that [`CancellationToken::cancelled_owned`] returns. Dropping it stops waiting.
#[must_use = "futures do nothing unless awaited"]
#[derive(Debug)]
pub struct CancelledOwned {
    token: CancellationToken,
    place: Option<WaiterKey>,
}

impl<'a> Cancelled<'a> {
    pub(super) fn new(token: &'a CancellationToken) -> Self {
        Self { token, place: None }
    }
}

impl CancelledOwned {
    pub(super) fn new(token: CancellationToken) -> Self {
        Self { token, place: None }
    }
}

impl Future for Cancelled<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let event = &this.token.node.cancelled;
        event.poll_wait(&mut this.place, context)
    }
}

impl Future for CancelledOwned {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let event = &this.token.node.cancelled;
        event.poll_wait(&mut this.place, context)
    }
}

impl Drop for Cancelled<'_> {
    fn drop(&mut self) {
        self.token.node.cancelled.leave(&mut self.place);
    }
}

impl Drop for CancelledOwned {
    fn drop(&mut self) {
        self.token.node.cancelled.leave(&mut self.place);
    }
}
