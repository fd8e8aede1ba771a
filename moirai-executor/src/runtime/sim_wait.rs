//! Waiting in the middle of a step of a simulation (rule 3 of [`sim`](crate::sim)).

use std::sync::Arc;
use std::time::Duration;

use moirai_sync::Parker;
use parking_lot::{Condvar, MutexGuard};

use crate::panics::cancelled;
use crate::runtime::context::Context;
use crate::runtime::shared::{Shared, SharedTurns, WorkerCore};
use crate::runtime::sim_turns::{Ending, NUMBER, Thread, TurnsState, WaitingThread};

/// Waits for the parker's token, or until a moment of the simulated time. Returns whether it took the token.
pub(crate) fn wait_turn(
    shared: &Shared,
    turns: &SharedTurns,
    parker: &Parker,
    until: Option<u64>,
) -> bool {
    if parker.park_timeout(Duration::ZERO) {
        return true;
    }
    let (me, unwinds) = (NUMBER.get(), std::thread::panicking());
    let core = Context::with(|context| context.and_then(Context::take_core));
    {
        let mut state = turns.state.lock();
        state.cores.extend(core);
        state.waiting.push(WaitingThread { thread: me, token: parker.unparker(), until, unwinds });
        let next = match state.between.pop() {
            Some(next) => next,
            None => start_thread(shared, turns, &mut state),
        };
        turns.give_turn(&mut state, next);
        turns.wait_turn(&mut state, me);
    }
    let token = parker.park_timeout(Duration::ZERO);
    if turns.has_ended() && !(unwinds && token) {
        cancelled::unwind_cancelled();
    }
    token
}

/// Starts a thread between steps, and returns its number. If none can be started, returns the caller's own, which then ends the
/// simulation.
fn start_thread(
    shared: &Shared,
    turns: &SharedTurns,
    state: &mut MutexGuard<'_, TurnsState<Box<WorkerCore>>>,
) -> usize {
    let number = state.threads.len();
    let started = if number > turns.max_threads {
        None
    } else {
        let drive = turns.drive;
        shared.arc().and_then(|shared| {
            let name = format!("moirai-sim-{number}");
            std::thread::Builder::new().name(name).spawn(move || drive(shared, number)).ok()
        })
    };
    match started {
        Some(handle) => {
            let turn_given = Arc::new(Condvar::new());
            state.threads.push(Thread { turn_given, handle: Some(handle) });
            number
        }
        None => {
            state.ending.get_or_insert(Ending::TooManyThreads(number));
            // All threads that wait unwind now, the caller first.
            let me = NUMBER.get();
            state.waiting.retain(|waiting| waiting.thread != me);
            me
        }
    }
}
