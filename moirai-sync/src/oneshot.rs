//! A channel for one value.
//!
//! # Protocol
//!
//! One lock protects the phase and what belongs to it, so that every combination is a legal one:
//!
//! | phase | sender | receiver | holds |
//! | --- | --- | --- | --- |
//! | `Open` | alive | alive | the receiver's waker, once the receiver was polled |
//! | `Sent` | gone | alive | the value |
//! | `Closed` | gone, or will be refused | gone, or has its answer | nothing |
//!
//! 1. Only the sender changes `Open` to `Sent`. Either side changes any phase to `Closed`.
//! 2. A side that changes the phase takes out what the old phase held. If that is a waker, the sender's side wakes it.
//! 3. Values and wakers are user code: they are cloned, woken and dropped while the lock is not held.

use crate::block_on::{block_on, block_on_for};
use crate::budget;
use moirai_core::panics::contain;
use moirai_core::shim::sync::{Arc, Mutex};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

#[cfg(all(test, moirai_loom))]
mod loom;
#[cfg(all(test, not(moirai_loom)))]
mod tests;

/// Creates a channel for one value. The channel is allocated here; sending and awaiting the value allocate nothing.
///
/// ```
/// use moirai_sync::oneshot;
/// use std::thread;
///
/// let (sender, receiver) = oneshot::channel();
/// thread::spawn(move || sender.send(6 * 7));
/// assert_eq!(futures_lite::future::block_on(receiver), Ok(42));
///
/// // From a thread that may block:
/// let (sender, receiver) = oneshot::channel();
/// sender.send("hello").unwrap();
/// assert_eq!(receiver.recv_blocking(), Ok("hello"));
///
/// // If the sender is dropped, no value will come:
/// let (sender, receiver) = oneshot::channel::<u32>();
/// drop(sender);
/// assert_eq!(receiver.recv_blocking(), Err(oneshot::Closed));
/// ```
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let channel = Arc::new(Channel { phase: Mutex::new(ChannelPhase::Open(None)) });
    let sender = Sender { channel: Some(Arc::clone(&channel)) };
    (sender, Receiver { channel })
}

/// Sends the value. If it is dropped without having sent one, the receiver learns that none will come.
pub struct Sender<T> {
    /// `None` once the value was sent, so that the drop has nothing to do.
    channel: Option<Arc<Channel<T>>>,
}

/// Receives the value. It is a future, and has blocking methods as well.
///
/// After the value or [`Closed`] was returned, every further attempt returns [`Closed`]. Dropping the receiver drops a value that
/// has been sent; a later [`Sender::send`] returns its value.
#[must_use = "the value is dropped with its receiver"]
pub struct Receiver<T> {
    channel: Arc<Channel<T>>,
}

/// No value will come: the sender was dropped without sending one, or the value has been received before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

struct Channel<T> {
    phase: Mutex<ChannelPhase<T>>,
}

enum ChannelPhase<T> {
    Open(Option<Waker>),
    Sent(T),
    Closed,
}

impl<T> Sender<T> {
    /// Sends the value, and wakes the receiver. Never blocks.
    ///
    /// # Errors
    ///
    /// Returns the value if the receiver is gone.
    pub fn send(mut self, value: T) -> Result<(), T> {
        let Some(channel) = self.channel.take() else {
            return Err(value);
        };
        let mut phase = channel.phase.lock();
        if !matches!(*phase, ChannelPhase::Open(_)) {
            return Err(value);
        }
        let before = std::mem::replace(&mut *phase, ChannelPhase::Sent(value));
        drop(phase);
        before.wake();
        Ok(())
    }

    /// Returns `true` if the receiver is gone, so that sending would fail.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        match &self.channel {
            Some(channel) => matches!(*channel.phase.lock(), ChannelPhase::Closed),
            None => true,
        }
    }
}

impl<T> Receiver<T> {
    /// Returns the value if it has been sent, and `Ok(None)` if it may still come.
    ///
    /// # Errors
    ///
    /// [`Closed`] if no value will come.
    pub fn try_recv(&mut self) -> Result<Option<T>, Closed> {
        let mut phase = self.channel.phase.lock();
        if matches!(*phase, ChannelPhase::Open(_)) {
            return Ok(None);
        }
        match std::mem::replace(&mut *phase, ChannelPhase::Closed) {
            ChannelPhase::Sent(value) => Ok(Some(value)),
            _ => Err(Closed),
        }
    }

    /// Blocks the thread until the value comes, and returns it. Async code awaits the receiver instead.
    ///
    /// # Errors
    ///
    /// [`Closed`] if no value will come.
    pub fn recv_blocking(mut self) -> Result<T, Closed> {
        match self.try_recv()? {
            Some(value) => Ok(value),
            None => block_on(self),
        }
    }

    /// Blocks the thread until the value comes, for `limit` at most. Returns `Ok(None)` if the value may still come.
    ///
    /// With a limit of zero it only checks, and `Duration::MAX` is no limit.
    ///
    /// # Errors
    ///
    /// [`Closed`] if no value will come.
    pub fn recv_timeout(&mut self, limit: Duration) -> Result<Option<T>, Closed> {
        match self.try_recv()? {
            Some(value) => Ok(Some(value)),
            None => block_on_for(self, limit).transpose(),
        }
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, Closed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        budget::poll(context, |context| self.poll_recv(context))
    }
}

impl<T> Receiver<T> {
    fn poll_recv(&mut self, context: &Context<'_>) -> Poll<Result<T, Closed>> {
        match self.try_recv() {
            Ok(None) => {}
            Ok(Some(value)) => return Poll::Ready(Ok(value)),
            Err(closed) => return Poll::Ready(Err(closed)),
        }
        let new = context.waker().clone();
        let mut phase = self.channel.phase.lock();
        // The sender may have changed the phase since the check above, and then there is nothing to wait for.
        let (answer, spare) = match &mut *phase {
            ChannelPhase::Open(waker) => (Poll::Pending, waker.replace(new)),
            _ => match std::mem::replace(&mut *phase, ChannelPhase::Closed) {
                ChannelPhase::Sent(value) => (Poll::Ready(Ok(value)), Some(new)),
                _ => (Poll::Ready(Err(Closed)), Some(new)),
            },
        };
        drop(phase);
        drop(spare); // Rule 3.
        answer
    }
}

impl<T> Channel<T> {
    /// Changes the phase to `Closed`, and returns the old phase, for the caller to wake or drop what it holds with no lock held
    /// (rules 1 to 3).
    fn close(&self) -> ChannelPhase<T> {
        std::mem::replace(&mut *self.phase.lock(), ChannelPhase::Closed)
    }
}

impl<T> ChannelPhase<T> {
    /// Wakes the receiver, if it waits in this phase.
    fn wake(self) {
        if let Self::Open(Some(waker)) = self {
            contain(|| waker.wake());
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if let Some(channel) = self.channel.take() {
            channel.close().wake();
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        drop(self.channel.close());
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the channel is closed: its sender was dropped, or its value was received already",
        )
    }
}

impl std::error::Error for Closed {}
