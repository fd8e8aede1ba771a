//! What is public: the halves and jobs that any worker may take.

use std::collections::VecDeque;
use std::ptr;
use std::time::{Duration, Instant};

use moirai_core::shim::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use moirai_core::shim::sync::{Mutex, MutexGuard};
use moirai_sync::Unparker;
use slab::Slab;

use super::frame::{CurrentFrame, Frame};
use super::scope_job::{HeapJob, Payload, ScopeRef, forget_payload, keep_first};
use super::stack_job::JobHeader;
use crate::task::TaskPtr;

/// The public pieces of an executor.
///
/// One lock for all: what is published is the exception, a few pieces for each idle worker.
pub(crate) struct SharedJobs {
    /// Whether a `join` is to publish. Read by each of them.
    wants_jobs: AtomicBool,
    /// How many pieces there are.
    public: AtomicUsize,
    /// How often something was published. Who has looked at the shared_jobs in vain need not look again while it is the same.
    version: AtomicUsize,
    /// Threads without a seat that set_join_waker their hands (rule 7).
    external_threads: AtomicUsize,
    state: Mutex<SharedJobsState>,
}

#[derive(Default)]
struct SharedJobsState {
    /// The oldest first. A scope is there once, while it has jobs here.
    offers: VecDeque<Offer>,
    /// How many pieces that makes.
    public: usize,
    scopes: Slab<SharedScope>,
}

enum Offer {
    JobHeader(*const JobHeader),
    Scope(usize),
}

/// A scope that has had a public job.
struct SharedScope {
    scope_ref: ScopeRef,
    jobs: VecDeque<HeapJob>,
    /// Jobs that were made public and have not finished.
    unfinished: usize,
    /// The thread that waits for the last of them.
    sleeper: Option<Unparker>,
    /// What the first panic carried.
    panic: Option<Payload>,
}

// SAFETY: the pointers are to halves, whose closures and results are `Send`, and to scopes, which are `Sync`.
unsafe impl Send for SharedJobsState {}

/// Something that was taken from the shared_jobs, to be run.
pub(crate) struct StolenJob(Stolen);

enum Stolen {
    JobHeader(*const JobHeader),
    HeapJob { scope: usize, scope_ref: ScopeRef, job: HeapJob },
}

impl SharedJobs {
    pub(crate) fn new() -> Self {
        Self {
            wants_jobs: AtomicBool::new(true),
            public: AtomicUsize::new(0),
            version: AtomicUsize::new(0),
            external_threads: AtomicUsize::new(0),
            state: Mutex::new(SharedJobsState::default()),
        }
    }

    /// Whether more is to be published.
    #[inline]
    pub(crate) fn wants_jobs(&self) -> bool {
        // Ordering: Relaxed: a hint.
        self.wants_jobs.load(Ordering::Relaxed)
    }

    /// Whether there are pieces to take. Exact for who asks behind a fence (rule 8).
    #[inline]
    pub(crate) fn has_jobs(&self) -> bool {
        // Ordering: Relaxed: the fence of the sleeper's announcement comes before, that of `Sleepers::invite` after the store. What is
        // then taken is taken under the lock.
        self.public.load(Ordering::Relaxed) > 0
    }

    /// Whether there are pieces, and idle workers with a core for them.
    pub(crate) fn has_more_for(&self, idle: usize) -> bool {
        self.has_jobs() && self.idle_cores(idle) > 0
    }

    /// The next stolen, for a worker that is outside of all fork-join work.
    pub(crate) fn take(&self, idle: usize) -> Option<StolenJob> {
        if !self.has_jobs() {
            self.request_jobs();
            return None;
        }
        let mut state = self.state.lock();
        let stolen = state.take_at(0);
        self.changed(&state, idle);
        stolen
    }

    /// A worker has found nothing.
    fn request_jobs(&self) {
        if !self.wants_jobs() {
            // Ordering: Relaxed: a hint. If it is overwritten by one who publishes, then there is a stolen.
            self.wants_jobs.store(true, Ordering::Relaxed);
        }
    }

    /// A stolen below what `of` stands for. `seen` is what the last look in vain has seen.
    pub(crate) fn take_descendant(
        &self,
        of: *const (),
        idle: usize,
        seen: &mut Option<usize>,
    ) -> Option<StolenJob> {
        // Ordering: Relaxed: who misses a stolen looks again, or leaves it to others, who are told of it.
        let version = self.version.load(Ordering::Relaxed);
        if !self.has_jobs() || *seen == Some(version) {
            return None;
        }
        let stolen = self.take_if(idle, |frame| frame.is_descendant_of(of));
        if stolen.is_none() {
            *seen = Some(version);
        }
        stolen
    }

    /// A stolen of the fork-join work of a task.
    pub(crate) fn take_of_task(&self, task: TaskPtr, idle: usize) -> Option<StolenJob> {
        if !self.has_jobs() {
            return None;
        }
        self.take_if(idle, |frame| frame.is_of(task))
    }

