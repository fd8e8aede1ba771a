//! What is public: the halves and jobs that any worker may take.

use std::collections::VecDeque;
use std::ptr;
use std::time::{Duration, Instant};

use moirai_core::shim::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use moirai_core::shim::sync::{Mutex, MutexGuard};
use moirai_sync::Unparker;
use slab::Slab;

use super::frame::{CurrentFrame, Frame};
use super::scope_job::{Job, Payload, Place, forget_payload, keep_first};
use super::stack_job::Half;
use crate::task::TaskPtr;

/// The public pieces of an executor.
///
/// One lock for all: what is published is the exception, a few pieces for each idle worker.
pub(crate) struct Board {
    /// Whether a `join` is to publish. Read by each of them.
    hungry: AtomicBool,
    /// How many pieces there are.
    public: AtomicUsize,
    /// How often something was published. Who has looked at the board in vain need not look again while it is the same.
    version: AtomicUsize,
    /// Threads without a seat that set_join_waker their hands (rule 7).
    guests: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The oldest first. A scope is there once, while it has jobs here.
    offers: VecDeque<Offer>,
    /// How many pieces that makes.
    public: usize,
    scopes: Slab<Entered>,
}

enum Offer {
    Half(*const Half),
    Scope(usize),
}

/// A scope that has had a public job.
struct Entered {
    place: Place,
    jobs: VecDeque<Job>,
    /// Jobs that were made public and have not finished.
    unfinished: usize,
    /// The thread that waits for the last of them.
    sleeper: Option<Unparker>,
    /// What the first panic carried.
    panic: Option<Payload>,
}

// SAFETY: the pointers are to halves, whose closures and results are `Send`, and to scopes, which are `Sync`.
unsafe impl Send for State {}

/// Something that was taken from the board, to be run.
pub(crate) struct Piece(Taken);

enum Taken {
    Half(*const Half),
    Job { scope: usize, place: Place, job: Job },
}

impl Board {
    pub(crate) fn new() -> Self {
        Self {
            hungry: AtomicBool::new(true),
            public: AtomicUsize::new(0),
            version: AtomicUsize::new(0),
            guests: AtomicUsize::new(0),
            state: Mutex::new(State::default()),
        }
    }

    /// Whether more is to be published.
    #[inline]
    pub(crate) fn is_hungry(&self) -> bool {
        // Ordering: Relaxed: a hint.
        self.hungry.load(Ordering::Relaxed)
    }

    /// Whether there are pieces to take. Exact for who asks behind a fence (rule 8).
    #[inline]
    pub(crate) fn has_pieces(&self) -> bool {
        // Ordering: Relaxed: the fence of the sleeper's announcement comes before, that of `Sleepers::invite` after the store. What is
        // then taken is taken under the lock.
        self.public.load(Ordering::Relaxed) > 0
    }

    /// Whether there are pieces, and idle workers with a core for them.
    pub(crate) fn has_more_for(&self, idle: usize) -> bool {
        self.has_pieces() && self.spare(idle) > 0
    }

    /// The next piece, for a worker that is outside of all fork-join work.
    pub(crate) fn take(&self, idle: usize) -> Option<Piece> {
        if !self.has_pieces() {
            self.ask();
            return None;
        }
        let mut state = self.state.lock();
        let piece = state.take_at(0);
        self.changed(&state, idle);
        piece
    }

    /// A worker has found nothing.
    fn ask(&self) {
        if !self.is_hungry() {
            // Ordering: Relaxed: a hint. If it is overwritten by one who publishes, then there is a piece.
            self.hungry.store(true, Ordering::Relaxed);
        }
    }

    /// A piece below what `of` stands for. `seen` is what the last look in vain has seen.
    pub(crate) fn take_below(
        &self,
        of: *const (),
        idle: usize,
        seen: &mut Option<usize>,
    ) -> Option<Piece> {
        // Ordering: Relaxed: who misses a piece looks again, or leaves it to others, who are told of it.
        let version = self.version.load(Ordering::Relaxed);
        if !self.has_pieces() || *seen == Some(version) {
            return None;
        }
        let piece = self.take_if(idle, |frame| frame.is_below(of));
        if piece.is_none() {
            *seen = Some(version);
        }
        piece
    }

    /// A piece of the fork-join work of a task.
    pub(crate) fn take_of(&self, task: TaskPtr, idle: usize) -> Option<Piece> {
        if !self.has_pieces() {
            return None;
        }
        self.take_if(idle, |frame| frame.is_of(task))
    }

