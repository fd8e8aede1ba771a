//! The id of a job.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use parking_lot::Mutex;
use ulid::{Generator, Ulid};

use crate::Error;

/// The id of a job: 26 letters and digits, which sort by the time of the push, to the millisecond.
///
/// ```
/// use moirai_jobs::JobId;
///
/// let id: JobId = "01JD8Q8Z3T5V9K2M4N6P8R0S1T".parse()?;
/// assert_eq!(id.to_string(), "01JD8Q8Z3T5V9K2M4N6P8R0S1T");
/// assert!("7".parse::<JobId>().is_err());
/// # Ok::<(), moirai_jobs::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(Ulid);

impl JobId {
    /// Creates an id that no other job has, and that is larger than those that this process has created before, unless its clock was set
    /// back.
    pub(crate) fn generate() -> Self {
        static LAST: Mutex<Generator> = Mutex::new(Generator::new());
        // After 2^80 ids of one millisecond there would be no larger one.
        Self(LAST.lock().generate().unwrap_or_else(|_| Ulid::generate()))
    }

    #[cfg(any(feature = "sqlite", all(test, feature = "redis")))]
    pub(crate) const fn ulid(self) -> Ulid {
        self.0
    }

    /// Returns when the job was pushed, by the clock of the process that pushed it, to the millisecond.
    #[must_use]
    pub fn pushed_at(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(self.0.timestamp_ms())
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({})", self.0)
    }
}

impl FromStr for JobId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Ulid::from_string(text).map(Self).map_err(|_| Error::Id(text.chars().take(64).collect()))
    }
}
