//! The ids of tasks.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

/// The id of a task. Within one executor no two tasks have the same id.
///
/// An id is a slot of the registry and the slot's generation, packed into one word, so a record is found by its id without hashing
/// and without a lock. A task of another executor may have the same id.
///
/// ```
/// use moirai_core::TaskId;
/// let id: TaskId = "4294967298".parse().unwrap();
/// assert_eq!(id.to_string(), "4294967298");
/// assert_eq!(TaskId::from_u64(id.get()), Some(id));
/// assert!("0".parse::<TaskId>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct TaskId(NonZeroU64);

impl TaskId {
    /// Returns the id as a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// Returns the id with this number, or `None` for zero, which is not an id.
    #[must_use]
    pub const fn from_u64(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Returns the id of the task in `slot` during `generation`, or `None` for generation zero, which is never used.
    #[must_use]
    pub const fn from_parts(generation: u32, slot: u32) -> Option<Self> {
        if generation == 0 {
            return None;
        }
        Self::from_u64(((generation as u64) << 32) | slot as u64)
    }

    /// Returns the index of the registry's slot.
    #[must_use]
    pub const fn slot(self) -> u32 {
        self.0.get() as u32
    }

    /// Returns the generation of the slot.
    #[must_use]
    pub const fn generation(self) -> u32 {
        (self.0.get() >> 32) as u32
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TaskId({})", self.0)
    }
}

impl FromStr for TaskId {
    type Err = ParseTaskIdError;

    /// Parses what [`Display`](fmt::Display) prints: the id's number in decimal.
    fn from_str(text: &str) -> Result<Self, ParseTaskIdError> {
        text.parse().map(Self).map_err(|_| ParseTaskIdError(()))
    }
}

/// The error of parsing a text that is not the decimal number of a task id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseTaskIdError(());

impl fmt::Display for ParseTaskIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a task id: expected a decimal number from 1 to 18446744073709551615")
    }
}

impl std::error::Error for ParseTaskIdError {}
