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
}

impl Hints {
    /// No hints.
    #[must_use]
    pub const fn none() -> Self {
        Self { deadlines: false, affinities: false, expected_durations: false }
    }

    /// All hints.
    #[must_use]
    pub const fn all() -> Self {
        Self { deadlines: true, affinities: true, expected_durations: true }
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

    /// Returns the hints that are not among `others`.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self {
            deadlines: self.deadlines && !others.deadlines,
            affinities: self.affinities && !others.affinities,
            expected_durations: self.expected_durations && !others.expected_durations,
        }
    }

    /// Returns whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        !self.deadlines && !self.affinities && !self.expected_durations
    }
}

impl fmt::Display for Hints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            (self.deadlines, "deadlines"),
            (self.affinities, "affinities"),
            (self.expected_durations, "expected durations"),
        ];
        let mut comma = "";
        for (_, name) in kinds.into_iter().filter(|(has, _)| *has) {
            write!(f, "{comma}{name}")?;
            comma = ", ";
        }
        Ok(())
    }
}
