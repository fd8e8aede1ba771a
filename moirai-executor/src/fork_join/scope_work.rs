//! What is done with the jobs of scopes that are among the [shared jobs](SharedJobs): they are published, run and taken back, and
//! their scope waits for them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use moirai_sync::Unparker;

use super::frame::CurrentFrame;
use super::job_time::JobTime;
use super::scope_job::{HeapJob, Payload, ScopeRef, keep_first};
use super::shared_jobs::{Offer, SharedJobs, SharedJobsState};
use super::shared_scope::SharedScope;

/// The longest time for which a thread runs jobs of one scope before it looks at other work.
const TURN: Duration = Duration::from_micros(100);

/// How far a scope is whose thread has no private jobs left.
pub(crate) enum Progress {
    /// Public jobs are the thread's again.
    TakenBack(VecDeque<HeapJob>),
    /// Other threads run jobs.
    Unfinished,
    /// All jobs have finished. The scope is not entered any more. With the payload of the first panic.
    Finished(Option<Payload>),
}

/// Public jobs of a scope that a thread has run.
struct RanJobs {
    number: usize,
    took: Duration,
    panic: Option<Payload>,
}

impl SharedJobs {
    /// Publishes jobs of a scope. Returns whether there were any; then the caller must invite or notify a worker (rule 8).
    pub(crate) fn publish_jobs(
        &self,
        scope_ref: ScopeRef,
        idle: usize,
        jobs: impl IntoIterator<Item = HeapJob>,
    ) -> bool {
        let mut state = self.lock();
        let scope = state.enter(scope_ref);
        let entry = &mut state.scopes[scope];
        let before = entry.jobs.len();
        entry.jobs.extend(jobs);
        let published = entry.jobs.len() - before;
        entry.add_unfinished(published);
        scope_ref.set_public(entry.jobs.len());
        state.public += published;
        if before == 0 && published > 0 {
            state.offers.push_back(Offer::Scope(scope));
        }
        self.published(&state, idle);
        published > 0
    }

    /// Runs a job of a scope, and further jobs of the same scope as long as they are short.
    pub(super) fn run_jobs(
        &self,
        scope: usize,
        scope_ref: ScopeRef,
        job: HeapJob,
        at: &CurrentFrame,
        idle: impl Fn() -> usize,
    ) {
        let begin = Instant::now();
        let mut before = begin;
        let mut panic = scope_ref.run(at, job);
        let mut jobs = Vec::new();
        let mut done = 1;
        loop {
            let now = Instant::now();
            let goes_on = now - begin < TURN && !cfg!(moirai_loom);
            let ran = RanJobs { number: done, took: now - before, panic: panic.take() };
            let extra = self.finished(scope, ran, idle(), goes_on, &mut jobs);
            if extra.is_some() {
                at.drop_left(extra);
            }
            if jobs.is_empty() {
                return;
            }
            // Not the time for which the thread has waited for the lock.
            (before, done) = (Instant::now(), jobs.len());
            for job in jobs.drain(..) {
                let payload = scope_ref.run(at, job);
                keep_first(at, &mut panic, payload);
            }
        }
    }

    /// Records that public jobs of a scope have finished. Takes further ones to `next` if the thread goes on with short ones. Returns the
    /// payload of the panic if it is not the scope's first.
    fn finished(
        &self,
        scope: usize,
        ran: RanJobs,
        idle: usize,
        goes_on: bool,
        next: &mut Vec<HeapJob>,
    ) -> Option<Payload> {
        let mut state = self.lock();
        let entry = &mut state.scopes[scope];
        entry.job_time.learn(ran.number, ran.took);
        if goes_on {
            let taken = entry.job_time.batch(entry.jobs.len(), self.workers).min(entry.jobs.len());
            next.extend(entry.jobs.drain(..taken));
        }
        entry.subtract_unfinished(ran.number);
        let extra = match ran.panic {
            Some(panic) if entry.panic.is_none() => {
                entry.panic = Some(panic);
                None
            }
            extra => extra,
        };
        let sleeper = if entry.unfinished == 0 { entry.sleeper.take() } else { None };
        if !next.is_empty() {
            state.took(scope, next.len());
            self.changed(&state, idle);
        }
        drop(state);
        if let Some(sleeper) = sleeper {
            sleeper.unpark();
        }
        extra
    }

    /// Looks how far a scope is, for its own thread, which has no private jobs of it. If there are public ones, the newer half of them is
    /// taken back. A scope of which all jobs have finished is removed.
    pub(crate) fn look_at_scope(&self, scope: usize, idle: usize) -> Progress {
        let mut state = self.lock();
        let entry = &mut state.scopes[scope];
        if entry.unfinished == 0 {
            let entry = state.scopes.remove(scope);
            drop(state);
            return Progress::Finished(entry.panic);
        }
        let kept = entry.jobs.len() / 2;
        let back =
            if kept == 0 { std::mem::take(&mut entry.jobs) } else { entry.jobs.split_off(kept) };
        if back.is_empty() {
            return Progress::Unfinished;
        }
        entry.subtract_unfinished(back.len());
        state.took(scope, back.len());
        self.changed(&state, idle);
        Progress::TakenBack(back)
    }

    /// Returns whether all public jobs of a scope have finished.
    pub(crate) fn is_finished(&self, scope: usize) -> bool {
        self.lock().scopes[scope].unfinished == 0
    }

    /// Sets the unparker that is woken when all public jobs of a scope have finished. Does nothing if they have.
    pub(crate) fn set_waker(&self, scope: usize, sleeper: Option<Unparker>) {
        let mut state = self.lock();
        let entry = &mut state.scopes[scope];
        let before = if entry.unfinished > 0 {
            std::mem::replace(&mut entry.sleeper, sleeper)
        } else {
            sleeper
        };
        drop(state);
        drop(before);
    }
}

impl SharedJobsState {
    /// Returns the number of a scope, entering it first if it has none.
    fn enter(&mut self, scope_ref: ScopeRef) -> usize {
        scope_ref.number().unwrap_or_else(|| {
            let number = self.scopes.insert(SharedScope {
                scope_ref,
                jobs: VecDeque::new(),
                unfinished: 0,
                sleeper: None,
                panic: None,
                job_time: JobTime::default(),
            });
            scope_ref.set_number(number);
            number
        })
    }
}
