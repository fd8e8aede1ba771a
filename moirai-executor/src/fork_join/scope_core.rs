//! Scopes: any number of jobs that may borrow from the caller. Rule 10 of the [module](super).

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::thread;

use moirai_core::shim::cell::UnsafeCell;
use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering};
use moirai_sync::Unparker;

use crate::fork_join::Board;
use crate::fork_join::frame::Frame;
use crate::fork_join::local_jobs::Hand;
use crate::panics;
use crate::panics::cancelled;
use crate::runtime::context::Context;
use crate::runtime::fork_host::{Crew, Event, Wait};
use crate::runtime::shared::Shared;

/// What a panic carries.
pub(crate) type Payload = Box<dyn Any + Send>;

/// The number of a scope that is not on the board.
const NONE: usize = usize::MAX;

/// What is spawned in a scope. It is called with the scope's place.
pub(crate) struct Job(Box<dyn FnOnce(Place) + Send>);

/// The part of a scope that the board knows.
struct Head {
    frame: Frame,
    /// Where the board has it. Written under the board's lock.
    number: AtomicUsize,
    /// How many of its jobs are on the board. Written under the board's lock.
    public: AtomicUsize,
}

/// Where a scope is, on the stack of its own thread.
#[derive(Clone, Copy)]
pub(crate) struct Place(*const Head);

// SAFETY: it leads to a scope's head, which is `Sync`, and which is there until the scope's jobs have finished.
unsafe impl Send for Place {}

impl Place {
    /// The scope's frame.
    pub(crate) const fn frame(self) -> *const Frame {
        // SAFETY: who has a place has it for a job that has not finished, or is the scope's own thread.
        unsafe { &raw const (*self.0).frame }
    }

    /// What waits for the jobs.
    const fn identity(self) -> *const () {
        self.0.cast()
    }

    /// The scope's number on the board, if it has one.
    pub(crate) fn number(self) -> Option<usize> {
        // SAFETY: as in `frame`.
        let number = unsafe { &(*self.0).number };
        // Ordering: Relaxed: under the lock; or asked by the scope's own thread when its closure has returned: a thread that has set
        // it since then ran a job that was public, so it was set before.
        Some(number.load(Ordering::Relaxed)).filter(|number| *number != NONE)
    }

    /// The board has entered the scope. Under the lock.
    pub(crate) fn set_number(self, number: usize) {
        // SAFETY: as in `frame`.
        let place = unsafe { &(*self.0).number };
        // Ordering: Relaxed: see `number`.
        place.store(number, Ordering::Relaxed);
    }

    /// Says how many of the scope's jobs are on the board. Under the lock.
    pub(crate) fn set_public(self, jobs: usize) {
        // SAFETY: as in `frame`.
        let public = unsafe { &(*self.0).public };
        // Ordering: Relaxed: a hint.
        public.store(jobs, Ordering::Relaxed);
    }

    /// Runs a job, or drops it if the task that called was cancelled. What its panic carried.
    pub(crate) fn run(self, hand: &Hand, job: Job) -> Option<Payload> {
        let frame = self.frame();
        // SAFETY: as in `frame`.
        if unsafe { &*frame }.is_cancelled() {
            let _ = panics::message_of(|| drop(job));
            return None;
        }
        hand.within(frame, || catch_unwind(AssertUnwindSafe(|| (job.0)(self)))).err()
    }
}

/// What a scope is, apart from its lifetimes.
// The head comes first: a pointer to the whole is one to it.
#[repr(C)]
struct Core {
    head: Head,
    /// Of the scope's own thread. Only compared.
    hand: *const Hand,
    /// What was given to `run`.
    crew: *const (),
    /// Jobs that nobody else knows. The scope's own thread's.
    own: UnsafeCell<VecDeque<Job>>,
}

// SAFETY: `own` is touched by the scope's own thread only; `hand` is only compared; `crew` points to what is `Sync`; the head is an
// atomic and a frame that is not written any more.
unsafe impl Sync for Core {}

