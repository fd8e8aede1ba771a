//! What a simulation has in place of threads: which thread has the turn, which wait, and how the simulation ended. The protocol is
//! described in [`sim`](crate::sim).

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use moirai_core::{ExecutorConfig, ManualClock, Schedulable, TaskStats};
use moirai_scheduler::Deterministic;
use moirai_sync::Unparker;
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::runtime::shutdown_state::ShutdownMode;

/// The number of the caller's thread.
pub(crate) const CALLER: usize = 0;

thread_local! {
    /// The number of this thread in its simulation.
    pub(crate) static NUMBER: Cell<usize> = const { Cell::new(CALLER) };
}

/// The simulated part of an executor whose scheduler moves a `T`, whose workers own a `C`, and whose threads share an `S`.
pub(crate) struct Turns<T, C, S> {
    pub(crate) order: Deterministic<T>,
    pub(crate) manual: Arc<ManualClock>,
    pub(crate) max_steps: u64,
    pub(crate) max_threads: usize,
    /// How often records are swept, in nanoseconds.
    pub(crate) sweep_every: Option<u64>,
    /// Whether the scenario has ended.
    pub(crate) over: Arc<AtomicBool>,
    /// The body of a thread of the simulation, which is given its number.
    pub(crate) drive: fn(Arc<S>, usize),
    pub(crate) state: Mutex<TurnsState<C>>,
}

pub(crate) struct TurnsState<C> {
    /// Cores that no thread holds.
    pub(crate) cores: Vec<C>,
    pub(crate) turn: usize,
    pub(crate) threads: Vec<Thread>,
    /// Threads that are between steps and do not have the turn.
    pub(crate) between: Vec<usize>,
    /// Threads that wait in the middle of a step.
    pub(crate) waiting: Vec<WaitingThread>,
    pub(crate) steps: u64,
    pub(crate) fingerprint: u64,
    pub(crate) ending: Option<Ending>,
    /// The records at the end.
    pub(crate) tasks: Vec<TaskStats>,
    pub(crate) nanos: u64,
    /// The first task that panicked without a handle.
    pub(crate) unseen: Option<TaskStats>,
    pub(crate) next_sweep: u64,
    /// When a shutdown cancels the active tasks, in nanoseconds of the simulated time.
    pub(crate) cancel_at: Option<u64>,
    /// Whether the threads must end.
    pub(crate) leave: bool,
}

pub(crate) struct Thread {
    /// Notified when the thread is given the turn, or must end.
    pub(crate) turn_given: Arc<Condvar>,
    pub(crate) handle: Option<JoinHandle<()>>,
}

pub(crate) struct WaitingThread {
    pub(crate) thread: usize,
    pub(crate) token: Unparker,
    /// In nanoseconds of the simulated time.
    pub(crate) until: Option<u64>,
    /// Whether the thread is unwinding already, and must not unwind a second time.
    pub(crate) unwinds: bool,
}

/// Why a simulation ended.
#[derive(Debug)]
pub(crate) enum Ending {
    Over,
    /// The tasks that wait.
    Deadlock(Vec<TaskStats>),
    TooManySteps,
    TooManyThreads(usize),
}

/// The result of a simulation.
pub(crate) struct Report {
    pub(crate) ending: Ending,
    pub(crate) steps: u64,
    pub(crate) fingerprint: u64,
    pub(crate) tasks: Vec<TaskStats>,
    pub(crate) unseen: Option<TaskStats>,
    pub(crate) nanos: u64,
}

impl<T: Schedulable, C, S> Turns<T, C, S> {
    pub(crate) fn new(
        order: Deterministic<T>,
        manual: Arc<ManualClock>,
        max_steps: u64,
        config: &ExecutorConfig,
        drive: fn(Arc<S>, usize),
    ) -> Self {
        let interval = nanos(config.cleanup.cleanup_interval);
        let sweep_every = config.cleanup.enable_automatic_cleanup.then_some(interval);
        Self {
            order,
            manual,
            max_steps,
            max_threads: config.max_blocking_threads,
            sweep_every,
            over: Arc::new(AtomicBool::new(false)),
            drive,
            state: Mutex::new(TurnsState {
                cores: Vec::new(),
                turn: CALLER,
                threads: vec![Thread { turn_given: Arc::new(Condvar::new()), handle: None }],
                between: Vec::new(),
                waiting: Vec::new(),
                steps: 0,
                fingerprint: 0,
                ending: None,
                tasks: Vec::new(),
                nanos: 0,
                unseen: None,
                next_sweep: interval,
                cancel_at: None,
                leave: false,
            }),
        }
    }

    pub(crate) fn add_cores(&self, cores: Vec<C>) {
        self.state.lock().cores = cores;
    }

    pub(crate) fn take_cores(&self) -> Vec<C> {
        std::mem::take(&mut self.state.lock().cores)
    }

    /// Draws a number below `bound`, which must not be zero.
    pub(crate) fn simulated_choice(&self, bound: usize) -> usize {
        self.order.draw(bound)
    }

    /// Notes the panic of a task that no handle refers to.
    pub(crate) fn unseen_panic(&self, stats: &TaskStats) {
        self.state.lock().unseen.get_or_insert_with(|| stats.clone());
    }

    /// Handles a shutdown that was asked for by a task. Returns whether active tasks must be cancelled now.
    pub(crate) fn shut_down(&self, mode: ShutdownMode) -> bool {
        let at = match mode {
            ShutdownMode::Wait => return false,
            ShutdownMode::Timeout(timeout) | ShutdownMode::Drain(timeout) => {
                self.manual.nanos().saturating_add(nanos(timeout))
            }
            ShutdownMode::Drop => self.manual.nanos(),
        };
        if at == self.manual.nanos() {
            return true;
        }
        let cancel_at = &mut self.state.lock().cancel_at;
        *cancel_at = Some(cancel_at.map_or(at, |before| before.min(at)));
        false
    }

    /// Returns whether the simulation is going on. After its end, a thread that still has a handle waits as it would without a
    /// simulation.
    pub(crate) fn is_running(&self) -> bool {
        !self.state.lock().leave
    }

    /// Returns the simulated time at which a wait that begins now ends.
    pub(crate) fn deadline(&self, timeout: Duration) -> u64 {
        self.manual.nanos().saturating_add(nanos(timeout))
    }

    pub(crate) fn give_turn(&self, state: &mut MutexGuard<'_, TurnsState<C>>, to: usize) {
        state.turn = to;
        state.threads[to].turn_given.notify_one();
    }

    /// Waits for the turn (rule 4). Returns `false` if the thread must end.
    pub(crate) fn wait_turn(&self, state: &mut MutexGuard<'_, TurnsState<C>>, me: usize) -> bool {
        while state.turn != me {
            if state.leave {
                return false;
            }
            let turn_given = Arc::clone(&state.threads[me].turn_given);
            turn_given.wait(state);
        }
        !state.leave
    }

    pub(crate) fn is_over(&self) -> bool {
        // Ordering: Relaxed: it is written by a thread that has the turn, and turns are handed over under the lock.
        self.over.load(Ordering::Relaxed)
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.state.lock().ending.is_some()
    }
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
