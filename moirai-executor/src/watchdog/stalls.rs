//! Says which tasks keep their threads.
//!
//! The watchdog thread sees at each look what each thread is in, and since which look. A task that is the same for longer than its
//! budget is a *stall*: it is reported when it is seen, and again, with how long it took in all, when it is over. So ages are
//! exact to about the time between two looks.

use std::time::{Duration, Instant};

use moirai_core::shim::sync::Mutex;
use moirai_core::{ExecutorConfig, Stall, TaskKind};

/// How many lines a second are logged about stalls. The hooks are told of all.
const LINES: u32 = 100;

/// What is known of stalls, and who is told.
pub(crate) struct StallDetector {
    async_budget: Option<Duration>,
    parallel_budget: Option<Duration>,
    /// The stalls that go on now, by activity.
    pub(crate) stalls: Mutex<Vec<Option<OngoingStall>>>,
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

/// Counts lines, by the second.
#[derive(Default)]
pub(crate) struct RateLimit {
    second: Option<Instant>,
    count: u32,
    left_out: u32,
}

impl RateLimit {
    /// Whether a line may be logged, and how many were left out before it.
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
            lines: Mutex::new(RateLimit::default()),
        }
    }

    /// Whether there is anything to watch.
    pub(crate) fn is_on(&self) -> bool {
        self.async_budget.is_some() || self.parallel_budget.is_some()
    }

    /// Whether a poll that has been going on for `age` may be a stall.
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

/// What became of a look at one activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reported {
    /// Look again.
    NotYet,
    /// It is reported, or it is none of ours.
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
