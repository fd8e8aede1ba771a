//! Waiting a moment before going to sleep.

use std::thread;
use std::time::{Duration, Instant};

use moirai_sync::Parker;

/// How long a thread that waits looks for its token before it sleeps, letting other threads run between two looks. About as
/// long as it takes to put a thread to sleep and to wake it: a short task is waited for without either.
const PATIENCE: Duration = Duration::from_micros(30);

/// Waits for the parker's token: awake at first, then asleep.
pub(crate) fn park_soon(parker: &Parker) {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if parker.park_timeout(Duration::ZERO) {
            return;
        }
        thread::yield_now();
    }
    parker.park();
}
