//! Draining an executor on a signal.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use moirai_core::{ExecutorControl, ShutdownReport};
use moirai_executor::{HybridExecutor, WeakExecutor};
use moirai_sync::{Registration, oneshot};
use parking_lot::Mutex;

use super::kind::SignalKind;
use super::receiver::{self, Act, OnSignal};

/// A future that resolves to the report of the shutdown once a signal has had the executor drained, or the executor has been shut down
/// otherwise. [`Moirai::shutdown_on_signals`](crate::Moirai::shutdown_on_signals) creates one. Dropping it changes nothing else.
#[must_use = "the report tells what the drain has cancelled and left"]
pub struct Drained {
    report: oneshot::Receiver<ShutdownReport>,
    /// Tells of shutdowns that no signal has begun.
    _other: Registration,
}

impl Drained {
    /// Blocks until the executor has been shut down, and returns the report.
    #[must_use]
    pub fn wait(self) -> ShutdownReport {
        self.report.recv_blocking().unwrap_or_default()
    }
}

impl Future for Drained {
    type Output = ShutdownReport;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ShutdownReport> {
        Pin::new(&mut self.report).poll(cx).map(Result::unwrap_or_default)
    }
}

impl fmt::Debug for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drained").finish_non_exhaustive()
    }
}

/// Drains `executor` on the first signal that asks the process to end. The second one ends the process.
pub(crate) fn drain_on_signals(
    executor: &HybridExecutor,
    timeout: Duration,
) -> io::Result<Drained> {
    // Both are received before either calls back, so that nothing drains after an error.
    let kinds = [SignalKind::INTERRUPT, SignalKind::TERMINATE];
    let arrivals = [receiver::listen(kinds[0])?, receiver::listen(kinds[1])?];
    let (sender, report) = oneshot::channel();
    let drainer = Arc::new(Drainer {
        executor: executor.downgrade(),
        timeout,
        asked: AtomicBool::new(false),
        has_ended: AtomicBool::new(false),
        sender: Mutex::new(Some(sender)),
    });
    let other = executor.shutdown_token().on_cancel({
        let drainer = Arc::clone(&drainer);
        move || drainer.shut_down_otherwise()
    });
    for arrivals in arrivals {
        arrivals.call_back(Arc::<Drainer>::clone(&drainer));
    }
    Ok(Drained { report, _other: other })
}

/// Drains an executor, once.
struct Drainer {
    executor: WeakExecutor,
    timeout: Duration,
    /// Whether a signal has come.
    asked: AtomicBool,
    /// Whether a shutdown has ended that was waited for here.
    has_ended: AtomicBool,
    /// Where the report goes; `None` once somebody has begun to wait for it.
    sender: Mutex<Option<oneshot::Sender<ShutdownReport>>>,
}

impl Drainer {
    /// Has a thread shut the executor down by `shut_down`, and send the report. Without a thread the caller does it.
    fn report(
        self: Arc<Self>,
        shut_down: impl FnOnce(&HybridExecutor) -> ShutdownReport + Send + 'static,
    ) {
        let Some(sender) = self.sender.lock().take() else { return };
        let Some(executor) = self.executor.upgrade() else { return };
        // In a place from which it can be taken by whoever does it.
        let work = Arc::new(Mutex::new(Some(move || {
            let report = shut_down(&executor);
            // Ordering: Relaxed: the flag protects nothing.
            self.has_ended.store(true, Ordering::Relaxed);
            drop(executor);
            // The `Drained` may have been dropped.
            let _ = sender.send(report);
        })));
        let run = {
            let work = Arc::clone(&work);
            move || {
                let work = work.lock().take();
                work.into_iter().for_each(|work| work());
            }
        };
        if thread::Builder::new().name("moirai-drain".into()).spawn(run).is_err() {
            let work = work.lock().take();
            work.into_iter().for_each(|work| work());
        }
    }

    /// Waits for a shutdown that has begun without a signal.
    fn shut_down_otherwise(self: Arc<Self>) {
        // This waits for the end of that shutdown, whose deadline it does not change.
        self.report(ExecutorControl::shutdown);
    }
}

impl OnSignal for Drainer {
    fn act(self: Arc<Self>) -> Act {
        let Some(executor) = self.executor.upgrade() else { return Act::Nothing };
        // Ordering: Relaxed: one thread receives all signals.
        if self.asked.swap(true, Ordering::Relaxed) {
            return Act::Nothing;
        }
        if !executor.is_shutting_down() {
            let timeout = self.timeout;
            self.report(move |executor| executor.drain(timeout));
        }
        Act::Begun
    }

    fn is_over(&self) -> bool {
        // Ordering: Relaxed: the flag protects nothing.
        !self.executor.is_alive() || self.has_ended.load(Ordering::Relaxed)
    }
}
