//! The result of a case of the kit.

use std::fmt;

/// A breach of the contract by a scheduler, as found by a case of the kit. Displays as the case and what was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    case: &'static str,
    message: String,
}

/// The result of a case: an error describes what was wrong.
pub(super) type CaseResult = Result<(), String>;

impl Violation {
    pub(super) const fn new(case: &'static str, message: String) -> Self {
        Self { case, message }
    }

    /// Returns the name of the case that found the violation.
    #[must_use]
    pub fn case(&self) -> &'static str {
        self.case
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.case, self.message)
    }
}

impl std::error::Error for Violation {}
