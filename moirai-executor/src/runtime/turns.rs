//! What a simulation has in place of threads: whose turn it is, who waits, and what came of it. The protocol is that of
//! [`sim`](crate::sim).

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
    /// Which thread of its simulation this is.
    pub(crate) static NUMBER: Cell<usize> = const { Cell::new(CALLER) };
}

/// The simulated part of an executor, whose scheduler moves a `T`, whose workers own a `C`, and whose threads share an `S`.
pub(crate) struct Turns<T, C, S> {
    pub(crate) order: Deterministic<T>,
    pub(crate) manual: Arc<ManualClock>,
    pub(crate) max_steps: u64,
    pub(crate) max_threads: usize,
    /// How often records are swept, in nanoseconds.
    pub(crate) sweep_every: Option<u64>,
    /// The scenario has ended.
    pub(crate) over: Arc<AtomicBool>,
    /// The body of a thread of the simulation that has this number.
    pub(crate) drive: fn(Arc<S>, usize),
    pub(crate) state: Mutex<TurnsState<C>>,
}

pub(crate) struct TurnsState<C> {
    /// Those in which nobody sits.
    pub(crate) cores: Vec<C>,
    pub(crate) turn: usize,
    pub(crate) threads: Vec<Thread>,
    /// Threads between steps that do not have the turn.
    pub(crate) between: Vec<usize>,
    /// Threads in the middle of a step.
    pub(crate) waiting: Vec<WaitingThread>,
    pub(crate) steps: u64,
    pub(crate) fingerprint: u64,
    pub(crate) ending: Option<Ending>,
    /// The writer at the end.
    pub(crate) tasks: Vec<TaskStats>,
    pub(crate) nanos: u64,
    /// The first task that panicked unseen.
    pub(crate) unseen: Option<TaskStats>,
    pub(crate) next_sweep: u64,
    /// When a shutdown cancels what is active.
    pub(crate) cancel_at: Option<u64>,
    /// The threads are to end.
    pub(crate) leave: bool,
}

pub(crate) struct Thread {
    /// It has the turn, or is to end.
    pub(crate) told: Arc<Condvar>,
    pub(crate) handle: Option<JoinHandle<()>>,
}

pub(crate) struct WaitingThread {
    pub(crate) thread: usize,
    pub(crate) token: Unparker,
    /// In nanoseconds of the simulated time.
    pub(crate) until: Option<u64>,
    /// It unwinds already, and must not do so twice.
    pub(crate) unwinds: bool,
}

/// Why it ended.
#[derive(Debug)]
pub(crate) enum Ending {
    Over,
    /// The tasks that wait.
    Deadlock(Vec<TaskStats>),
    TooManySteps,
    TooManyThreads(usize),
}

/// What came of it.
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
                threads: vec![Thread { told: Arc::new(Condvar::new()), handle: None }],
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

    /// Draws a number below `bound`, which is not zero.
    pub(crate) fn simulated_choice(&self, bound: usize) -> usize {
        self.order.draw(bound)
    }

    /// A task has panicked that nobody has a handle of.
    pub(crate) fn unseen_panic(&self, stats: &TaskStats) {
        self.state.lock().unseen.get_or_insert_with(|| stats.clone());
    }

    /// A shutdown was asked for, by a task: says whether what is active is to be cancelled now.
    pub(crate) fn shut_down(&self, mode: ShutdownMode) -> bool {
        let at = match mode {
            ShutdownMode::Drain => return false,
            ShutdownMode::Timeout(timeout) => self.manual.nanos().saturating_add(nanos(timeout)),
            ShutdownMode::Drop => self.manual.nanos(),
        };
        if at == self.manual.nanos() {
            return true;
        }
        self.state.lock().cancel_at = Some(at);
        false
    }

    /// Whether it goes on: after its end, whoever has a handle left waits like anybody else.
    pub(crate) fn is_running(&self) -> bool {
        !self.state.lock().leave
    }

    /// The simulated time at which a wait that begins now ends.
    pub(crate) fn deadline(&self, timeout: Duration) -> u64 {
        self.manual.nanos().saturating_add(nanos(timeout))
    }

    pub(crate) fn give_turn(&self, state: &mut MutexGuard<'_, TurnsState<C>>, to: usize) {
        state.turn = to;
        state.threads[to].told.notify_one();
    }

    /// Rule 4. False: it is to end.
    pub(crate) fn wait_turn(&self, state: &mut MutexGuard<'_, TurnsState<C>>, me: usize) -> bool {
        while state.turn != me {
            if state.leave {
                return false;
            }
            let told = Arc::clone(&state.threads[me].told);
            told.wait(state);
        }
        !state.leave
    }

    pub(crate) fn is_over(&self) -> bool {
        // Ordering: Relaxed: written by whoever had the turn.
        self.over.load(Ordering::Relaxed)
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.state.lock().ending.is_some()
    }
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