    fn take_if(&self, idle: usize, fits: impl Fn(&Frame) -> bool) -> Option<Piece> {
        let mut state = self.state.lock();
        let place = (0..state.offers.len()).find(|&index| fits(state.frame_of(index)))?;
        let piece = state.take_at(place);
        self.changed(&state, idle);
        piece
    }

    /// Takes a half off the board, for its owner. Says whether it was still there.
    pub(crate) fn take_back(&self, half: &Half, idle: usize) -> bool {
        if half.is_done() {
            return false;
        }
        let mut state = self.state.lock();
        if !half.is_public() {
            return false;
        }
        // As a rule it is one of the last.
        let place = state
            .offers
            .iter()
            .rposition(|offer| matches!(offer, Offer::Half(other) if ptr::eq(*other, half)));
        if let Some(place) = place {
            state.offers.remove(place);
            state.public -= 1;
        }
        self.changed(&state, idle);
        place.is_some()
    }

    /// A half, if it is still there.
    pub(crate) fn take_half(&self, half: &Half, idle: usize) -> Option<Piece> {
        let mut state = self.state.lock();
        let place = state
            .offers
            .iter()
            .rposition(|offer| matches!(offer, Offer::Half(other) if ptr::eq(*other, half)))?;
        let piece = state.take_at(place);
        self.changed(&state, idle);
        piece
    }

    /// Publishes the halves that `next` gives until there are enough, and `at_least` so many. Says whether a worker is
    /// to be invited.
    pub(crate) fn publish(
        &self,
        idle: usize,
        at_least: usize,
        mut next: impl FnMut() -> Option<*const Half>,
    ) -> bool {
        let mut state = self.state.lock();
        let mut more = self.spare(idle).saturating_sub(state.public).max(at_least);
        let mut published = 0;
        while more > 0
            && let Some(half) = next()
        {
            // SAFETY: the half is in the list of the calling thread, so its frame is there.
            unsafe { &*half }.published();
            state.offers.push_back(Offer::Half(half));
            state.public += 1;
            published += 1;
            more -= 1;
        }
        self.published(&state, idle, published)
    }

    /// Publishes jobs of a scope. Says whether a worker is to be invited.
    pub(crate) fn publish_jobs(
        &self,
        place: Place,
        idle: usize,
        jobs: impl IntoIterator<Item = Job>,
    ) -> bool {
        let mut state = self.state.lock();
        let scope = state.enter(place);
        let entered = &mut state.scopes[scope];
        let before = entered.jobs.len();
        entered.jobs.extend(jobs);
        let published = entered.jobs.len() - before;
        entered.unfinished += published;
        place.set_public(entered.jobs.len());
        state.public += published;
        if before == 0 && published > 0 {
            state.offers.push_back(Offer::Scope(scope));
        }
        self.published(&state, idle, published)
    }

