//! Classes of records that are kept by limits of their own.

use std::time::Duration;

use crate::{BuildError, text};

/// How many records of ended tasks a retention class keeps, and how long.
///
/// The two limits mean for the class what [`max_retained_tasks`](crate::CleanupConfig::max_retained_tasks) and
/// [`task_retention_duration`](crate::CleanupConfig::task_retention_duration) mean for tasks that have no class, except that the
/// number is never exceeded, however large it is.
///
/// ```
/// use moirai_core::Retention;
/// use std::time::Duration;
/// let jobs = Retention { max_records: 1_000, max_age: Duration::from_secs(24 * 3600) };
/// assert_eq!(jobs.max_records, 1_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Retention {
    /// The number of records that are kept: those of the tasks of the class that ended last.
    ///
    /// Zero keeps none, and `usize::MAX` as many as [`max_age`](Self::max_age) allows.
    pub max_records: usize,
    /// How long a record is kept, counted from the task's end.
    ///
    /// Every duration is allowed. A record that is older is evicted by the next sweep, so it may stay for up to one
    /// [`cleanup_interval`](crate::CleanupConfig::cleanup_interval) longer. With zero, it is evicted by the next sweep after the
    /// task's end. With [`Duration::MAX`] no record is ever too old.
    pub max_age: Duration,
}

/// A retention class: a name, by which tasks ask for the class, and the limits of its records.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RetentionClass {
    /// The name. It must not be empty, nor longer than [`MAX_NAME_BYTES`](crate::text::MAX_NAME_BYTES) bytes, and no two classes
    /// may have the same.
    pub name: String,
    /// How many records are kept, and how long.
    pub limits: Retention,
}

impl RetentionClass {
    /// The largest number of classes that an executor can have, without that of the failures.
    pub const MAX_CLASSES: usize = 64;

    /// Creates a class.
    #[must_use]
    pub fn new(name: impl Into<String>, limits: Retention) -> Self {
        Self { name: name.into(), limits }
    }

    /// Checks that an executor can have these classes.
    ///
    /// # Errors
    ///
    /// [`BuildError::InvalidField`], whose field is `retention`, if there are too many, or if a name is empty, too long, or there
    /// twice.
    pub fn validate_all(classes: &[Self]) -> Result<(), BuildError> {
        let refused = |value: &dyn std::fmt::Debug, remedy| {
            Err(BuildError::invalid("retention", value, remedy))
        };
        if classes.len() > Self::MAX_CLASSES {
            return refused(
                &classes.len(),
                "there can be at most 64 classes; let tasks that are kept alike share one",
            );
        }
        for (index, class) in classes.iter().enumerate() {
            if class.name.is_empty() {
                return refused(
                    &class.name,
                    "a class must have a name, for `task().retention(name)`; tasks without a class are kept by `cleanup`",
                );
            }
            if class.name.len() > text::MAX_NAME_BYTES {
                return refused(&class.name, "the name of a class must be at most 256 bytes long");
            }
            if classes[..index].iter().any(|other| other.name == class.name) {
                return refused(
                    &class.name,
                    "two classes have this name; set its limits once, or rename one of them",
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Retention = Retention { max_records: 1, max_age: Duration::MAX };

    fn refused(names: &[&str]) -> String {
        let classes: Vec<_> = names.iter().map(|name| RetentionClass::new(*name, LIMITS)).collect();
        let error = RetentionClass::validate_all(&classes).expect_err("it should be refused");
        assert_eq!(error.field(), Some("retention"));
        error.to_string()
    }

    #[test]
    fn classes_that_cannot_be_told_apart_or_named_are_refused() {
        assert!(refused(&["jobs", "mails", "jobs"]).contains("\"jobs\""));
        assert!(refused(&["jobs", ""]).contains("must have a name"));
        assert!(refused(&[&"x".repeat(257)]).contains("256 bytes"));
    }

    #[test]
    fn there_are_sixty_four_classes_at_most() {
        let mut classes: Vec<_> =
            (0..64).map(|number| RetentionClass::new(number.to_string(), LIMITS)).collect();
        assert!(RetentionClass::validate_all(&classes).is_ok());
        classes.push(RetentionClass::new("one more", LIMITS));
        let error = RetentionClass::validate_all(&classes).unwrap_err();
        assert!(error.to_string().contains("65"), "{error}");
    }
}
