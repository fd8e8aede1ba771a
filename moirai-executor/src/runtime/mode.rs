//! Whether an executor runs on threads, or in the turns of a simulation. This is the one place that tells the two apart.

use moirai_core::{Schedulable, TaskStats};
use moirai_scheduler::Sleepers;

use crate::runtime::shutdown_state::ShutdownMode;
use crate::runtime::sim_turns::Turns;

/// More than there will ever be public jobs.
const SIMULATED_IDLE: usize = usize::MAX / 2;

/// What runs an executor's tasks.
pub(crate) enum Mode<T, C, S> {
    /// Workers, blocking threads, and the threads that watch over them.
    Threads,
    /// One thread at a time, in an order drawn from a seed.
    Turns(Box<Turns<T, C, S>>),
}

impl<T: Schedulable, C, S> Mode<T, C, S> {
    /// Returns the simulation, if this is one.
    #[inline]
    pub(crate) fn turns(&self) -> Option<&Turns<T, C, S>> {
        match self {
            Self::Threads => None,
            Self::Turns(turns) => Some(turns),
        }
    }

    /// Returns whether a worker that blocks hands off its core, and whether blocking tasks have threads of their own.
    ///
    /// Neither is of use in a simulation: no other thread needs the core while the thread has the turn, and each task takes its
    /// turn.
    #[inline]
    pub(crate) fn has_threads(&self) -> bool {
        matches!(self, Self::Threads)
    }

    /// Returns whether the beginning and end of a shutdown are logged and reported to plugins. Those of simulations are not,
    /// because there may be thousands of them a second.
    pub(crate) fn announces_shutdown(&self) -> bool {
        self.has_threads()
    }

    /// Returns the number of idle workers, as fork-join counts them. In a simulation they are always enough for every `join` to
    /// publish its job, so that the order is drawn.
    #[inline]
    pub(crate) fn idle(&self, sleepers: &Sleepers) -> usize {
        if self.has_threads() { sleepers.idle() } else { SIMULATED_IDLE }
    }

    /// In a simulation, returns a number below `bound` that is drawn from the seed.
    #[inline]
    pub(crate) fn simulated_choice(&self, bound: usize) -> Option<usize> {
        self.turns().map(|turns| turns.simulated_choice(bound))
    }

    /// Handles a shutdown that was asked for inside of a task. In a simulation, returns whether active tasks must be cancelled now.
    /// Returns `None` on threads, where a thread must carry the shutdown out.
    pub(crate) fn shut_down(&self, how: ShutdownMode) -> Option<bool> {
        self.turns().map(|turns| turns.shut_down(how))
    }

    /// Notes the panic of a task that no handle refers to. In a simulation that is a failure.
    pub(crate) fn unseen_panic(&self, stats: &TaskStats) {
        if let Some(turns) = self.turns() {
            turns.unseen_panic(stats);
        }
    }
}
