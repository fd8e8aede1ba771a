//! The default scheduler: a queue per worker, and whoever runs dry steals.
//!
//! # Where a task goes
//!
//! | priority | from | goes to | visibility |
//! | --- | --- | --- | --- |
//! | normal | a worker, spawned | its slot | slot |
//! | normal | a worker, spawned, slot full | the back of its queue | shared |
//! | normal | a worker, offered | the back of its queue | shared |
//! | normal | a worker, woken | its slot | slot |
//! | normal | a worker, woken, slot full | its slot; the one that was there to the back of its queue | shared |
//! | normal | a worker, yielded | the back of its queue | shared |
//! | normal | any other thread | the injector | shared |
//! | critical, high, low | anywhere, for whatever reason | the band of that priority | shared |
//!
//! # Where a worker looks
//!
//! 1. Every [`LOW_EVERY`]th time: the low band.
//! 2. The critical band, the high band; of [`HIGH_EVERY`] tasks from there one is a high one. After [`ELEVATED_RUN`] in
//!    a row it looks for what comes below first.
//! 3. Every [`INJECTOR_EVERY`]th time that it comes this far, and when the executor says that it was long ago: the injector, for a
//!    batch.
//! 4. Its slot, at most [`SLOT_RUN`] times in a row.
//! 5. Its queue.
//! 6. The injector, for a batch. Its slot, if rule 4 passed it over.
//! 7. The other workers' queues, for a batch, starting with a random one.
//! 8. The low band.
//! 9. The other workers' slots, if the look before this one found nothing either. A task just woken is best left to its
//!    worker, which as a rule is about to take it; see tokio's [#8065] and [#8100]. So is one task just spawned: of a chain
//!    of tasks each of which spawns the next, or spawns one and awaits it, none is worth a wake-up.
//!
//! # Bounds
//!
//! For tasks that wait in the same place, first come, first served. Beyond that, for one worker that goes on taking
//! tasks:
//!
//! - A normal or low task that waits is passed over by at most [`ELEVATED_RUN`] critical and high ones in a row.
//! - A high task at the head of its band is taken at the latest with the [`HIGH_EVERY`]th critical or high task.
//! - A low task at the head of its band is taken at the latest with the [`LOW_EVERY`]th task.
//! - A task in the worker's queue is passed over by at most [`SLOT_RUN`] from its slot in a row, so a task that keeps
//!   waking itself cannot hold it back.
//! - A task at the head of the injector is taken at the latest with the [`INJECTOR_EVERY`]th normal one.
//!
//! They are bounds for workers: [`take`](Scheduler::take), for threads that are none, goes by priority alone.
//!
//! # How the contract is kept
//!
//! Tasks are handed out once because the queues and the slot hand out once. A task that was pushed is seen by a
//! pop that comes after it because each queue publishes it before its push returns, and because the count of the bands
//! is never too low. A task that a thief carries from one queue to another is missed by nobody who looks meanwhile. And
//! what others find in two pops in a row is all there is, slots included. Each of these has its argument at the head of
//! the file that does it: `slot.rs`, `bands.rs`, `moves.rs`.
//!
//! The shape is that of tokio's multi-threaded scheduler; the deque is Chase and Lev's, by crossbeam.
//!
//! [#8065]: https://github.com/tokio-rs/tokio/issues/8065
//! [#8100]: https://github.com/tokio-rs/tokio/pull/8100

use std::fmt;
use std::sync::OnceLock;

use crossbeam_utils::CachePadded;
use moirai_core::shim::sync::Arc;
use moirai_core::{Claims, Priority, Scheduler, Visibility};

use crate::queue::{Injector, Stealer, Worker};

use super::bands::{Band, Bands, ELEVATED_RUN, LOW_EVERY};
use super::in_flight::{Moves, Settled};
use super::local::{INJECTOR_EVERY, WorkStealingLocal};
use super::slot::{SlotThief, slot};

/// The bounds together: a task in the injector waits for [`INJECTOR_EVERY`] looks for a normal task, of which each can wait for
/// [`ELEVATED_RUN`] urgent ones, and for the turns of the low band between them.
const FAIRNESS: u32 = {
    let normal = INJECTOR_EVERY * (ELEVATED_RUN + 1);
    normal + normal / (LOW_EVERY - 1) + 2
};

/// A turn of the low band, and one of a normal task after a run of urgent ones.
const INVERSION: u32 = 2;

/// The default scheduler. See the [module](self) for the order in which tasks run.
///
/// ```
/// use moirai_core::{LocalQueue, Priority, Ready, Scheduler};
/// use moirai_scheduler::WorkStealing;
///
/// let scheduler = WorkStealing::new();
/// let mut workers = scheduler.start(2);
/// let _ = workers[0].push("offered", Priority::Normal, Ready::Offered);
/// let _ = workers[0].push("woken", Priority::Normal, Ready::Woken);
/// let _ = scheduler.push("urgent", Priority::Critical);
///
/// assert_eq!(scheduler.len(), 3);
/// assert_eq!(workers[0].pop(), Some("urgent"));
/// assert_eq!(workers[0].pop(), Some("woken"));
/// assert_eq!(workers[1].pop(), Some("offered"));
/// assert!(scheduler.is_empty());
/// ```
pub struct WorkStealing<T> {
    shared: Arc<Shared<T>>,
}

