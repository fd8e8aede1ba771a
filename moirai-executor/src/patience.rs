//! Waiting a moment before going to sleep.

use std::thread;
use std::time::Duration;

use moirai_sync::Parker;

/// How often a thread that waits looks for its token before it sleeps, each time after it has let other threads run. As long as
/// it takes to put a thread to sleep and to wake it, about ten microseconds: a short task is waited for without either.
const LOOKS: u32 = 40;

/// Waits for the parker's token: awake at first, then asleep.
pub(crate) fn park_soon(parker: &Parker) {
    for _ in 0..LOOKS {
        if parker.park_timeout(Duration::ZERO) {
            return;
        }
        thread::yield_now();
    }
    parker.park();
}