    fn take_if(&self, idle: usize, fits: impl Fn(&Frame) -> bool) -> Option<StolenJob> {
        let mut state = self.state.lock();
        let index = (0..state.offers.len()).find(|&index| fits(state.frame_of(index)))?;
        let stolen = state.take_at(index);
        self.changed(&state, idle);
        stolen
    }

    /// Takes a job off the shared_jobs, for its owner. Says whether it was still there.
    pub(crate) fn take_back(&self, job: &JobHeader, idle: usize) -> bool {
        if job.is_done() {
            return false;
        }
        let mut state = self.state.lock();
        if !job.is_public() {
            return false;
        }
        // As a rule it is one of the last.
        let index = state
            .offers
            .iter()
            .rposition(|offer| matches!(offer, Offer::JobHeader(other) if ptr::eq(*other, job)));
        if let Some(index) = index {
            state.offers.remove(index);
            state.public -= 1;
        }
        self.changed(&state, idle);
        index.is_some()
    }

    /// A job, if it is still there.
    pub(crate) fn take_job(&self, job: &JobHeader, idle: usize) -> Option<StolenJob> {
        let mut state = self.state.lock();
        let index = state
            .offers
            .iter()
            .rposition(|offer| matches!(offer, Offer::JobHeader(other) if ptr::eq(*other, job)))?;
        let stolen = state.take_at(index);
        self.changed(&state, idle);
        stolen
    }

    /// Publishes the halves that `next` gives until there are enough, and `at_least` so many. Says whether a worker is
    /// to be invited.
    pub(crate) fn publish(
        &self,
        idle: usize,
        at_least: usize,
        mut next: impl FnMut() -> Option<*const JobHeader>,
    ) -> bool {
        let mut state = self.state.lock();
        let mut more = self.idle_cores(idle).saturating_sub(state.public).max(at_least);
        let mut published = 0;
        while more > 0
            && let Some(job) = next()
        {
            // SAFETY: the job is in the list of the calling thread, so its frame is there.
            unsafe { &*job }.published();
            state.offers.push_back(Offer::JobHeader(job));
            state.public += 1;
            published += 1;
            more -= 1;
        }
        self.published(&state, idle, published)
    }

    /// Publishes jobs of a scope. Says whether a worker is to be invited.
    pub(crate) fn publish_jobs(
        &self,
        scope_ref: ScopeRef,
        idle: usize,
        jobs: impl IntoIterator<Item = HeapJob>,
    ) -> bool {
        let mut state = self.state.lock();
        let scope = state.enter(scope_ref);
        let entry = &mut state.scopes[scope];
        let before = entry.jobs.len();
        entry.jobs.extend(jobs);
        let published = entry.jobs.len() - before;
        entry.unfinished += published;
        scope_ref.set_public(entry.jobs.len());
        state.public += published;
        if before == 0 && published > 0 {
            state.offers.push_back(Offer::Scope(scope));
        }
        self.published(&state, idle, published)
    }

    /// Takes the newer job of a scope's jobs off the shared_jobs, for its own thread.
    pub(crate) fn take_back_jobs(&self, scope: usize, idle: usize, own: &mut VecDeque<HeapJob>) {
        let mut state = self.state.lock();
        let entry = &mut state.scopes[scope];
        let kept = entry.jobs.len() / 2;
        let taken = entry.jobs.len() - kept;
        own.extend(entry.jobs.drain(kept..));
        entry.unfinished -= taken;
        state.took(scope, taken);
        self.changed(&state, idle);
    }

    /// Some jobs of a scope have finished, and may have panicked. Takes up to `more` others.
    fn finished(
        &self,
        scope: usize,
        jobs: usize,
        panic: Option<Payload>,
        idle: usize,
        more: usize,
    ) -> Vec<HeapJob> {
        let mut state = self.state.lock();
        let entry = &mut state.scopes[scope];
        let taken = more.min(entry.jobs.len());
        let next: Vec<HeapJob> = entry.jobs.drain(..taken).collect();
        entry.unfinished -= jobs;
        let extra = match panic {
            Some(panic) if entry.panic.is_none() => {
                entry.panic = Some(panic);
                None
            }
            extra => extra,
        };
        let sleeper = if entry.unfinished == 0 { entry.sleeper.take() } else { None };
        if taken > 0 {
            state.took(scope, taken);
            self.changed(&state, idle);
        }
        drop(state);
        if let Some(sleeper) = sleeper {
            sleeper.unpark();
        }
        forget_payload(extra);
        next
    }

    /// Whether all public jobs of a scope have finished.
    pub(crate) fn is_finished(&self, scope: usize) -> bool {
        self.state.lock().scopes[scope].unfinished == 0
    }

    /// Says who is to be woken when all public jobs of a scope have finished, unless they have.
    pub(crate) fn set_waker(&self, scope: usize, sleeper: Option<Unparker>) {
        let mut state = self.state.lock();
        let entry = &mut state.scopes[scope];
        let before = if entry.unfinished > 0 {
            std::mem::replace(&mut entry.sleeper, sleeper)
        } else {
            sleeper
        };
        drop(state);
        drop(before);
    }

