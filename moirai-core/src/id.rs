//! The name of a task.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

/// The identity of one task within one executor, never given to another task of it.
///
/// An id is a generation and a slot of the registry, packed into one word; looking a task up by its id needs no hashing
/// and no lock. Ids are unique within one executor: the id of a task of another executor may happen to name a task here.
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
    /// The id as a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// The id with this number; `None` for zero, which names no task.
    #[must_use]
    pub const fn from_u64(number: u64) -> Option<Self> {
        match NonZeroU64::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The id of the task in `slot` during `generation`; `None` for generation zero, which is never used.
    #[must_use]
    pub const fn from_parts(generation: u32, slot: u32) -> Option<Self> {
        if generation == 0 {
            return None;
        }
        Self::from_u64(((generation as u64) << 32) | slot as u64)
    }

    /// The registry slot that this id names.
    #[must_use]
    pub const fn slot(self) -> u32 {
        self.0.get() as u32
    }

    /// The generation of the slot that this id names.
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

    /// Reads what [`Display`](fmt::Display) wrote.
    fn from_str(text: &str) -> Result<Self, ParseTaskIdError> {
        text.parse().map(Self).map_err(|_| ParseTaskIdError(()))
    }
}

/// The text is not the decimal number of a task id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseTaskIdError(());

impl fmt::Display for ParseTaskIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a task id is a decimal number from 1 to 18446744073709551615, as its Display prints it")
    }
}

impl std::error::Error for ParseTaskIdError {}
