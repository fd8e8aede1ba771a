//! Whether an executor runs on threads or by the turns of a simulation. This is the one place where the two are told apart.

use moirai_core::{Schedulable, TaskStats};
use moirai_scheduler::Sleepers;

use crate::runtime::shutdown_state::ShutdownMode;
use crate::runtime::turns::Turns;

/// More than there will ever be pieces of fork-join work.
const SIMULATED_IDLE: usize = usize::MAX / 2;

/// What runs an executor's tasks.
pub(crate) enum Mode<T, C, S> {
    /// Workers, blocking threads, and the threads that watch them.
    Threads,
    /// One thread at a time, in an order that is drawn from a seed.
    Turns(Box<Turns<T, C, S>>),
}

impl<T: Schedulable, C, S> Mode<T, C, S> {
    /// The simulation, if this is one.
    #[inline]
    pub(crate) fn turns(&self) -> Option<&Turns<T, C, S>> {
        match self {
            Self::Threads => None,
            Self::Turns(turns) => Some(turns),
        }
    }

    /// Whether a worker that blocks lets another thread have its core, and whether blocking tasks have threads of their own. In a
    /// simulation neither is of use: nobody else needs the core while the thread has the turn, and each task takes its turn.
    #[inline]
    pub(crate) fn has_threads(&self) -> bool {
        matches!(self, Self::Threads)
    }

    /// Whether the beginning and the end of a shutdown are logged, and told to plugins. Those of simulations, which may be thousands a
    /// second, are not.
    pub(crate) fn announces_shutdown(&self) -> bool {
        self.has_threads()
    }

    /// How many workers have nothing to do, as fork-join work counts them. In a simulation there are always enough that every split is
    /// offered, so that its order is drawn.
    #[inline]
    pub(crate) fn idle(&self, sleepers: &Sleepers) -> usize {
        if self.has_threads() { sleepers.idle() } else { SIMULATED_IDLE }
    }

    /// In a simulation, a number below `bound` that is drawn from the seed.
    #[inline]
    pub(crate) fn simulated_choice(&self, bound: usize) -> Option<usize> {
        self.turns().map(|turns| turns.simulated_choice(bound))
    }

    /// A shutdown was asked for inside a task. In a simulation, says whether what is active is to be cancelled now; `None` if a thread
    /// has to see to the shutdown.
    pub(crate) fn shut_down(&self, how: ShutdownMode) -> Option<bool> {
        self.turns().map(|turns| turns.shut_down(how))
    }

    /// A task has panicked that nobody has a handle of: in a simulation, that is a failure.
    pub(crate) fn unseen_panic(&self, stats: &TaskStats) {
        if let Some(turns) = self.turns() {
            turns.unseen_panic(stats);
        }
    }
}
