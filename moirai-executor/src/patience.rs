//! Waiting a moment before going to sleep.

use std::thread;
use std::time::{Duration, Instant};

use moirai_sync::Parker;

use crate::shared::Shared;

/// How long a thread that waits looks for its token before it sleeps, letting other threads run between two looks. About as
/// long as it takes to put a thread to sleep and to wake it: a short task is waited for without either.
const PATIENCE: Duration = Duration::from_micros(30);

/// Waits for the parker's token: awake at first, then asleep. As long as the thread is awake it counts as a guest: it has the core
/// that a worker would need. It calls `help` again and again then, and stays awake as long as that finds something to do.
pub(crate) fn park_soon(parker: &Parker, shared: &Shared, mut help: impl FnMut() -> bool) {
    let guest = shared.guest();
    let mut start = Instant::now();
    while start.elapsed() < PATIENCE {
        if parker.park_timeout(Duration::ZERO) {
            return;
        }
        if help() {
            start = Instant::now();
        } else {
            thread::yield_now();
        }
    }
    drop(guest);
    parker.park();
}