/// What all threads share.
pub(super) struct Shared<T> {
    /// Normal tasks from threads that are no workers.
    pub(super) injector: Injector<T>,
    pub(super) bands: Bands<T>,
    /// Written once, by `start`.
    seats: OnceLock<Box<[CachePadded<Seat<T>>]>>,
}

/// What the others see of a worker.
pub(super) struct Seat<T> {
    pub(super) stealer: Stealer<T>,
    pub(super) slot: SlotThief<T>,
    pub(super) moves: Moves,
}

impl<T> WorkStealing<T> {
    /// A scheduler without tasks or workers.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                injector: Injector::new(),
                bands: Bands::new(),
                seats: OnceLock::new(),
            }),
        }
    }

    /// Whether the bands' count says that critical or high tasks are queued.
    #[cfg(all(test, moirai_loom))]
    pub(crate) fn has_elevated(&self) -> bool {
        self.shared.bands.has_elevated()
    }
}

impl<T> Default for WorkStealing<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Send + 'static> Scheduler<T> for WorkStealing<T> {
    type Local = WorkStealingLocal<T>;

    /// # Panics
    ///
    /// When called a second time.
    fn start(&self, workers: usize) -> Vec<Self::Local> {
        let (seats, owned): (Vec<_>, Vec<_>) = (0..workers)
            .map(|_| {
                let worker = Worker::new();
                let (owner, thief) = slot();
                let seat = Seat { stealer: worker.stealer(), slot: thief, moves: Moves::new() };
                (CachePadded::new(seat), (worker, owner))
            })
            .unzip();
        assert!(
            self.shared.seats.set(seats.into_boxed_slice()).is_ok(),
            "a scheduler is started once"
        );
        owned
            .into_iter()
            .enumerate()
            .map(|(index, (worker, slot))| {
                WorkStealingLocal::new(Arc::clone(&self.shared), index, worker, slot)
            })
            .collect()
    }

    fn push(&self, task: T, priority: Priority) -> Visibility {
        match Band::of(priority) {
            None => self.shared.injector.push(task),
            Some(band) => self.shared.bands.push(task, band),
        }
        Visibility::Shared
    }

    fn take(&self) -> Option<T> {
        let shared = &*self.shared;
        if shared.bands.has_elevated()
            && let Some(task) = shared.bands.take_elevated(false)
        {
            return Some(task);
        }
        let normal = shared.look_until_settled(|| {
            shared.injector.steal().or_else(|| {
                let stealers = shared.seats().iter().map(|seat| &seat.stealer);
                stealers.filter(|stealer| !stealer.is_empty()).find_map(Stealer::steal)
            })
        });
        normal
            .or_else(|| shared.bands.take_low())
            .or_else(|| shared.seats().iter().find_map(|seat| seat.slot.take()))
    }

    fn reclaim(&self, worker: usize) -> Option<T> {
        let seat = self.shared.seats().get(worker)?;
        seat.slot.take().or_else(|| seat.stealer.steal())
    }

    fn claims(&self) -> Claims {
        Claims::none().fairness(FAIRNESS).inversion(INVERSION)
    }

    fn len(&self) -> usize {
        let shared = &*self.shared;
        let seats = shared.seats().iter();
        shared.injector.len()
            + shared.bands.len()
            + seats.map(|seat| seat.stealer.len() + usize::from(seat.slot.is_full())).sum::<usize>()
    }
}

impl<T> Shared<T> {
    /// The seats; none before the start.
    pub(super) fn seats(&self) -> &[CachePadded<Seat<T>>] {
        self.seats.get().map_or(&[], |seats| seats)
    }

    /// Looks for a task until there is one, or until no batch was in flight during the look (`moves.rs`, rule 3).
    pub(super) fn look_until_settled(&self, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        let mut rounds = 0;
        loop {
            let before = self.moves_before();
            let found = look();
            if found.is_some() || before.is_some_and(|before| self.moves_still(before)) {
                return found;
            }
            // A batch lands within nanoseconds, unless the thread that carries it was preempted.
            rounds += 1;
            if rounds < 32 {
                moirai_core::shim::hint::spin_loop();
            } else {
                moirai_core::shim::thread::yield_now();
            }
        }
    }

    fn moves_before(&self) -> Option<Settled> {
        Moves::before(self.seats().iter().map(|seat| &seat.moves))
    }

    fn moves_still(&self, before: Settled) -> bool {
        Moves::still(self.seats().iter().map(|seat| &seat.moves), before)
    }
}

impl<T> fmt::Debug for WorkStealing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkStealing")
            .field("workers", &self.shared.seats().len())
            .finish_non_exhaustive()
    }
}
