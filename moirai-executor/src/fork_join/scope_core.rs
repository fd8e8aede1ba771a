//! A scope without its lifetimes, on any host. Rule 10 of the [module](super).

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::thread;

use moirai_core::shim::cell::UnsafeCell;
use moirai_core::shim::sync::atomic::{AtomicUsize, Ordering};
use moirai_sync::Unparker;

use super::frame::Frame;
use super::host::Crew;
use super::latch::{Event, Wait};
use super::local_jobs::Hand;
use super::scope_job::{Head, Job, NONE, Payload, Place, forget_payload, keep_first};
use super::shared_jobs::Board;
use crate::panics::{self, cancelled};

/// What a scope is, apart from its lifetimes.
// The head comes first: a pointer to the whole is one to it.
#[repr(C)]
pub(crate) struct Core<H> {
    pub(crate) head: Head,
    /// Of the scope's own thread. Only compared.
    hand: *const Hand,
    /// What was given to [`run`], whose caller keeps it until the scope has ended.
    host: *const H,
    /// Jobs that nobody else knows. The scope's own thread's.
    own: UnsafeCell<VecDeque<Job>>,
}

// SAFETY: `own` is touched by the scope's own thread only; `hand` is only compared; `host` points to what is `Sync`; the head is an
// atomic and a frame that is not written any more.
unsafe impl<H: Sync> Sync for Core<H> {}

impl<H: Crew> Core<H> {
    fn new(hand: &Hand, host: &H) -> Self {
        // The frame's identity is its own address, which it does not have yet: see `settle`.
        // SAFETY: the thread's frame is that of a caller, which is still there.
        let frame = unsafe { Frame::below(hand.frame().get(), ptr::null()) };
        Self {
            head: Head { frame, number: AtomicUsize::new(NONE), public: AtomicUsize::new(0) },
            hand,
            host,
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

    /// The host that the scope runs on.
    pub(crate) const fn host(&self) -> &H {
        // SAFETY: see the field: the host outlives the scope.
        unsafe { &*self.host }
    }

    /// Queues a job, for the thread whose hand is `hand`.
    pub(crate) fn spawn(&self, hand: *const Hand, job: Job) {
        let crew = self.host();
        if self.head.frame.is_cancelled() && !thread::panicking() {
            let _ = panics::contain(|| drop(job));
            cancelled::unwind();
        }
        let invites = if ptr::eq(hand, self.hand) {
            self.with_own(|own| own.push_back(job));
            if !self.is_to_publish() {
                return;
            }
            self.publish()
        } else {
            crew.board().publish_jobs(self.place(), crew.idle(), [job])
        };
        if invites {
            crew.invite();
        }
    }

    /// Rule 5.
    fn is_to_publish(&self) -> bool {
        // Ordering: Relaxed: a hint.
        self.host().board().is_hungry() || self.head.public.load(Ordering::Relaxed) == 0
    }

    /// Publishes the older half of the own jobs, and says whether a worker is to be invited. Only on the scope's own thread.
    fn publish(&self) -> bool {
        let crew = self.host();
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
    fn finish(&self, hand: &Hand) -> Option<Payload> {
        let crew = self.host();
        let mut first = None;
        let mut wait = Wait::new();
        loop {
            while let Some(job) = self.with_own(|own| {
                if let Some(drawn) = crew.draw(own.len()) {
                    return own.swap_remove_back(drawn);
                }
                own.pop_back()
            }) {
                if self.is_to_publish() && self.with_own(|own| !own.is_empty()) && self.publish() {
                    crew.invite();
                }
                keep_first(&mut first, self.place().run(hand.frame(), job));
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

/// Calls `f` with a scope, and returns when all that was spawned in it has finished.
pub(crate) fn run<H: Crew, R>(hand: &Hand, crew: &H, f: impl FnOnce(&Core<H>) -> R) -> R {
    if hand.frame().is_cancelled() {
        return hand.frame().uncancelled(|| run(hand, crew, f));
    }
    let mut core = Core::new(hand, crew);
    core.settle();
    // Where it is now it stays.
    let core = &core;
    // Until all jobs have finished nothing unwinds: they may know of this frame.
    let result: thread::Result<R> = hand.frame().within(core.place().frame(), || {
        let result = catch_unwind(AssertUnwindSafe(|| f(core)));
        match (result, core.finish(hand)) {
            (result, None) => result,
            (Ok(value), Some(payload)) => {
                let _ = panics::contain(|| drop(value));
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
                let _ = panics::contain(|| drop(value));
                cancelled::unwind();
            }
            value
        }
        Err(payload) => resume_unwind(payload),
    }
}

/// Scopes for models, which have no executor.
#[cfg(all(test, moirai_loom))]
pub(crate) mod models {
    use super::{Core, Crew, Hand, Job, Place};

    /// Where a model spawns jobs.
    pub(crate) struct Spawner<'a, H>(&'a Core<H>);

    impl<H: Crew + 'static> Spawner<'_, H> {
        pub(crate) fn spawn(
            &self,
            hand: *const Hand,
            f: impl FnOnce(Spawner<'_, H>) + Send + 'static,
        ) {
            let job = move |place: Place| {
                // SAFETY: the place is that of a core of this host, which is there until this job has finished.
                f(Spawner(unsafe { &*place.0.cast::<Core<H>>() }));
            };
            self.0.spawn(hand, Job(Box::new(job)));
        }
    }

    pub(crate) fn scope<H: Crew, R>(
        hand: &Hand,
        crew: &H,
        f: impl FnOnce(Spawner<'_, H>) -> R,
    ) -> R {
        super::run(hand, crew, |core| f(Spawner(core)))
    }
}
