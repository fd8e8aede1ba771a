//! Draining an executor on a signal.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use moirai_core::{ExecutorControl, ShutdownReport};
use moirai_executor::{HybridExecutor, WeakExecutor};
use moirai_sync::oneshot;
use parking_lot::Mutex;

use super::kind::SignalKind;
use super::receiver::{self, Act, OnSignal};

/// A future that resolves to the report of the drain once a signal has had the executor drained.
/// [`Moirai::shutdown_on_signals`](crate::Moirai::shutdown_on_signals) creates one. Dropping it changes nothing else.
#[derive(Debug)]
#[must_use = "the report tells what the drain has cancelled and left"]
pub struct Drained(oneshot::Receiver<ShutdownReport>);

impl Drained {
    /// Blocks until a signal has come and the executor has been drained, and returns the report.
    #[must_use]
    pub fn wait(self) -> ShutdownReport {
        self.0.recv_blocking().unwrap_or_default()
    }
}

impl Future for Drained {
    type Output = ShutdownReport;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ShutdownReport> {
        Pin::new(&mut self.0).poll(cx).map(Result::unwrap_or_default)
    }
}

/// Drains `executor` on the first signal that asks the process to end. The second one ends the process.
pub(crate) fn drain_on_signals(
    executor: &HybridExecutor,
    timeout: Duration,
) -> io::Result<Drained> {
    // Both are received before either calls back, so that an error leaves nothing behind that would drain.
    let kinds = [SignalKind::INTERRUPT, SignalKind::TERMINATE];
    let arrivals = [receiver::listen(kinds[0])?, receiver::listen(kinds[1])?];
    let (sender, drained) = oneshot::channel();
    let drainer = Arc::new(Drainer {
        executor: executor.downgrade(),
        timeout,
        sender: Mutex::new(Some(sender)),
    });
    for arrivals in arrivals {
        arrivals.call_back(Arc::<Drainer>::clone(&drainer));
    }
    Ok(Drained(drained))
}

/// Drains an executor, once.
struct Drainer {
    executor: WeakExecutor,
    timeout: Duration,
    /// Where the report goes; `None` once the drain has begun.
    sender: Mutex<Option<oneshot::Sender<ShutdownReport>>>,
}

impl OnSignal for Drainer {
    fn act(&self, _: SignalKind) -> Act {
        let Some(executor) = self.executor.upgrade() else { return Act::Nothing };
        if executor.is_shutting_down() {
            return Act::Nothing;
        }
        let Some(sender) = self.sender.lock().take() else { return Act::Nothing };
        let timeout = self.timeout;
        let started = thread::Builder::new().name("moirai-drain".into()).spawn(move || {
            let report = executor.drain(timeout);
            // The `Drained` may have been dropped.
            let _ = sender.send(report);
        });
        if started.is_ok() { Act::Begun } else { Act::Nothing }
    }

    fn is_over(&self) -> bool {
        !self.executor.is_alive()
    }
}
