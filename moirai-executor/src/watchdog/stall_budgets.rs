//! Stalls: polls that keep a thread for longer than their budget.
//!
//! At each tick the watchdog thread sees what each thread is in, and since which tick. A poll that goes on for longer than its
//! task's budget is a *stall*. It is reported when it is noticed, and again, with its total age, when it is over. So ages are exact
//! to about the time between two ticks.

use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use moirai_core::shim::sync::Mutex;
use moirai_core::{ExecutorConfig, Stall, TaskKind};

/// The largest number of lines that are logged about stalls in a second. The hooks are called for all.
const LINES: u32 = 100;

/// The budgets of polls, and the stalls that go on.
pub(crate) struct StallDetector {
    async_budget: Option<Duration>,
    parallel_budget: Option<Duration>,
    /// The stalls that go on now, by the index of the activity.
    pub(crate) stalls: Mutex<Vec<Option<OngoingStall>>>,
    /// The number of stalls that were reported so far.
    pub(crate) reported: AtomicU64,
    pub(crate) lines: Mutex<RateLimit>,
}

pub(crate) struct OngoingStall {
    pub(crate) stall: Stall,
    pub(crate) since: Instant,
}

impl OngoingStall {
    pub(crate) fn now(&self) -> Stall {
        let mut stall = self.stall.clone();
        stall.age = self.since.elapsed();
        stall
    }
}

/// Limits the number of log lines in a second.
#[derive(Default)]
pub(crate) struct RateLimit {
    second: Option<Instant>,
    count: u32,
    left_out: u32,
}

impl RateLimit {
    /// Returns `None` if no line may be logged now; otherwise counts one, and returns the number of lines that were left out before
    /// it.
    pub(crate) fn allow(&mut self, now: Instant) -> Option<u32> {
        let over = |second: Instant| now.saturating_duration_since(second).as_secs() >= 1;
        if self.second.is_none_or(over) {
            self.second = Some(now);
            self.count = 0;
        }
        if self.count == LINES {
            self.left_out = self.left_out.saturating_add(1);
            return None;
        }
        self.count += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

impl StallDetector {
    pub(crate) fn new(config: &ExecutorConfig, activities: usize) -> Self {
        let watched = std::iter::repeat_with(|| None).take(activities);
        Self {
            async_budget: config.stall_budget,
            parallel_budget: config.parallel_stall_budget,
            stalls: Mutex::new(watched.collect()),
            reported: AtomicU64::new(0),
            lines: Mutex::new(RateLimit::default()),
        }
    }

    /// Returns `true` if any kind of task has a budget.
    pub(crate) fn is_on(&self) -> bool {
        self.async_budget.is_some() || self.parallel_budget.is_some()
    }

    /// Returns `true` if a poll that has been going on for `age` may be a stall, depending on the kind of its task.
    pub(crate) fn may_be_stall(&self, age: Duration) -> bool {
        let over = |budget: Option<Duration>| budget.is_some_and(|budget| age >= budget);
        over(self.async_budget) || over(self.parallel_budget)
    }

    pub(crate) fn budget(&self, kind: TaskKind) -> Option<Duration> {
        match kind {
            TaskKind::Async => self.async_budget,
            TaskKind::Parallel => self.parallel_budget,
            _ => None,
        }
    }
}

/// Whether the poll that a thread is in has been judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reported {
    /// It must be judged again at the next tick.
    NotYet,
    /// It was reported, or its task has no budget.
    Done,
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;

    #[test]
    fn so_many_lines_a_second_and_the_rest_is_counted() {
        let mut lines = RateLimit::default();
        let start = Instant::now();
        let allowed = (0..2 * LINES).filter_map(|_| lines.allow(start)).count();
        assert_eq!(allowed, LINES as usize);
        assert_eq!(lines.allow(start + Duration::from_secs(1)), Some(LINES));
        assert_eq!(lines.allow(start + Duration::from_secs(1)), Some(0));
    }
}