    /// Takes the newer half of a scope's jobs off the board, for its own thread.
    pub(crate) fn take_back_jobs(&self, scope: usize, idle: usize, own: &mut VecDeque<Job>) {
        let mut state = self.state.lock();
        let entered = &mut state.scopes[scope];
        let kept = entered.jobs.len() / 2;
        let taken = entered.jobs.len() - kept;
        own.extend(entered.jobs.drain(kept..));
        entered.unfinished -= taken;
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
    ) -> Vec<Job> {
        let mut state = self.state.lock();
        let entered = &mut state.scopes[scope];
        let taken = more.min(entered.jobs.len());
        let next: Vec<Job> = entered.jobs.drain(..taken).collect();
        entered.unfinished -= jobs;
        let extra = match panic {
            Some(panic) if entered.panic.is_none() => {
                entered.panic = Some(panic);
                None
            }
            extra => extra,
        };
        let sleeper = if entered.unfinished == 0 { entered.sleeper.take() } else { None };
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
    pub(crate) fn arm(&self, scope: usize, sleeper: Option<Unparker>) {
        let mut state = self.state.lock();
        let entered = &mut state.scopes[scope];
        let before = if entered.unfinished > 0 {
            std::mem::replace(&mut entered.sleeper, sleeper)
        } else {
            sleeper
        };
        drop(state);
        drop(before);
    }

    /// Takes a scope off the board that has finished. What its first panic carried.
    pub(crate) fn leave(&self, scope: usize) -> Option<Payload> {
        self.state.lock().scopes.remove(scope).panic
    }

    pub(crate) fn guest_comes(&self) {
        // Ordering: Relaxed: a hint.
        self.guests.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn guest_leaves(&self) {
        // Ordering: Relaxed: a hint.
        self.guests.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many idle workers there is a core for (rule 7).
    fn spare(&self, idle: usize) -> usize {
        // Ordering: Relaxed: a hint.
        idle.saturating_sub(self.guests.load(Ordering::Relaxed))
    }

    fn published(&self, state: &MutexGuard<'_, State>, idle: usize, published: usize) -> bool {
        // Ordering: Relaxed, under the lock. See `take_below`.
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        self.changed(state, idle);
        published > 0 && self.spare(idle) > 0
    }

    /// Says what there is now. Under the lock.
    fn changed(&self, state: &MutexGuard<'_, State>, idle: usize) {
        // Ordering: Relaxed both: see `has_pieces` and `is_hungry`.
        self.public.store(state.public, Ordering::Relaxed);
        self.hungry.store(state.public < self.spare(idle), Ordering::Relaxed);
    }
}

impl State {
    fn frame_of(&self, index: usize) -> &Frame {
        let frame = match &self.offers[index] {
            // SAFETY: a half on the board has not been run, so its owner's frame is there.
            Offer::Half(half) => unsafe { &**half }.frame(),
            Offer::Scope(scope) => self.scopes[*scope].place.frame(),
        };
        // SAFETY: the half or scope has not finished, so the frame in which it was forked is there.
        unsafe { &*frame }
    }

    /// Takes the offer at a place, if there is one: a half, or one job of a scope.
    fn take_at(&mut self, index: usize) -> Option<Piece> {
        let taken = match self.offers.remove(index)? {
            Offer::Half(half) => {
                // SAFETY: as in `frame_of`.
                unsafe { &*half }.taken();
                Taken::Half(half)
            }
            Offer::Scope(scope) => {
                let entered = &mut self.scopes[scope];
                let job = entered.jobs.pop_front()?;
                let place = entered.place;
                place.set_public(entered.jobs.len());
                if !entered.jobs.is_empty() {
                    self.offers.push_back(Offer::Scope(scope));
                }
                Taken::Job { scope, place, job }
            }
        };
        self.public -= 1;
        Some(Piece(taken))
    }

    /// The number of a scope, which is new here if it has none.
    fn enter(&mut self, place: Place) -> usize {
        place.number().unwrap_or_else(|| {
            let number = self.scopes.insert(Entered {
                place,
                jobs: VecDeque::new(),
                unfinished: 0,
                sleeper: None,
                panic: None,
            });
            place.set_number(number);
            number
        })
    }

    /// Some jobs of a scope were taken, wherever its offer is.
    fn took(&mut self, scope: usize, jobs: usize) {
        self.public -= jobs;
        let entered = &self.scopes[scope];
        entered.place.set_public(entered.jobs.len());
        if entered.jobs.is_empty() && jobs > 0 {
            let is_it = |offer: &Offer| matches!(offer, Offer::Scope(other) if *other == scope);
            if let Some(place) = self.offers.iter().position(is_it) {
                self.offers.remove(place);
            }
        }
    }
}

impl Piece {
    /// Runs it.
    pub(crate) fn run(self, at: &CurrentFrame, board: &Board, idle: impl Fn() -> usize) {
        match self.0 {
            // SAFETY: it was taken off the board by who made this, once.
            Taken::Half(half) => unsafe { Half::run(half, at) },
            Taken::Job { scope, place, job } => board.run_jobs(scope, place, job, at, idle),
        }
    }
}

/// Jobs that take less than this are taken off the board several at a time, so that most of the time goes into them.
const SHORT: Duration = Duration::from_micros(4);

/// How many jobs are taken at once at most.
const MOST: usize = 64;

/// How long a thread goes on with jobs of one scope.
const TURN: Duration = Duration::from_micros(100);

impl Board {
    /// Runs a job, and others of the same scope as long as they are short.
    fn run_jobs(
        &self,
        scope: usize,
        place: Place,
        job: Job,
        at: &CurrentFrame,
        idle: impl Fn() -> usize,
    ) {
        let begin = Instant::now();
        let mut before = begin;
        let mut panic = place.run(at, job);
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
                let payload = place.run(at, job);
                keep_first(&mut panic, payload);
            }
        }
    }
}
