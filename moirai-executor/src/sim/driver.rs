//! Whose turn it is, and what is done with it.

#![allow(clippy::vec_box)] // A seat is boxed wherever it is, so that taking it moves a pointer.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use moirai_core::{ExecutorConfig, ManualClock, Scheduler, TaskKind, TaskStats};
use moirai_scheduler::Deterministic;
use moirai_sync::{Parker, Unparker};
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::panics;
use crate::panics::cancelled;
use crate::runtime::context::Context;
use crate::runtime::lifecycle::Phase;
use crate::runtime::scheduler::Runnable;
use crate::runtime::seat::Seat;
use crate::runtime::shared::Shared;
use crate::runtime::shutdown::How;
use crate::runtime::worker;
use crate::task::Asker;

/// The number of the caller's thread.
const CALLER: usize = 0;

thread_local! {
    /// Which thread of its simulation this is.
    static NUMBER: Cell<usize> = const { Cell::new(CALLER) };
}

/// The simulated part of an executor. See the [module](super).
pub(crate) struct Sim {
    order: Deterministic<Runnable>,
    hand: Arc<ManualClock>,
    max_steps: u64,
    max_threads: usize,
    /// How often records are swept, in nanoseconds.
    sweep_every: Option<u64>,
    /// The scenario has ended.
    pub(crate) over: Arc<AtomicBool>,
    state: Mutex<State>,
}

struct State {
    /// Those in which nobody sits.
    seats: Vec<Box<Seat>>,
    turn: usize,
    threads: Vec<Thread>,
    /// Threads between steps that do not have the turn.
    between: Vec<usize>,
    /// Threads in the middle of a step.
    waiting: Vec<Waiting>,
    steps: u64,
    fingerprint: u64,
    ending: Option<Ending>,
    /// The books at the end.
    tasks: Vec<TaskStats>,
    nanos: u64,
    /// The first task that panicked unseen.
    unseen: Option<TaskStats>,
    next_sweep: u64,
    /// When a shutdown cancels what is active.
    cancel_at: Option<u64>,
    /// The threads are to end.
    leave: bool,
}

struct Thread {
    /// It has the turn, or is to end.
    told: Arc<Condvar>,
    handle: Option<JoinHandle<()>>,
}

