//! What a task does at the moment, as far as its record, the flight recorder and the watchdog tell.

use std::mem;
use std::time::SystemTime;

use moirai::{TaskKind, TaskStats, TaskStatus};

use crate::doing::Doing;

/// What a task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It was spawned, and has not run yet.
    Queued,
    /// It has been on a thread since this time.
    Running(SystemTime),
    /// It has run, and has been ready to run again since this time.
    Woken(SystemTime),
    /// It has run, and waits.
    Waiting,
    /// It has ended.
    Ended,
}

impl Phase {
    /// Returns whether a task that was in the phase `before`, and now is in this one, may have changed in nothing that is told of it,
    /// provided that the number of its polls is the same.
    ///
    /// Times are no part of it: those of one record differ by a little from one copy to the next, because each copy converts them
    /// anew.
    pub(crate) fn is_same(self, before: Self) -> bool {
        mem::discriminant(&self) == mem::discriminant(&before)
    }

    /// Finds out what a task does, given what it is known to be doing if it does not wait.
    ///
    /// An async task is [`Running`](TaskStatus::Running) on the record from its first poll to its end. In its first poll no poll has
    /// returned, so the record tells of that one. Of a later one it does not.
    pub(crate) fn of(task: &TaskStats, doing: Option<Doing>) -> Self {
        let Some(started) = task.started_at.filter(|_| task.status == TaskStatus::Running) else {
            return if task.status.is_terminal() { Self::Ended } else { Self::Queued };
        };
        if task.kind != TaskKind::Async || task.polls == 0 {
            return Self::Running(started.to_system_time());
        }
        match doing {
            Some(Doing::Polled(since)) => Self::Running(since),
            Some(Doing::Queued(since)) => Self::Woken(since),
            None => Self::Waiting,
        }
    }
}
