//! The configuration of the flight recorder.

use std::time::Duration;

use crate::BuildError;

/// How much the flight recorder of an executor keeps.
///
/// Each thread that runs tasks has a ring of [`bytes_per_thread`](Self::bytes_per_thread), in which an event takes 16 bytes. The
/// memory is touched only as events are written. The ring of a thread that has ended is kept until another thread needs one.
///
/// ```
/// use moirai_core::{ExecutorConfig, FlightRecorderConfig};
///
/// let mut config = ExecutorConfig::default();
/// config.flight_recorder.bytes_per_thread = 1 << 20;
/// assert!(config.validate().is_ok());
/// config.flight_recorder = FlightRecorderConfig::off();
/// assert!(config.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
pub struct FlightRecorderConfig {
    /// The size of the ring of a thread that runs async tasks and closures, in bytes. Default: 256 KiB, which is 16,384 events. It is
    /// rounded down to a power of two. Zero turns the recorder off.
    ///
    /// Must be zero, or from [`MIN_BYTES`](Self::MIN_BYTES) to [`MAX_BYTES`](Self::MAX_BYTES). The ring of a thread for blocking
    /// tasks, of which there can be many, is a sixteenth of this, and at least `MIN_BYTES`.
    pub bytes_per_thread: usize,
    /// How much of the time before an incident is kept. Default: 10 seconds.
    ///
    /// It is also the least time between two incidents of the same cause: what happens in between is only counted.
    pub incident_window: Duration,
    /// The largest number of incidents that are kept. Default: 4. Zero turns incidents off.
    ///
    /// When there are more, the first half stays, and of the others the newest.
    pub max_incidents: usize,
}

impl Default for FlightRecorderConfig {
    fn default() -> Self {
        Self {
            bytes_per_thread: 256 << 10,
            incident_window: Duration::from_secs(10),
            max_incidents: 4,
        }
    }
}

impl FlightRecorderConfig {
    /// The size of the smallest ring, in bytes.
    pub const MIN_BYTES: usize = 1 << 10;

    /// The size of the largest ring, in bytes.
    pub const MAX_BYTES: usize = 1 << 28;

    /// Returns the configuration of a recorder that is turned off.
    #[must_use]
    pub fn off() -> Self {
        Self { bytes_per_thread: 0, ..Self::default() }
    }

    /// Returns whether the recorder is on.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.bytes_per_thread > 0
    }

    /// Checks that the size is one that a ring can have.
    ///
    /// # Errors
    ///
    /// [`BuildError::InvalidField`], which names the field.
    pub fn validate(&self) -> Result<(), BuildError> {
        if self.is_on() && !(Self::MIN_BYTES..=Self::MAX_BYTES).contains(&self.bytes_per_thread) {
            return Err(BuildError::invalid(
                "flight_recorder.bytes_per_thread",
                self.bytes_per_thread,
                "must be zero, which turns the recorder off, or from 1 KiB to 256 MiB",
            ));
        }
        Ok(())
    }
}
