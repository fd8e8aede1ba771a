//! What is done with a turn.

use std::sync::Arc;
use std::time::Duration;

use moirai_core::{LocalQueue, Scheduler, TaskKind, TaskStats, TaskStatus};
use moirai_scheduler::rng::SplitMix64;
use moirai_sync::Parker;
use parking_lot::{Condvar, MutexGuard};

use crate::panics::{self, cancelled};
use crate::runtime::context::Context;
use crate::runtime::shared::{Runnable, Seat, Shared};
use crate::runtime::turns::{CALLER, Ending, NUMBER, Report, Sim, State, Thread, Waiting};

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

impl Sim<Runnable, Box<Seat>> {
    /// Runs everything, until the end. On the caller's thread.
    pub(super) fn drive(&self, shared: &Arc<Shared>, context: &Context) -> Report {
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
    fn start_thread(&self, shared: &Shared, state: &mut MutexGuard<'_, State<Box<Seat>>>) -> usize {
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
                self.end(shared, Ending::Deadlock(active(shared)));
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
                state.fingerprint = SplitMix64::new(state.fingerprint ^ number).next_u64();
            }
        }
        // What panics here is the code of a `tracing` subscriber.
        let panicked = panics::contain(|| context.run(task));
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
            let _ = panics::contain(|| _ = shared.registry.sweep());
        }
        if cancel {
            shared.cancel_all();
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
        shared.cancel_all();
    }
}

/// The tasks that have not ended, in the order of their ids.
fn active(shared: &Shared) -> Vec<TaskStats> {
    let mut tasks: Vec<_> = shared
        .registry
        .snapshot()
        .into_iter()
        .filter(|stats| matches!(stats.status, TaskStatus::Queued | TaskStatus::Running))
        .collect();
    tasks.sort_by_key(|stats| (stats.spawned_at, stats.id));
    tasks
}
