//! What the kit schedules.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use moirai_core::Schedulable;

/// What the kit schedules: a number, and what a task could say of itself.
///
/// It can be cloned, so that a scheduler can be written that hands out twice, and be caught.
#[derive(Debug)]
pub struct Token {
    number: u64,
    affinity: Option<u64>,
    deadline: Option<u64>,
    expected_duration: Option<Duration>,
    alive: Option<Arc<AtomicUsize>>,
}

impl Token {
    /// A token of which nothing more is said.
    #[must_use]
    pub fn new(number: u64) -> Self {
        Self { number, affinity: None, deadline: None, expected_duration: None, alive: None }
    }

    /// Which one it is.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Says something of everything, drawn by `draw`, which gives a number below its argument.
    pub(super) fn describe(mut self, mut draw: impl FnMut(usize) -> usize) -> Self {
        self.deadline = (draw(4) > 0).then(|| draw(5) as u64);
        self.affinity = (draw(2) > 0).then(|| draw(3) as u64);
        self.expected_duration = (draw(4) > 0).then(|| Duration::from_micros(draw(5) as u64));
        self
    }

    /// Counts those that exist.
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
        let Self { number, affinity, deadline, expected_duration, ref alive } = *self;
        Self { number, affinity, deadline, expected_duration, alive: alive.clone() }
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
}