impl Core {
    fn new(hand: &Hand, crew: *const ()) -> Self {
        // The frame's identity is its own address, which it does not have yet: see `settle`.
        // SAFETY: the thread's frame is that of a caller, which is still there.
        let frame = unsafe { Frame::below(hand.frame(), ptr::null()) };
        Self {
            head: Head { frame, number: AtomicUsize::new(NONE), public: AtomicUsize::new(0) },
            hand,
            crew,
            own: UnsafeCell::new(VecDeque::new()),
        }
    }

    /// From here on it must not move.
    fn settle(&mut self) {
        let identity = Place(&raw const self.head).identity();
        self.head.frame.wait_as(identity);
    }

    fn place(&self) -> Place {
        Place(ptr::from_ref(self).cast())
    }

    /// Queues a job, for the thread whose hand is `hand`.
    fn spawn(&self, hand: *const Hand, crew: &impl Crew, job: Job) {
        if self.head.frame.is_cancelled() && !thread::panicking() {
            let _ = panics::message_of(|| drop(job));
            cancelled::unwind();
        }
        let invites = if ptr::eq(hand, self.hand) {
            self.with_own(|own| own.push_back(job));
            if !self.is_to_publish(crew) {
                return;
            }
            self.publish(crew)
        } else {
            crew.board().publish_jobs(self.place(), crew.idle(), [job])
        };
        if invites {
            crew.invite();
        }
    }

    /// Rule 5.
    fn is_to_publish(&self, crew: &impl Crew) -> bool {
        // Ordering: Relaxed: a hint.
        crew.board().is_hungry() || self.head.public.load(Ordering::Relaxed) == 0
    }

    /// Publishes the older half of the own jobs, and says whether a worker is to be invited. Only on the scope's own thread.
    fn publish(&self, crew: &impl Crew) -> bool {
        if crew.draw(1).is_some() {
            // Nobody would come for them; see `finish`.
            return false;
        }
        self.with_own(|own| {
            let older = own.len().div_ceil(2);
            crew.board().publish_jobs(self.place(), crew.idle(), own.drain(..older))
        })
    }

    /// Calls `f` with the own jobs. Only on the scope's own thread, and `f` runs no code of users.
    fn with_own<R>(&self, f: impl FnOnce(&mut VecDeque<Job>) -> R) -> R {
        self.own.with_mut(|own| {
            // SAFETY: only the scope's own thread gets here, and never twice at once.
            f(unsafe { &mut *own })
        })
    }

    /// Runs what is left, waits for the rest, and says what the first panic carried.
    fn finish(&self, hand: &Hand, crew: &impl Crew) -> Option<Payload> {
        let mut first = None;
        let mut wait = Wait::new();
        loop {
            while let Some(job) = self.with_own(|own| {
                if let Some(drawn) = crew.draw(own.len()) {
                    return own.swap_remove_back(drawn);
                }
                own.pop_back()
            }) {
                if self.is_to_publish(crew)
                    && self.with_own(|own| !own.is_empty())
                    && self.publish(crew)
                {
                    crew.invite();
                }
                keep_first(&mut first, self.place().run(hand, job));
            }
            let Some(number) = self.place().number() else {
                return first;
            };
            self.with_own(|own| crew.board().take_back_jobs(number, crew.idle(), own));
            if self.with_own(|own| !own.is_empty()) {
                continue;
            }
            if crew.board().is_finished(number) {
                keep_first(&mut first, crew.board().leave(number));
                return first;
            }
            let event = Finished { board: crew.board(), number };
            hand.pass_time(crew, &event, self.place().identity(), &mut wait);
        }
    }
}

/// That all public jobs of a scope have finished.
struct Finished<'a> {
    board: &'a Board,
    number: usize,
}

