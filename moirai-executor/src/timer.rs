//! Deadlines: one thread for the process, started at the first one that is waited for, ended when there was none for a while.
//!
//! It belongs to no executor, so that waiting with a limit works on any thread, and after the executor is gone.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// How long the thread waits for another deadline before it ends.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// Deadlines that are waited for, by time and then by number.
struct Timer {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    sleepers: BTreeMap<(Instant, u64), Waker>,
    next: u64,
    running: bool,
}

static TIMER: Timer = Timer {
    state: Mutex::new(State { sleepers: BTreeMap::new(), next: 0, running: false }),
    changed: Condvar::new(),
};

/// Resolves at a moment. Dropping it forgets the deadline.
#[derive(Debug)]
pub(crate) struct Sleep {
    deadline: Instant,
    key: Option<u64>,
}

impl Sleep {
    pub(crate) fn until(deadline: Instant) -> Self {
        Self { deadline, key: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.deadline {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let deadline = self.deadline;
        let mut state = TIMER.state.lock();
        let key = *self.key.get_or_insert_with(|| {
            state.next += 1;
            state.next
        });
        let old = state.sleepers.insert((deadline, key), waker);
        if !state.running {
            let started = std::thread::Builder::new().name("moirai-timer".into()).spawn(run);
            match started {
                Ok(_) => state.running = true,
                Err(error) => {
                    // Without the thread nobody would ever wake the task: it looks again of its own accord.
                    let waker = state.sleepers.remove(&(deadline, key));
                    drop(state);
                    tracing::warn!(target: "moirai", %error, "the timer's thread could not be started");
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                    return Poll::Pending;
                }
            }
        } else if state
            .sleepers
            .first_key_value()
            .is_some_and(|(first, _)| *first == (deadline, key))
        {
            TIMER.changed.notify_one();
        }
        drop(state);
        // User code, outside the lock.
        drop(old);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let waker = TIMER.state.lock().sleepers.remove(&(self.deadline, key));
            drop(waker);
        }
    }
}

/// The timer's thread.
fn run() {
    let mut state = TIMER.state.lock();
    loop {
        let now = Instant::now();
        let Some((&(first, key), _)) = state.sleepers.first_key_value() else {
            let waited = TIMER.changed.wait_for(&mut state, KEEP_ALIVE);
            if waited.timed_out() && state.sleepers.is_empty() {
                state.running = false;
                return;
            }
            continue;
        };
        if first > now {
            let _ = TIMER.changed.wait_for(&mut state, first - now);
            continue;
        }
        if let Some(waker) = state.sleepers.remove(&(first, key)) {
            parking_lot::MutexGuard::unlocked(&mut state, || {
                // User code: contained, so that one bad waker does not stop every deadline of the process.
                if let Some(message) = crate::panics::message_of(|| waker.wake()) {
                    tracing::error!(target: "moirai", panic = &*message, "a waker panicked");
                }
            });
        }
    }
}
