//! Listening for signals of one kind.

use std::io;

use super::kind::SignalKind;
use super::receiver::{self, Arrivals};

/// Listens for signals of one kind. [`signal`] creates a listener, which is told of signals from then on.
#[derive(Debug)]
#[must_use = "it only listens"]
pub struct Signal {
    arrivals: &'static Arrivals,
    seen: u64,
}

/// Listens for signals of this kind.
///
/// # Errors
///
/// If the kind cannot be listened for, as SIGKILL and SIGSEGV cannot, or if the system refuses the handler or the thread that receives
/// signals.
pub fn signal(kind: SignalKind) -> io::Result<Signal> {
    let arrivals = receiver::listen(kind)?;
    Ok(Signal { arrivals, seen: arrivals.add_listener() })
}

impl Signal {
    /// Waits for the next signal. Signals that come while nobody waits are received by the next call, as one.
    ///
    /// # Cancel safety
    ///
    /// The future may be dropped at any time. No signal is lost.
    pub async fn recv(&mut self) {
        self.seen = self.arrivals.after(self.seen).await;
    }

    /// Blocks the calling thread until the next signal.
    pub fn recv_blocking(&mut self) {
        moirai_sync::block_on(self.recv());
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        self.arrivals.remove_listener();
    }
}

/// Waits for Ctrl-C, which is SIGINT, from the first poll on.
///
/// # Errors
///
/// Those of [`signal`].
pub async fn ctrl_c() -> io::Result<()> {
    next(SignalKind::INTERRUPT).await
}

/// Waits for SIGTERM, from the first poll on.
///
/// # Errors
///
/// Those of [`signal`].
pub async fn terminate() -> io::Result<()> {
    next(SignalKind::TERMINATE).await
}

/// Waits for SIGHUP, from the first poll on.
///
/// # Errors
///
/// Those of [`signal`].
pub async fn hangup() -> io::Result<()> {
    next(SignalKind::HANGUP).await
}

async fn next(kind: SignalKind) -> io::Result<()> {
    signal(kind)?.recv().await;
    Ok(())
}
