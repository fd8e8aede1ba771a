//! The tokens that the kit schedules in place of tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use moirai_core::Schedulable;

/// What the kit schedules in place of a task: a number, and answers to everything that a scheduler may [ask](Schedulable).
///
/// A token can be cloned, so that the kit can be tested with a scheduler that hands out a task twice.
#[derive(Debug)]
pub struct Token {
    number: u64,
    affinity: Option<u64>,
    deadline: Option<u64>,
    expected_duration: Option<Duration>,
    expected_poll: Option<Duration>,
    alive: Option<Arc<AtomicUsize>>,
}

impl Token {
    /// Creates a token for which nothing else is specified.
    #[must_use]
    pub fn new(number: u64) -> Self {
        Self {
            number,
            affinity: None,
            deadline: None,
            expected_duration: None,
            expected_poll: None,
            alive: None,
        }
    }

    /// Returns the number of the token.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Specifies everything that can be specified, drawn by `draw`, which returns a number below its argument.
    pub(super) fn describe(mut self, mut draw: impl FnMut(usize) -> usize) -> Self {
        self.deadline = (draw(4) > 0).then(|| draw(5) as u64);
        self.affinity = (draw(2) > 0).then(|| draw(3) as u64);
        self.expected_duration = (draw(4) > 0).then(|| Duration::from_micros(draw(5) as u64));
        self.expected_poll =
            (draw(2) > 0).then(|| Duration::from_micros(10_u64.pow(draw(6) as u32)));
        self
    }

    /// Specifies how long the next poll of the task is expected to take.
    pub(super) fn expect_poll(mut self, duration: Option<Duration>) -> Self {
        self.expected_poll = duration;
        self
    }

    /// Makes `alive` count this token, and its clones, as long as they exist.
    pub(super) fn counted(mut self, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        self.alive = Some(Arc::clone(alive));
        self
    }
}

impl Clone for Token {
    fn clone(&self) -> Self {
        if let Some(alive) = &self.alive {
            alive.fetch_add(1, Ordering::Relaxed);
        }
        let Self { number, affinity, deadline, expected_duration, expected_poll, ref alive } =
            *self;
        let alive = alive.clone();
        Self { number, affinity, deadline, expected_duration, expected_poll, alive }
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if let Some(alive) = &self.alive {
            alive.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Schedulable for Token {
    fn number(&self) -> u64 {
        self.number
    }

    fn affinity(&self) -> u64 {
        self.affinity.unwrap_or(self.number)
    }

    fn deadline(&self) -> Option<u64> {
        self.deadline
    }

    fn expected_duration(&self) -> Option<Duration> {
        self.expected_duration
    }

    fn expected_poll(&self) -> Option<Duration> {
        self.expected_poll
    }
}
