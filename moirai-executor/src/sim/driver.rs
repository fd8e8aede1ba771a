//! What a thread does with its turn.

use std::sync::Arc;
use std::time::Duration;

use moirai_core::{LocalQueue, Scheduler, TaskKind, TaskStats, TaskStatus, ThreadKind};
use moirai_scheduler::rng::SplitMix64;

use crate::panics::{self, log};
use crate::runtime::context::Context;
use crate::runtime::shared::{Runnable, Shared, SharedTurns};
use crate::runtime::shutdown::cancel_all;
use crate::runtime::sim_turns::{CALLER, Ending, NUMBER, Report, WaitingThread};

/// What the thread with the turn does next.
enum NextTurn {
    Step,
    /// Lets a thread that waited go on.
    Resume(usize),
    /// Advances the simulated time to this moment.
    Advance(u64),
    /// The simulation has ended, and its threads must be let go.
    End,
    Leave,
}

/// Runs everything until the end, on the caller's thread.
pub(super) fn drive(turns: &SharedTurns, shared: &Arc<Shared>, context: &Context) -> Report {
    struct RestoreNumber(usize);
    impl Drop for RestoreNumber {
        fn drop(&mut self) {
            NUMBER.set(self.0);
        }
    }
    let _back = RestoreNumber(NUMBER.replace(CALLER));
    context.enter(|| steps(turns, shared, context));
    let (threads, report) = {
        let mut state = turns.state.lock();
        state.leave = true;
        let threads: Vec<_> =
            state.threads.iter_mut().filter_map(|thread| thread.handle.take()).collect();
        state.threads.iter().for_each(|thread| _ = thread.turn_given.notify_all());
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
        // The thread contains the panics of what it calls, so it has not panicked.
        let _ = thread.join();
    }
    report
}

/// The body of every thread of the simulation but the caller's.
pub(super) fn thread_body(shared: Arc<Shared>, number: usize) {
    NUMBER.set(number);
    let turns = shared.mode.turns().expect("a simulated executor");
    let context = Context::recorded(Arc::clone(&shared), ThreadKind::Worker);
    let mut state = turns.state.lock();
    if turns.wait_turn(&mut state, number) {
        drop(state);
        context.enter(|| steps(turns, &shared, &context));
    }
}

/// Goes on between steps (rules 2 and 5).
fn steps(turns: &SharedTurns, shared: &Arc<Shared>, context: &Context) {
    let me = NUMBER.get();
    let mut is_ending = false;
    loop {
        if !is_ending && (turns.has_ended() || turns.is_over()) {
            is_ending = true;
            begin_end(turns, shared);
        }
        match next(turns, shared, me) {
            NextTurn::Step => step(turns, context),
            NextTurn::Advance(to) => advance(turns, shared, to),
            NextTurn::Resume(thread) => {
                let mut state = turns.state.lock();
                state.between.push(me);
                turns.give_turn(&mut state, thread);
                if !turns.wait_turn(&mut state, me) {
                    return;
                }
            }
            NextTurn::End => {}
            NextTurn::Leave => return,
        }
    }
}