impl Event for Finished<'_> {
    fn has_happened(&self) -> bool {
        self.board.is_finished(self.number)
    }

    fn arm(&self, unparker: Unparker) {
        self.board.arm(self.number, Some(unparker));
    }

    fn disarm(&self) {
        self.board.arm(self.number, None);
    }
}

pub(crate) fn keep_first(first: &mut Option<Payload>, payload: Option<Payload>) {
    if first.is_none() {
        *first = payload;
    } else {
        forget_payload(payload);
    }
}

/// Drops what another panic carried, whose destructor may panic too.
pub(crate) fn forget_payload(payload: Option<Payload>) {
    let _ = panics::message_of(|| drop(payload));
}

/// Calls `f` with a scope, and returns when all that was spawned in it has finished.
fn run<R>(hand: &Hand, crew: &impl Crew, f: impl FnOnce(&Core) -> R) -> R {
    if hand.is_cancelled() {
        return hand.in_uncancelled_frame(|| run(hand, crew, f));
    }
    let mut core = Core::new(hand, ptr::from_ref(crew).cast());
    core.settle();
    // Where it is now it stays.
    let core = &core;
    // Until all jobs have finished nothing unwinds: they may know of this frame.
    let result: thread::Result<R> = hand.within(core.place().frame(), || {
        let result = catch_unwind(AssertUnwindSafe(|| f(core)));
        match (result, core.finish(hand, crew)) {
            (result, None) => result,
            (Ok(value), Some(payload)) => {
                let _ = panics::message_of(|| drop(value));
                Err(payload)
            }
            (Err(payload), rest) => {
                forget_payload(rest);
                Err(payload)
            }
        }
    });
    match result {
        Ok(value) => {
            // Jobs that were queued then were not run.
            if core.head.frame.is_cancelled() && !thread::panicking() {
                let _ = panics::message_of(|| drop(value));
                cancelled::unwind();
            }
            value
        }
        Err(payload) => resume_unwind(payload),
    }
}

/// Where closures can be spawned that borrow from outside of the scope. See `Moirai::scope`.
///
/// `'scope` is the time that the scope takes, `'env` that of what its closures borrow, which is longer.
///
/// What a closure borrows must outlive the scope. What the scope's own closure owns does not:
///
/// ```compile_fail,E0373
/// # use moirai_executor::HybridExecutor;
/// # let executor = HybridExecutor::builder().worker_threads(1).build().unwrap();
/// executor.scope(|s| {
///     let local = 1;
///     s.spawn(|_| println!("{local}"));
/// });
/// ```
///
/// Two closures cannot both have the same thing to change:
///
/// ```compile_fail,E0499
/// # use moirai_executor::HybridExecutor;
/// # let executor = HybridExecutor::builder().worker_threads(1).build().unwrap();
/// let mut sum = 0;
/// executor.scope(|s| {
///     s.spawn(|_| sum += 1);
///     s.spawn(|_| sum += 2);
/// });
/// ```
///
/// What cannot be sent to another thread cannot be taken there by a closure:
///
/// ```compile_fail,E0277
/// # use moirai_executor::HybridExecutor;
/// # let executor = HybridExecutor::builder().worker_threads(1).build().unwrap();
/// let here = std::rc::Rc::new(1);
/// executor.scope(|s| s.spawn(|_| println!("{here}")));
/// ```
///
/// The scope itself cannot be kept beyond its end, nor what was borrowed be dropped before:
///
/// ```compile_fail,E0521
/// # use moirai_executor::{HybridExecutor, Scope};
/// # let executor = HybridExecutor::builder().worker_threads(1).build().unwrap();
/// let mut kept: Option<&Scope<'_, '_>> = None;
/// executor.scope(|s| kept = Some(s));
/// ```
///
/// ```compile_fail,E0505
/// # use moirai_executor::HybridExecutor;
/// # let executor = HybridExecutor::builder().worker_threads(1).build().unwrap();
/// let text = String::from("text");
/// executor.scope(|s| {
///     s.spawn(|_| println!("{text}"));
///     drop(text);
/// });
/// ```
///
/// And neither lifetime can be made shorter or longer:
///
/// ```compile_fail
/// # use moirai_executor::Scope;
/// fn shorter<'short, 'long: 'short, 'env: 'long>(
///     scope: &'short Scope<'long, 'env>,
/// ) -> &'short Scope<'short, 'env> {
///     scope
/// }
/// ```
pub struct Scope<'scope, 'env: 'scope> {
    /// On the stack of the scope's own thread.
    core: *const Core,
    // Invariant, as in `std::thread::scope`: 'scope must not shrink, or a job could borrow what the scope's own closure owns.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

