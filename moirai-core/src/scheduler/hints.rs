//! Which hints about tasks a scheduler reads.

use std::fmt;

/// The kinds of hints about tasks that a scheduler reads; see [`Scheduler::hints`](super::Scheduler::hints).
///
/// ```
/// use moirai_core::Hints;
///
/// let hints = Hints::none().deadlines();
/// assert!(hints.deadlines && !hints.affinities);
/// assert_eq!(hints.to_string(), "deadlines");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hints {
    /// [`Schedulable::deadline`](super::Schedulable::deadline) and [`is_late`](super::Schedulable::is_late).
    pub deadlines: bool,
    /// [`Schedulable::affinity`](super::Schedulable::affinity).
    pub affinities: bool,
    /// [`Schedulable::expected_duration`](super::Schedulable::expected_duration).
    pub expected_durations: bool,
    /// [`Schedulable::expected_poll`](super::Schedulable::expected_poll). Tasks are not given this: the executor estimates it, and
    /// only for a scheduler that reads it.
    pub poll_estimates: bool,
}

impl Hints {
    /// No hints.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            deadlines: false,
            affinities: false,
            expected_durations: false,
            poll_estimates: false,
        }
    }

    /// All hints.
    #[must_use]
    pub const fn all() -> Self {
        Self { deadlines: true, affinities: true, expected_durations: true, poll_estimates: true }
    }

    /// Adds the deadlines of tasks.
    #[must_use]
    pub const fn deadlines(mut self) -> Self {
        self.deadlines = true;
        self
    }

    /// Adds the affinities of tasks.
    #[must_use]
    pub const fn affinities(mut self) -> Self {
        self.affinities = true;
        self
    }

    /// Adds the expected durations of tasks.
    #[must_use]
    pub const fn expected_durations(mut self) -> Self {
        self.expected_durations = true;
        self
    }

    /// Adds estimates of how long polls take.
    #[must_use]
    pub const fn poll_estimates(mut self) -> Self {
        self.poll_estimates = true;
        self
    }

    /// Returns the hints that are not among `others`.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self {
            deadlines: self.deadlines && !others.deadlines,
            affinities: self.affinities && !others.affinities,
            expected_durations: self.expected_durations && !others.expected_durations,
            poll_estimates: self.poll_estimates && !others.poll_estimates,
        }
    }

    /// Returns whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        !self.deadlines && !self.affinities && !self.expected_durations && !self.poll_estimates
    }
}

impl fmt::Display for Hints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            (self.deadlines, "deadlines"),
            (self.affinities, "affinities"),
            (self.expected_durations, "expected durations"),
            (self.poll_estimates, "poll estimates"),
        ];
        let mut comma = "";
        for (_, name) in kinds.into_iter().filter(|(has, _)| *has) {
            write!(f, "{comma}{name}")?;
            comma = ", ";
        }
        Ok(())
    }
}