struct Waiting {
    thread: usize,
    token: Unparker,
    /// In nanoseconds of the simulated time.
    until: Option<u64>,
    /// It unwinds already, and must not do so twice.
    unwinds: bool,
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

/// What the thread with the turn does next.
enum Next {
    Step,
    /// Somebody who waited goes on.
    Resume(usize),
    /// It is time that something happens.
    Advance(u64),
    /// It has come to an end, which is to be seen through.
    End,
    Leave,
}

impl Sim {
    pub(crate) fn new(
        order: Deterministic<Runnable>,
        hand: Arc<ManualClock>,
        max_steps: u64,
        config: &ExecutorConfig,
    ) -> Self {
        let interval = nanos(config.cleanup.cleanup_interval);
        let sweep_every = config.cleanup.enable_automatic_cleanup.then_some(interval);
        Self {
            order,
            hand,
            max_steps,
            max_threads: config.max_blocking_threads,
            sweep_every,
            over: Arc::new(AtomicBool::new(false)),
            state: Mutex::new(State {
                seats: Vec::new(),
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

    pub(crate) fn seat_all(&self, seats: Vec<Box<Seat>>) {
        self.state.lock().seats = seats;
    }

    pub(crate) fn take_seats(&self) -> Vec<Box<Seat>> {
        std::mem::take(&mut self.state.lock().seats)
    }

    /// Draws a number below `bound`, which is not zero.
    pub(crate) fn draw(&self, bound: usize) -> usize {
        self.order.draw(bound)
    }

    /// A task has panicked that nobody has a handle of.
    pub(crate) fn unseen_panic(&self, stats: &TaskStats) {
        self.state.lock().unseen.get_or_insert_with(|| stats.clone());
    }

    /// A shutdown was asked for, by a task: somebody else sees it through.
    pub(crate) fn shut_down(&self, shared: &Shared, how: How) {
        let at = match how {
            How::Drain => return,
            How::Timeout(timeout) => self.hand.nanos().saturating_add(nanos(timeout)),
            How::Drop => self.hand.nanos(),
        };
        if at == self.hand.nanos() {
            cancel_all(shared);
        } else {
            self.state.lock().cancel_at = Some(at);
        }
    }

    /// Whether it goes on: after its end, whoever has a handle left waits like anybody else.
    pub(crate) fn is_running(&self) -> bool {
        !self.state.lock().leave
    }

    /// The simulated time at which a wait that begins now ends.
    pub(crate) fn deadline(&self, timeout: Duration) -> u64 {
        self.hand.nanos().saturating_add(nanos(timeout))
    }

    /// Runs everything, until the end. On the caller's thread.
    pub(crate) fn drive(&self, shared: &Arc<Shared>, context: &Context) -> Report {
        struct Back(usize);
        impl Drop for Back {
            fn drop(&mut self) {
                NUMBER.set(self.0);
            }
        }
        let _back = Back(NUMBER.replace(CALLER));
        context.enter(|| self.steps(shared, context));
        let (threads, report) = {
            let mut state = self.state.lock();
            state.leave = true;
            let threads: Vec<_> =
                state.threads.iter_mut().filter_map(|thread| thread.handle.take()).collect();
            state.threads.iter().for_each(|thread| _ = thread.told.notify_all());
            let report = Report {
                ending: state.ending.take().unwrap_or(Ending::Over),
                steps: state.steps,
                fingerprint: state.fingerprint,
                tasks: std::mem::take(&mut state.tasks),
                unseen: state.unseen.take(),
                nanos: state.nanos,
            };
            (threads, report)
        };
        for thread in threads {
            // It contains what it calls.
            let _ = thread.join();
        }
        report
    }

    /// Waits in the middle of a step for the parker's token, or until a moment; says whether it took the token. Rule 3.
    pub(crate) fn wait(&self, shared: &Shared, parker: &Parker, until: Option<u64>) -> bool {
        if parker.park_timeout(Duration::ZERO) {
            return true;
        }
        let (me, unwinds) = (NUMBER.get(), std::thread::panicking());
        let seat = Context::with(|context| context.and_then(Context::stand_up));
        {
            let mut state = self.state.lock();
            state.seats.extend(seat);
            state.waiting.push(Waiting { thread: me, token: parker.unparker(), until, unwinds });
            let next = match state.between.pop() {
                Some(next) => next,
                None => self.start_thread(shared, &mut state),
            };
            self.give_turn(&mut state, next);
            self.wait_turn(&mut state, me);
        }
        let token = parker.park_timeout(Duration::ZERO);
        if self.has_ended() && !(unwinds && token) {
            cancelled::unwind();
        }
        token
    }

    /// The number of a new thread between steps; if there can be none, the caller's own, which then ends the simulation.
    fn start_thread(&self, shared: &Shared, state: &mut MutexGuard<'_, State>) -> usize {
        let number = state.threads.len();
        let started = if number > self.max_threads {
            None
        } else {
            let body = move |shared: Arc<Shared>| {
                NUMBER.set(number);
                let sim = shared.sim.as_deref().expect("a simulated executor");
                let context = Context::new(Arc::clone(&shared));
                let mut state = sim.state.lock();
                if sim.wait_turn(&mut state, number) {
                    drop(state);
                    context.enter(|| sim.steps(&shared, &context));
                }
            };
            shared.arc().and_then(|shared| {
                let name = format!("moirai-sim-{number}");
                std::thread::Builder::new().name(name).spawn(move || body(shared)).ok()
            })
        };
        match started {
            Some(handle) => {
                let told = Arc::new(Condvar::new());
                state.threads.push(Thread { told, handle: Some(handle) });
                number
            }
            None => {
                state.ending.get_or_insert(Ending::TooManyThreads(number));
                // Whoever waits unwinds now, the caller first.
                let me = NUMBER.get();
                state.waiting.retain(|waiting| waiting.thread != me);
                me
            }
        }
    }

    fn give_turn(&self, state: &mut MutexGuard<'_, State>, to: usize) {
        state.turn = to;
        state.threads[to].told.notify_one();
    }

    /// Rule 4. False: it is to end.
    fn wait_turn(&self, state: &mut MutexGuard<'_, State>, me: usize) -> bool {
        while state.turn != me {
            if state.leave {
                return false;
            }
            let told = Arc::clone(&state.threads[me].told);
            told.wait(state);
        }
        !state.leave
    }

    /// Between steps: rules 2 and 5.
    fn steps(&self, shared: &Arc<Shared>, context: &Context) {
        let me = NUMBER.get();
        let mut tidying = false;
        loop {
            if !tidying && (self.has_ended() || self.is_over()) {
                tidying = true;
                self.begin_to_end(shared);
            }
            match self.next(shared, me) {
                Next::Step => self.step(context),
                Next::Advance(to) => self.advance(shared, to),
                Next::Resume(thread) => {
                    let mut state = self.state.lock();
                    state.between.push(me);
                    self.give_turn(&mut state, thread);
                    if !self.wait_turn(&mut state, me) {
                        return;
                    }
                }
                Next::End => {}
                Next::Leave => return,
            }
        }
    }

    fn is_over(&self) -> bool {
        // Ordering: Relaxed: written by whoever had the turn.
        self.over.load(Ordering::Relaxed)
    }

    fn has_ended(&self) -> bool {
        self.state.lock().ending.is_some()
    }

    fn next(&self, shared: &Shared, me: usize) -> Next {
        let ready = Scheduler::<Runnable>::len(&self.order);
        let mut state = self.state.lock();
        if state.ending.is_some() {
            // Those that unwind already get what they wait for, if it comes: what they wait for is being cancelled.
            let can_go =
                |waiting: &Waiting| ready == 0 || !waiting.unwinds || waiting.token.is_pending();
            if let Some(place) = state.waiting.iter().rposition(can_go) {
                return Next::Resume(state.waiting.remove(place).thread);
            }
            if ready > 0 {
                return Next::Step;
            }
            if me == CALLER {
                return Next::Leave;
            }
            state.between.retain(|thread| *thread != CALLER);
            return Next::Resume(CALLER);
        }
        let now = self.hand.nanos();
        let can_go_on = |waiting: &Waiting| {
            waiting.token.is_pending() || waiting.until.is_some_and(|until| until <= now)
        };
        // As a rule nobody waits.
        if !state.waiting.is_empty() {
            let able: Vec<_> = (0..state.waiting.len())
                .filter(|place| can_go_on(&state.waiting[*place]))
                .collect();
            let drawn = if able.is_empty() { 0 } else { self.draw(able.len() + ready) };
            if let Some(place) = able.get(drawn) {
                return Next::Resume(state.waiting.remove(*place).thread);
            }
        }
        if ready > 0 {
            if state.steps == self.max_steps {
                drop(state);
                self.end(shared, Ending::TooManySteps);
                return Next::End;
            }
            return Next::Step;
        }
        let waits = state.waiting.iter().filter_map(|waiting| waiting.until);
        let timer = shared.time.next_due();
        let next = waits.chain(timer).chain(state.cancel_at).min();
        drop(state);
        match next {
            // What is beyond the end of time never comes.
            Some(next) if next < u64::MAX => Next::Advance(next),
            _ => {
                self.end(shared, Ending::Deadlock(super::simulation::active(shared)));
                Next::End
            }
        }
    }

    /// One poll, by a worker that is drawn; blocking tasks are polled by none.
    fn step(&self, context: &Context) {
        let now = self.hand.nanos();
        let seat = {
            let mut state = self.state.lock();
            let place = if state.seats.len() > 1 { self.draw(state.seats.len()) } else { 0 };
            state.seats.swap_remove(place)
        };
        let index = seat.index;
        context.sit(seat);
        context.ticks.set(now);
        let Some(task) = context.with_seat(|seat| seat.queue.pop()).flatten() else {
            return self.get_up(context);
        };
        let (id, blocking) = (task.id().get(), task.kind() == TaskKind::Blocking);
        let seat = if blocking { context.stand_up() } else { None };
        {
            let mut state = self.state.lock();
            state.seats.extend(seat);
            state.steps += 1;
            let worker = if blocking { u64::MAX } else { index as u64 };
            for number in [id, worker, now] {
                state.fingerprint = mix(state.fingerprint ^ number);
            }
        }
        // What panics here is the code of a `tracing` subscriber.
        let panicked = panics::message_of(|| worker::run_task(context, task));
        if let Some(message) = panicked {
            tracing::error!(target: "moirai", panic = &*message, "a simulated worker panicked, and goes on");
        }
        self.get_up(context);
    }

    fn get_up(&self, context: &Context) {
        let seat = context.stand_up();
        self.state.lock().seats.extend(seat);
    }

    /// Moves the time on, and does what is due.
    fn advance(&self, shared: &Shared, to: u64) {
        let by = to.saturating_sub(self.hand.nanos());
        self.hand.advance(Duration::from_nanos(by));
        let (sweep, cancel) = {
            let mut state = self.state.lock();
            let sweep = self.sweep_every.filter(|_| state.next_sweep <= to);
            if let Some(every) = sweep {
                state.next_sweep = to.saturating_add(every);
            }
            (sweep.is_some(), state.cancel_at.take_if(|at| *at <= to).is_some())
        };
        if sweep {
            let _ = panics::message_of(|| _ = shared.registry.sweep());
        }
        if cancel {
            cancel_all(shared);
        }
    }

    /// Rule 5: nothing goes on from here.
    fn end(&self, shared: &Shared, ending: Ending) {
        let mut tasks = shared.registry.snapshot();
        tasks.sort_by_key(|stats| (stats.spawned_at, stats.id));
        let mut state = self.state.lock();
        if state.ending.is_none() {
            state.ending = Some(ending);
            state.tasks = tasks;
            state.nanos = self.hand.nanos();
        }
    }

    /// Cancels what is queued or waits.
    fn begin_to_end(&self, shared: &Shared) {
        self.end(shared, Ending::Over);
        cancel_all(shared);
    }
}

/// Lets nobody in any more, and asks all tasks to stop.
fn cancel_all(shared: &Shared) {
    shared.shut_the_door();
    let _ = shared.door.advance(Phase::Cancelling);
    shared.registry.each_active(|id| {
        if let Some(task) = shared.task_ref(id) {
            task.cancel(Asker::Shutdown);
        }
        true
    });
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Stirs a number (the finalizer of SplitMix64).
const fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ number >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ number >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ number >> 31
}