    /// Takes a scope off the shared_jobs that has finished. What its first panic carried.
    pub(crate) fn leave(&self, scope: usize) -> Option<Payload> {
        self.state.lock().scopes.remove(scope).panic
    }

    pub(crate) fn add_external_thread(&self) {
        // Ordering: Relaxed: a hint.
        self.external_threads.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn remove_external_thread(&self) {
        // Ordering: Relaxed: a hint.
        self.external_threads.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many idle workers there is a core for (rule 7).
    fn idle_cores(&self, idle: usize) -> usize {
        // Ordering: Relaxed: a hint.
        idle.saturating_sub(self.external_threads.load(Ordering::Relaxed))
    }

    fn published(
        &self,
        state: &MutexGuard<'_, SharedJobsState>,
        idle: usize,
        published: usize,
    ) -> bool {
        // Ordering: Relaxed, under the lock. See `take_descendant`.
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        self.changed(state, idle);
        published > 0 && self.idle_cores(idle) > 0
    }

    /// Says what there is now. Under the lock.
    fn changed(&self, state: &MutexGuard<'_, SharedJobsState>, idle: usize) {
        // Ordering: Relaxed both: see `has_jobs` and `wants_jobs`.
        self.public.store(state.public, Ordering::Relaxed);
        self.wants_jobs.store(state.public < self.idle_cores(idle), Ordering::Relaxed);
    }
}

impl SharedJobsState {
    fn frame_of(&self, index: usize) -> &Frame {
        let frame = match &self.offers[index] {
            // SAFETY: a job on the shared_jobs has not been run, so its owner's frame is there.
            Offer::JobHeader(job) => unsafe { &**job }.frame(),
            Offer::Scope(scope) => self.scopes[*scope].scope_ref.frame(),
        };
        // SAFETY: the job or scope has not finished, so the frame in which it was forked is there.
        unsafe { &*frame }
    }

    /// Takes the offer at an index, if there is one: a job, or one job of a scope.
    fn take_at(&mut self, index: usize) -> Option<StolenJob> {
        let taken = match self.offers.remove(index)? {
            Offer::JobHeader(job) => {
                // SAFETY: as in `frame_of`.
                unsafe { &*job }.taken();
                Stolen::JobHeader(job)
            }
            Offer::Scope(scope) => {
                let entry = &mut self.scopes[scope];
                let job = entry.jobs.pop_front()?;
                let scope_ref = entry.scope_ref;
                scope_ref.set_public(entry.jobs.len());
                if !entry.jobs.is_empty() {
                    self.offers.push_back(Offer::Scope(scope));
                }
                Stolen::HeapJob { scope, scope_ref, job }
            }
        };
        self.public -= 1;
        Some(StolenJob(taken))
    }

    /// The number of a scope, which is new here if it has none.
    fn enter(&mut self, scope_ref: ScopeRef) -> usize {
        scope_ref.number().unwrap_or_else(|| {
            let number = self.scopes.insert(SharedScope {
                scope_ref,
                jobs: VecDeque::new(),
                unfinished: 0,
                sleeper: None,
                panic: None,
            });
            scope_ref.set_number(number);
            number
        })
    }

    /// Some jobs of a scope were taken, wherever its offer is.
    fn took(&mut self, scope: usize, jobs: usize) {
        self.public -= jobs;
        let entry = &self.scopes[scope];
        entry.scope_ref.set_public(entry.jobs.len());
        if entry.jobs.is_empty() && jobs > 0 {
            let is_it = |offer: &Offer| matches!(offer, Offer::Scope(other) if *other == scope);
            if let Some(index) = self.offers.iter().position(is_it) {
                self.offers.remove(index);
            }
        }
    }
}

impl StolenJob {
    /// Runs it.
    pub(crate) fn run(self, at: &CurrentFrame, shared_jobs: &SharedJobs, idle: impl Fn() -> usize) {
        match self.0 {
            // SAFETY: it was taken off the shared_jobs by who made this, once.
            Stolen::JobHeader(job) => unsafe { JobHeader::run(job, at) },
            Stolen::HeapJob { scope, scope_ref, job } => {
                shared_jobs.run_jobs(scope, scope_ref, job, at, idle)
            }
        }
    }
}

/// Jobs that take less than this are taken off the shared_jobs several at a time, so that most of the time goes into them.
const SHORT: Duration = Duration::from_micros(4);

/// How many jobs are taken at once at most.
const MOST: usize = 64;

/// How long a thread goes on with jobs of one scope.
const TURN: Duration = Duration::from_micros(100);

impl SharedJobs {
    /// Runs a job, and others of the same scope as long as they are short.
    fn run_jobs(
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
        let mut done = 1;
        loop {
            let now = Instant::now();
            let short = now - before < SHORT && now - begin < TURN && !cfg!(moirai_loom);
            let more = if short { (2 * done).min(MOST) } else { 0 };
            let jobs = self.finished(scope, done, panic.take(), idle(), more);
            if jobs.is_empty() {
                return;
            }
            (before, done) = (now, jobs.len());
            for job in jobs {
                let payload = scope_ref.run(at, job);
                keep_first(&mut panic, payload);
            }
        }
    }
}
