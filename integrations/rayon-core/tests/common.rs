//! Ends a test that hangs.

use std::io::Write;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

/// The time that a test may take: far longer than it needs on a loaded machine.
const LIMIT: Duration = Duration::from_secs(300);

/// Aborts the process if it is not dropped in time.
#[must_use = "the watchdog stops when this is dropped"]
pub struct Watchdog(#[expect(dead_code, reason = "it is dropped")] Sender<()>);

pub fn watchdog() -> Watchdog {
    let (over, wait) = channel();
    let test = thread::current().name().unwrap_or("a test").to_owned();
    thread::spawn(move || {
        if wait.recv_timeout(LIMIT) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            let _ = writeln!(std::io::stderr(), "{test} hangs");
            std::process::abort();
        }
    });
    Watchdog(over)
}
