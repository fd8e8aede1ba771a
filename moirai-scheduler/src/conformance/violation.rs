//! What the kit finds.

use std::fmt;

/// How a scheduler breaks the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    case: &'static str,
    message: String,
}

/// What a case found.
pub(super) type CaseResult = Result<(), String>;

impl Violation {
    pub(super) const fn new(case: &'static str, message: String) -> Self {
        Self { case, message }
    }

    /// The case that found it.
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
