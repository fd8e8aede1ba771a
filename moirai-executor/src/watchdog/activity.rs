//! What each thread that runs tasks is doing, as the watchdog thread sees it.

use crossbeam_utils::CachePadded;
use moirai_core::TaskId;
use moirai_core::shim::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::cpu_clock::{CpuClock, CpuTime};

/// The activities of all workers, followed by those of the compensation threads that there may be.
pub(crate) struct Activities {
    activities: Box<[CachePadded<Activity>]>,
    workers: usize,
}

/// What one worker or compensation thread is doing.
///
/// Only the thread whose activity it is writes it, and the watchdog thread reads it. When another thread takes over a worker's
/// core, the handoff orders its writes after those of the thread before.
#[derive(Default)]
pub(crate) struct Activity {
    /// The number of times that the thread has gone on to something else.
    steps: AtomicUsize,
    /// What the thread is in: a task's id, [`NOTHING`], [`STOLEN_JOB`] or [`HOOK`].
    inside: AtomicU64,
    /// The processor-time clock of the thread.
    clock: CpuClock,
}

const NOTHING: u64 = 0;
/// Not the id of any task: its slot would be beyond those that the registry's directory can name.
const STOLEN_JOB: u64 = u64::MAX;
/// Nor is this.
const HOOK: u64 = u64::MAX - 1;

/// An activity as it was at one tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    steps: usize,
    inside: u64,
}

impl Snapshot {
    /// Returns `true` if the thread is in a task, in a stolen job or in code that a park hook runs.
    pub(crate) fn is_busy(self) -> bool {
        self.inside != NOTHING
    }

    /// Returns `true` if the thread is in code that a park hook runs.
    pub(crate) fn is_in_hook(self) -> bool {
        self.inside == HOOK
    }

    /// Returns `true` if a thread has run this worker or compensation thread at all.
    pub(crate) fn has_begun(self) -> bool {
        self.steps != 0
    }

    /// Returns `true` if the thread runs a stolen job.
    pub(crate) fn is_in_stolen_job(self) -> bool {
        self.inside == STOLEN_JOB
    }

    /// Returns the task that is being polled.
    pub(crate) fn task(self) -> Option<TaskId> {
        if self.inside >= HOOK { None } else { TaskId::from_u64(self.inside) }
    }
}

impl Activities {
    pub(crate) fn new(workers: usize, compensation: usize) -> Self {
        let activities = (0..workers + compensation).map(|_| CachePadded::new(Activity::default()));
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

    /// Returns `true` if no compensation thread is in a task or in a stolen job.
    pub(crate) fn compensation_is_idle(&self) -> bool {
        self.activities[self.workers..].iter().all(|activity| !activity.snapshot().is_busy())
    }
}

// Ordering: Relaxed throughout: the values are only compared and reported, and guard nothing. A store becomes visible to the
// watchdog thread long before its next tick.
impl Activity {
    /// Makes this the activity of the calling thread.
    pub(crate) fn enter(&self) {
        self.clock.set_to_this_thread();
        self.in_nothing();
        self.step();
    }

    /// Notes that the thread goes on to something else.
    #[inline]
    pub(crate) fn step(&self) {
        self.steps.store(self.steps.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// Notes that the thread polls a task.
    #[inline]
    pub(crate) fn in_task(&self, task: TaskId) {
        self.inside.store(task.get(), Ordering::Relaxed);
    }

    /// Notes that the thread runs a stolen job.
    pub(crate) fn in_stolen_job(&self) {
        self.inside.store(STOLEN_JOB, Ordering::Relaxed);
    }

    /// Notes that the thread runs what a park hook has for it.
    pub(crate) fn in_hook(&self) {
        self.inside.store(HOOK, Ordering::Relaxed);
    }

    /// Notes that the thread is looking for something to do.
    pub(crate) fn in_nothing(&self) {
        self.inside.store(NOTHING, Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let steps = self.steps.load(Ordering::Relaxed);
        Snapshot { steps, inside: self.inside.load(Ordering::Relaxed) }
    }

    /// Returns the time for which the thread has been on a processor; `None` if it is not known.
    pub(crate) fn cpu_time(&self) -> Option<CpuTime> {
        self.clock.read()
    }

    /// Returns `true` if the thread waits for something other than a processor.
    pub(crate) fn sleeps(&self) -> bool {
        self.clock.sleeps()
    }
}
