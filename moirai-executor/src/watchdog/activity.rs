//! What each thread that runs tasks shows of itself.

use crossbeam_utils::CachePadded;
use moirai_core::TaskId;
use moirai_core::shim::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::cpu_clock::{CpuClock, CpuTime};

/// One lane for each worker, and behind them one for each rescuer that there may be.
pub(crate) struct Lanes {
    lanes: Box<[CachePadded<Lane>]>,
    workers: usize,
}

/// What one thread shows. Only the thread in the lane writes it, and the progress thread reads it; who sits down in a core after
/// another thread got up is ordered behind it by the handing over of the core.
#[derive(Default)]
pub(crate) struct Lane {
    /// ShutdownMode often it has gone on to something else.
    steps: AtomicUsize,
    /// What it is in: a task's id, [`NOTHING`] or [`STOLEN_JOB`].
    inside: AtomicU64,
    /// The clock of the thread.
    clock: CpuClock,
}

const NOTHING: u64 = 0;
/// Not an id: its slot would be beyond what a directory can name.
const STOLEN_JOB: u64 = u64::MAX;

/// A lane as it was at one look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sight {
    steps: usize,
    inside: u64,
}

impl Sight {
    /// Whether the thread is in a task, or in a piece of fork-join work.
    pub(crate) fn is_busy(self) -> bool {
        self.inside != NOTHING
    }

    /// The task that is polled.
    pub(crate) fn task(self) -> Option<TaskId> {
        if self.inside == STOLEN_JOB { None } else { TaskId::from_u64(self.inside) }
    }
}

impl Lanes {
    pub(crate) fn new(workers: usize, rescuers: usize) -> Self {
        let lanes = (0..workers + rescuers).map(|_| CachePadded::new(Lane::default()));
        Self { lanes: lanes.collect(), workers }
    }

    pub(crate) fn workers(&self) -> usize {
        self.workers
    }

    pub(crate) fn len(&self) -> usize {
        self.lanes.len()
    }

    pub(crate) fn lane(&self, index: usize) -> &Lane {
        &self.lanes[index]
    }

    /// Whether no rescuer polls anything.
    pub(crate) fn rescuers_rest(&self) -> bool {
        self.lanes[self.workers..].iter().all(|lane| !lane.sight().is_busy())
    }
}

// Ordering: Relaxed throughout: what is read is compared and reported, and guards nothing. A store reaches the progress thread
// long before its next look.
impl Lane {
    /// A thread takes the lane.
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

    pub(crate) fn sight(&self) -> Sight {
        let steps = self.steps.load(Ordering::Relaxed);
        Sight { steps, inside: self.inside.load(Ordering::Relaxed) }
    }

    /// ShutdownMode long the thread has been on a processor.
    pub(crate) fn cpu_time(&self) -> Option<CpuTime> {
        self.clock.read()
    }

    /// Whether the thread waits for something other than a processor.
    pub(crate) fn sleeps(&self) -> bool {
        self.clock.sleeps()
    }
}
