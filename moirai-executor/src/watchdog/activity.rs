//! What each thread that runs tasks shows of itself.

use crossbeam_utils::CachePadded;
use moirai_core::TaskId;
use moirai_core::shim::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::cpu_clock::{CpuClock, CpuTime};

/// One activity for each worker, and behind them one for each rescuer that there may be.
pub(crate) struct Activities {
    activities: Box<[CachePadded<Activity>]>,
    workers: usize,
}

/// What one thread shows. Only the thread in the activity writes it, and the watchdog thread reads it; who sits down in a core after
/// another thread got up is ordered behind it by the handing over of the core.
#[derive(Default)]
pub(crate) struct Activity {
    /// How often it has gone on to something else.
    steps: AtomicUsize,
    /// What it is in: a task's id, [`NOTHING`] or [`STOLEN_JOB`].
    inside: AtomicU64,
    /// The clock of the thread.
    clock: CpuClock,
}

const NOTHING: u64 = 0;
/// Not an id: its slot would be beyond what a directory can name.
const STOLEN_JOB: u64 = u64::MAX;

/// A activity as it was at one look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    steps: usize,
    inside: u64,
}

impl Snapshot {
    /// Whether the thread is in a task, or in a piece of fork-join work.
    pub(crate) fn is_busy(self) -> bool {
        self.inside != NOTHING
    }

    /// The task that is polled.
    pub(crate) fn task(self) -> Option<TaskId> {
        if self.inside == STOLEN_JOB { None } else { TaskId::from_u64(self.inside) }
    }
}

impl Activities {
    pub(crate) fn new(workers: usize, rescuers: usize) -> Self {
        let activities = (0..workers + rescuers).map(|_| CachePadded::new(Activity::default()));
        Self { activities: activities.collect(), workers }
    }

    pub(crate) fn workers(&self) -> usize {
        self.workers
    }

    pub(crate) fn len(&self) -> usize {
        self.activities.len()
    }

    pub(crate) fn activity(&self, index: usize) -> &Activity {
        &self.activities[index]
    }

    /// Whether no rescuer polls anything.
    pub(crate) fn compensation_is_idle(&self) -> bool {
        self.activities[self.workers..].iter().all(|activity| !activity.snapshot().is_busy())
    }
}

// Ordering: Relaxed throughout: what is read is compared and reported, and guards nothing. A store reaches the watchdog thread
// long before its next look.
impl Activity {
    /// A thread takes the activity.
    pub(crate) fn enter(&self) {
        self.clock.set_to_this_thread();
        self.in_nothing();
        self.step();
    }

    /// It goes on to something else.
    #[inline]
    pub(crate) fn step(&self) {
        self.steps.store(self.steps.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// It polls a task.
    #[inline]
    pub(crate) fn in_task(&self, task: TaskId) {
        self.inside.store(task.get(), Ordering::Relaxed);
    }

    /// It runs a piece of fork-join work.
    pub(crate) fn in_stolen_job(&self) {
        self.inside.store(STOLEN_JOB, Ordering::Relaxed);
    }

    /// It looks for something to do.
    pub(crate) fn in_nothing(&self) {
        self.inside.store(NOTHING, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let steps = self.steps.load(Ordering::Relaxed);
        Snapshot { steps, inside: self.inside.load(Ordering::Relaxed) }
    }

    /// How long the thread has been on a processor.
    pub(crate) fn cpu_time(&self) -> Option<CpuTime> {
        self.clock.read()
    }

    /// Whether the thread waits for something other than a processor.
    pub(crate) fn sleeps(&self) -> bool {
        self.clock.sleeps()
    }
}