fn next(turns: &SharedTurns, shared: &Shared, me: usize) -> NextTurn {
    let ready = Scheduler::<Runnable>::len(&turns.order);
    let mut state = turns.state.lock();
    if state.ending.is_some() {
        // Threads that are unwinding already get what they wait for, if it comes: it is being cancelled.
        let can_go =
            |waiting: &WaitingThread| ready == 0 || !waiting.unwinds || waiting.token.is_pending();
        if let Some(place) = state.waiting.iter().rposition(can_go) {
            return NextTurn::Resume(state.waiting.remove(place).thread);
        }
        if ready > 0 {
            return NextTurn::Step;
        }
        if me == CALLER {
            return NextTurn::Leave;
        }
        state.between.retain(|thread| *thread != CALLER);
        return NextTurn::Resume(CALLER);
    }
    let now = turns.manual.nanos();
    let can_go_on = |waiting: &WaitingThread| {
        waiting.token.is_pending() || waiting.until.is_some_and(|until| until <= now)
    };
    // Usually no thread waits.
    if !state.waiting.is_empty() {
        let able: Vec<_> =
            (0..state.waiting.len()).filter(|place| can_go_on(&state.waiting[*place])).collect();
        let drawn = if able.is_empty() { 0 } else { turns.simulated_choice(able.len() + ready) };
        if let Some(place) = able.get(drawn) {
            return NextTurn::Resume(state.waiting.remove(*place).thread);
        }
    }
    if ready > 0 {
        if state.steps == turns.max_steps {
            drop(state);
            end(turns, shared, Ending::TooManySteps);
            return NextTurn::End;
        }
        return NextTurn::Step;
    }
    let waits = state.waiting.iter().filter_map(|waiting| waiting.until);
    let timer = shared.time.next_due();
    let next = waits.chain(timer).chain(state.cancel_at).min();
    drop(state);
    match next {
        // A wait without an end never comes due.
        Some(next) if next < u64::MAX => NextTurn::Advance(next),
        _ => {
            end(turns, shared, Ending::Deadlock(active(shared)));
            NextTurn::End
        }
    }
}

/// Polls one task, on a worker that is drawn; a blocking task is polled on no worker.
fn step(turns: &SharedTurns, context: &Context) {
    let now = turns.manual.nanos();
    let core = {
        let mut state = turns.state.lock();
        let place =
            if state.cores.len() > 1 { turns.simulated_choice(state.cores.len()) } else { 0 };
        state.cores.swap_remove(place)
    };
    let index = core.index;
    context.put_core(core);
    context.go_on_at(now);
    let Some(task) = context.with_core(|core| core.queue.pop()).flatten() else {
        return put_core_back(turns, context);
    };
    let (id, blocking) = (task.id().get(), task.kind() == TaskKind::Blocking);
    let core = if blocking { context.take_core() } else { None };
    {
        let mut state = turns.state.lock();
        state.cores.extend(core);
        state.steps += 1;
        let worker = if blocking { u64::MAX } else { index as u64 };
        for number in [id, worker, now] {
            state.fingerprint = SplitMix64::new(state.fingerprint ^ number).next_u64();
        }
    }
    // The code of a `tracing` subscriber may panic.
    let panicked = panics::contain(|| context.run(task));
    if let Some(message) = panicked {
        log!(error, panic = &*message, "a simulated worker panicked, and goes on");
    }
    put_core_back(turns, context);
}

fn put_core_back(turns: &SharedTurns, context: &Context) {
    let core = context.take_core();
    turns.state.lock().cores.extend(core);
}

/// Advances the simulated time, and does what is due.
fn advance(turns: &SharedTurns, shared: &Shared, to: u64) {
    let by = to.saturating_sub(turns.manual.nanos());
    turns.manual.advance(Duration::from_nanos(by));
    let (sweep, cancel) = {
        let mut state = turns.state.lock();
        let sweep = turns.sweep_every.filter(|_| state.next_sweep <= to);
        if let Some(every) = sweep {
            state.next_sweep = to.saturating_add(every);
        }
        (sweep.is_some(), state.cancel_at.take_if(|at| *at <= to).is_some())
    };
    if sweep {
        let _ = panics::contain(|| _ = shared.registry.sweep());
    }
    if cancel {
        cancel_all(shared);
    }
}

/// Ends the simulation (rule 5).
fn end(turns: &SharedTurns, shared: &Shared, ending: Ending) {
    let mut tasks = shared.registry.snapshot();
    tasks.sort_by_key(|stats| (stats.spawned_at, stats.id));
    let mut state = turns.state.lock();
    if state.ending.is_none() {
        state.ending = Some(ending);
        state.tasks = tasks;
        state.nanos = turns.manual.nanos();
    }
}

/// Cancels all tasks that have not ended.
fn begin_end(turns: &SharedTurns, shared: &Shared) {
    end(turns, shared, Ending::Over);
    cancel_all(shared);
}

/// Returns the tasks that have not ended, in the order of their ids.
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