// SAFETY: it leads to a core, which is `Sync`.
unsafe impl Sync for Scope<'_, '_> {}

impl<'scope, 'env: 'scope> Scope<'scope, 'env> {
    /// Of a core that is there as long as this is.
    const fn of(core: *const Core) -> Self {
        Self { core, scope: PhantomData, env: PhantomData }
    }

    const fn core(&self) -> &Core {
        // SAFETY: see `of`.
        unsafe { &*self.core }
    }

    fn shared(&self) -> &Shared {
        // SAFETY: it is that of `scope`, whose caller keeps the executor until the scope has ended.
        unsafe { &*self.core().crew.cast() }
    }

    /// Runs a closure on the workers, before the scope ends. It may borrow whatever outlives the scope, and can spawn more.
    ///
    /// It runs on any thread that works for the executor, the scope's own included, and in no particular order. If it panics, the
    /// scope goes on, and panics at its end.
    pub fn spawn<F>(&self, f: F)
    where
        F: FnOnce(&Scope<'scope, 'env>) + Send + 'scope,
    {
        let job = move |place: Place| f(&Scope::of(place.0.cast()));
        let job: Box<dyn FnOnce(Place) + Send + 'scope> = Box::new(job);
        // SAFETY: only the lifetime is changed: the scope ends, and with it 'scope, when the job has been run or dropped.
        let job: Box<dyn FnOnce(Place) + Send> = unsafe { mem::transmute(job) };
        let hand = Context::with(|context| context.map_or(ptr::null(), Context::hand_address));
        self.core().spawn(hand, self.shared(), Job(job));
    }

    /// As [`join`](crate::HybridExecutor::join) of the scope's executor.
    pub fn join<A, B, RA, RB>(&self, a: A, b: B) -> (RA, RB)
    where
        A: FnOnce() -> RA + Send,
        B: FnOnce() -> RB + Send,
        RA: Send,
        RB: Send,
    {
        crate::parallel::join::join_on(self.shared(), a, b)
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

/// Calls `f` with a scope of the executor, on a thread that is inside of its fork-join work.
pub(crate) fn scope<'env, F, R>(hand: &Hand, shared: &Shared, f: F) -> R
where
    F: for<'scope> FnOnce(&Scope<'scope, 'env>) -> R,
{
    run(hand, shared, |core| f(&Scope::of(core)))
}

/// Scopes for models, which have no executor.
#[cfg(all(test, moirai_loom))]
pub(crate) mod models {
    use super::{Core, Crew, Hand, Job, Place};

    /// Where a model spawns jobs.
    #[derive(Clone, Copy)]
    pub(crate) struct Spawner<'a>(&'a Core);

    impl Spawner<'_> {
        pub(crate) fn spawn(
            self,
            hand: *const Hand,
            crew: &impl Crew,
            f: impl FnOnce(Spawner<'_>) + Send + 'static,
        ) {
            let job = move |place: Place| {
                // SAFETY: the place is that of a core, which is there until this job has finished.
                f(Spawner(unsafe { &*place.0.cast() }));
            };
            self.0.spawn(hand, crew, Job(Box::new(job)));
        }
    }

    pub(crate) fn scope<R>(hand: &Hand, crew: &impl Crew, f: impl FnOnce(Spawner<'_>) -> R) -> R {
        super::run(hand, crew, |core| f(Spawner(core)))
    }
}
