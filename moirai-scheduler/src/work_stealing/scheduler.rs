//! The default scheduler. See the [module](super).

use std::fmt;
use std::sync::OnceLock;

use crossbeam_utils::CachePadded;
use moirai_core::shim::sync::Arc;
use moirai_core::{Guarantees, Hints, Priority, Scheduler, Visibility};

use super::bands::{Band, Bands, ELEVATED_RUN, LOW_EVERY};
use super::in_flight::StealsInFlight;
use super::local::{INJECTOR_EVERY, WorkStealingLocal};
use super::shared::{Remote, SharedQueues};
use super::slot::slot;
use crate::queue::{Injector, Stealer, Worker};

/// The bounds of the module together. A task in the injector waits while the worker looks [`INJECTOR_EVERY`] times for a normal
/// task. Each of those can wait for [`ELEVATED_RUN`] elevated ones, and for the turns of the low band in between.
const FAIRNESS: u32 = {
    let normal = INJECTOR_EVERY * (ELEVATED_RUN + 1);
    normal + normal / (LOW_EVERY - 1) + 2
};

/// A turn of the low band, and one of a normal task after a run of elevated ones.
const INVERSION: u32 = 2;

/// The default scheduler. See the [module](crate::work_stealing) for the order in which tasks run.
///
/// ```
/// use moirai_core::{LocalQueue, Priority, QueueReason, Scheduler};
/// use moirai_scheduler::WorkStealing;
///
/// let scheduler = WorkStealing::new();
/// let mut workers = scheduler.start(2);
/// let _ = workers[0].push("offered", Priority::Normal, QueueReason::Offered);
/// let _ = workers[0].push("woken", Priority::Normal, QueueReason::Woken);
/// let _ = scheduler.push("urgent", Priority::Critical);
///
/// assert_eq!(scheduler.len(), 3);
/// assert_eq!(workers[0].pop(), Some("urgent"));
/// assert_eq!(workers[0].pop(), Some("woken"));
/// assert_eq!(workers[1].pop(), Some("offered"));
/// assert!(scheduler.is_empty());
/// ```
pub struct WorkStealing<T> {
    shared: Arc<SharedQueues<T>>,
    newest_first: bool,
}

impl<T> WorkStealing<T> {
    /// Creates a scheduler without tasks or workers.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shared: Arc::new(SharedQueues {
                injector: Injector::new(),
                bands: Bands::new(),
                remotes: OnceLock::new(),
            }),
            newest_first: false,
        }
    }

    /// Creates a scheduler whose workers take the newest task of their queues first, as rayon's do. Thieves take the oldest.
    ///
    /// That suits work that is divided: what was split off last is the smallest and still in the cache, and the queues stay short. But
    /// nothing bounds how long a task waits at the old end of a queue while newer ones come, so it claims no
    /// [fairness](Guarantees::fairness). Tasks from other threads are still taken in the order in which they came.
    ///
    /// ```
    /// use moirai_core::{LocalQueue, Priority, QueueReason, Scheduler};
    /// use moirai_scheduler::WorkStealing;
    ///
    /// let mut workers = WorkStealing::newest_first().start(2);
    /// for task in 1..=3 {
    ///     let _ = workers[0].push(task, Priority::Normal, QueueReason::Offered);
    /// }
    /// assert_eq!(workers[0].pop(), Some(3));
    /// assert_eq!(workers[1].pop(), Some(1));
    /// ```
    #[must_use]
    pub fn newest_first() -> Self {
        Self { newest_first: true, ..Self::new() }
    }

    /// Takes a task from the critical or the high band.
    pub(crate) fn take_elevated(&self) -> Option<T> {
        let bands = &self.shared.bands;
        if bands.has_elevated() { bands.take_elevated(false) } else { None }
    }

    /// Takes a normal task from anywhere but a slot.
    pub(crate) fn take_normal(&self) -> Option<T> {
        let shared = &*self.shared;
        shared.find_until_settled(|| {
            shared.injector.steal().or_else(|| {
                let stealers = shared.remotes().iter().map(|remote| &remote.stealer);
                stealers.filter(|stealer| !stealer.is_empty()).find_map(Stealer::steal)
            })
        })
    }

    /// Takes a low task, or one from a slot.
    pub(crate) fn take_last(&self) -> Option<T> {
        let slots = || self.shared.remotes().iter().find_map(|remote| remote.slot.take());
        self.shared.bands.take_low().or_else(slots)
    }

    /// Returns `true` if the count of the bands says that critical or high tasks are queued.
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
    /// If it is called a second time.
    fn start(&self, workers: usize) -> Vec<Self::Local> {
        let (remotes, owned): (Vec<_>, Vec<_>) = (0..workers)
            .map(|_| {
                let worker = if self.newest_first { Worker::newest_first() } else { Worker::new() };
                let (owner, thief) = slot();
                let remote = Remote {
                    stealer: worker.stealer(),
                    slot: thief,
                    steals: StealsInFlight::new(),
                };
                (CachePadded::new(remote), (worker, owner))
            })
            .unzip();
        assert!(
            self.shared.remotes.set(remotes.into_boxed_slice()).is_ok(),
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
        self.take_elevated().or_else(|| self.take_normal()).or_else(|| self.take_last())
    }

    fn reclaim(&self, worker: usize) -> Option<T> {
        let remote = self.shared.remotes().get(worker)?;
        remote.slot.take().or_else(|| remote.stealer.steal())
    }

    fn claims(&self) -> Guarantees {
        self.guarantees()
    }

    fn hints(&self) -> Hints {
        Hints::none()
    }

    fn guarantees(&self) -> Guarantees {
        let bounded = Guarantees::none().inversion(INVERSION);
        if self.newest_first { bounded } else { bounded.fairness(FAIRNESS) }
    }

    fn len(&self) -> usize {
        let shared = &*self.shared;
        let remotes = shared.remotes().iter();
        shared.injector.len()
            + shared.bands.len()
            + remotes
                .map(|remote| remote.stealer.len() + usize::from(remote.slot.is_full()))
                .sum::<usize>()
    }
}

impl<T> fmt::Debug for WorkStealing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkStealing")
            .field("workers", &self.shared.remotes().len())
            .finish_non_exhaustive()
    }
}
