//! The default scheduler. See the [module](super).

use std::fmt;
use std::sync::OnceLock;

use crossbeam_utils::CachePadded;
use moirai_core::shim::sync::Arc;
use moirai_core::{Claims, Priority, Scheduler, Visibility};

use super::bands::{Band, Bands, ELEVATED_RUN, LOW_EVERY};
use super::in_flight::Moves;
use super::local::{INJECTOR_EVERY, WorkStealingLocal};
use super::shared::{Seat, Shared};
use super::slot::slot;
use crate::queue::{Injector, Stealer, Worker};

/// The bounds together: a task in the injector waits for [`INJECTOR_EVERY`] looks for a normal task, of which each can wait for
/// [`ELEVATED_RUN`] urgent ones, and for the turns of the low band between them.
const FAIRNESS: u32 = {
    let normal = INJECTOR_EVERY * (ELEVATED_RUN + 1);
    normal + normal / (LOW_EVERY - 1) + 2
};

/// A turn of the low band, and one of a normal task after a run of urgent ones.
const INVERSION: u32 = 2;

/// The default scheduler. See the [module](crate::work_stealing) for the order in which tasks run.
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

impl<T> fmt::Debug for WorkStealing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkStealing")
            .field("workers", &self.shared.seats().len())
            .finish_non_exhaustive()
    }
}
