//! How callers wait: a thread in `block_on`, or in the `join` of a handle, spins for a moment and then parks.

use std::thread;
use std::time::{Duration, Instant};

use moirai_sync::Parker;

use crate::runtime::context::Context;
use crate::runtime::external::enter_external;
use crate::runtime::shared::{Shared, SharedTurns};
use crate::runtime::sim_wait::wait_turn;

/// How long a thread that waits looks for its token before it sleeps, yielding between two looks. It is about as long as it takes
/// to put a thread to sleep and to wake it, so a short task is waited for without either.
const SPIN_FOR: Duration = Duration::from_micros(30);

/// Waits for the parker's token, first awake and then asleep.
///
/// While the thread is awake it counts as an external thread, because it uses a processor that a worker would need. Then it calls
/// `help` repeatedly, and stays awake as long as that finds something to do.
pub(crate) fn spin_then_park(parker: &Parker, shared: &Shared, mut help: impl FnMut() -> bool) {
    if let Some(turns) = simulation(shared) {
        let _ = wait_turn(shared, turns, parker, None);
        return;
    }
    let external = enter_external(shared);
    let mut start = Instant::now();
    while start.elapsed() < SPIN_FOR {
        if parker.park_timeout(Duration::ZERO) {
            return;
        }
        if help() {
            start = Instant::now();
        } else {
            thread::yield_now();
        }
    }
    drop(external);
    assert!(
        !shared.is_forked(),
        "a forked child has none of its parent's threads, and cannot wait for them: fork before you start an executor, or `exec`"
    );
    parker.park();
}

/// When a wait ends.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    Forever,
    Moment(Instant),
    /// In nanoseconds of the simulated time.
    Simulated(u64),
}

impl Until {
    /// Returns the end of a wait that begins now.
    pub(crate) fn after(shared: &Shared, timeout: Option<Duration>) -> Self {
        let Some(timeout) = timeout else { return Self::Forever };
        match simulation(shared) {
            Some(turns) => Self::Simulated(turns.deadline(timeout)),
            // A deadline beyond what the clock can express never comes.
            None => Instant::now().checked_add(timeout).map_or(Self::Forever, Self::Moment),
        }
    }
}

/// Waits for the parker's token, or until the end of the wait. Returns `false` if the end has come.
pub(crate) fn park_until(
    parker: &Parker,
    shared: &Shared,
    until: Until,
    help: impl FnMut() -> bool,
) -> bool {
    match until {
        Until::Forever => {
            spin_then_park(parker, shared, help);
            true
        }
        Until::Moment(moment) => {
            let left = moment.saturating_duration_since(Instant::now());
            !left.is_zero() && {
                let _ = parker.park_timeout(left);
                true
            }
        }
        Until::Simulated(moment) => {
            simulation(shared).is_some_and(|turns| wait_turn(shared, turns, parker, Some(moment)))
        }
    }
}

/// Returns the simulation that runs the calling thread, if it is the one of this executor.
fn simulation(shared: &Shared) -> Option<&SharedTurns> {
    let turns = shared.mode.turns()?;
    let inside = Context::with(|context| {
        context.is_some_and(|context| std::ptr::eq(&**context.shared(), shared))
    });
    (inside && turns.is_running()).then_some(turns)
}
