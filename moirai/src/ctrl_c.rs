//! Shutting an executor down on Ctrl-C.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use moirai_core::{ExecutorControl, ShutdownReport};
use moirai_sync::oneshot;
use parking_lot::Mutex;

/// The exit status of a process that Ctrl-C has ended.
const INTERRUPTED: i32 = 130;

/// A future that resolves to the report of the shutdown once Ctrl-C has shut the executor down.
/// [`Moirai::shutdown_on_ctrl_c`](crate::Moirai::shutdown_on_ctrl_c) creates one.
#[derive(Debug)]
#[must_use = "the report tells what the shutdown has cancelled and left"]
pub struct CtrlC(oneshot::Receiver<ShutdownReport>);

impl CtrlC {
    /// Blocks until Ctrl-C has been pressed and the executor has been shut down, and returns the report of the shutdown.
    #[must_use]
    pub fn wait(self) -> ShutdownReport {
        self.0.recv_blocking().unwrap_or_default()
    }
}

impl Future for CtrlC {
    type Output = ShutdownReport;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ShutdownReport> {
        Pin::new(&mut self.0).poll(cx).map(Result::unwrap_or_default)
    }
}

/// The error of a handler for Ctrl-C that could not be installed.
#[derive(Debug)]
pub struct CtrlCError(ctrlc::Error);

impl fmt::Display for CtrlCError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ctrlc::Error::MultipleHandlers => f.write_str(
                "Ctrl-C has a handler already: a process can have one; call `shutdown_timeout` from yours",
            ),
            ref error => write!(f, "Ctrl-C cannot be handled: {error}"),
        }
    }
}

impl std::error::Error for CtrlCError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// Installs a handler for Ctrl-C that shuts `executor` down.
pub(crate) fn install(
    executor: impl ExecutorControl + Clone + Send + Sync + 'static,
    timeout: Duration,
) -> Result<CtrlC, CtrlCError> {
    let (sender, receiver) = oneshot::channel();
    let sender = Mutex::new(Some(sender));
    let pressed = AtomicBool::new(false);
    let handle = move || {
        // Ordering: Relaxed: the handler is called on one thread, by one Ctrl-C after the other.
        if pressed.swap(true, Ordering::Relaxed) || executor.is_shutting_down() {
            std::process::exit(INTERRUPTED);
        }
        let Some(sender) = sender.lock().take() else { return };
        let executor = executor.clone();
        let started = std::thread::Builder::new().name("moirai-ctrl-c".into()).spawn(move || {
            let report = executor.shutdown_timeout(timeout);
            // The `CtrlC` may have been dropped.
            let _ = sender.send(report);
        });
        if started.is_err() {
            std::process::exit(INTERRUPTED);
        }
    };
    ctrlc::try_set_handler(handle).map_err(CtrlCError)?;
    Ok(CtrlC(receiver))
}
