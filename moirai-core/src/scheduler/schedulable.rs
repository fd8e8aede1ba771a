//! What a scheduler may ask about a task.

use std::time::Duration;

/// What a scheduler may ask about a task, beyond the priority that comes with each push.
///
/// The executor's tasks answer with what their spawner specified: `task().deadline(…)`, `.affinity(…)`, `.expected_duration(…)`. A
/// task for which nothing was specified pays nothing for these methods. The answers do not change while the task is queued, with
/// the exception of [`is_late`](Self::is_late) and [`expected_poll`](Self::expected_poll).
pub trait Schedulable: Send + 'static {
    /// Returns the number of the task, which no other task of the same executor has.
    fn number(&self) -> u64;

    /// Returns the affinity of the task. Tasks with the same affinity are best run by the same worker. A task for which none was
    /// specified has an affinity of its own.
    fn affinity(&self) -> u64 {
        self.number()
    }

    /// Returns the moment by which the task should have run, on the clock of the executor; earlier moments are smaller numbers. The
    /// number has no meaning beyond a comparison with the deadline of another task.
    fn deadline(&self) -> Option<u64> {
        None
    }

    /// Returns `true` if the deadline has passed by now. Reads the clock if the task has a deadline.
    fn is_late(&self) -> bool {
        false
    }

    /// Returns how long the task is expected to compute.
    fn expected_duration(&self) -> Option<Duration> {
        None
    }

    /// Returns how long the task's next poll is expected to take, or `None` if nothing is known about it. This is an estimate from
    /// earlier polls of tasks like this one, which the executor keeps only for a scheduler whose
    /// [`hints`](super::Scheduler::hints) ask for it.
    fn expected_poll(&self) -> Option<Duration> {
        None
    }

    /// Returns `true` if the task's next poll is [expected](Self::expected_poll) to take this many nanoseconds, or more. For an executor
    /// this can be cheaper to say than how long the poll will take.
    fn expects_poll_of(&self, nanos: u64) -> bool {
        self.expected_poll().is_some_and(|poll| poll >= Duration::from_nanos(nanos))
    }

    /// Returns the index of the worker that ran the task first, if it has run on a worker.
    fn home(&self) -> Option<usize> {
        None
    }
}
