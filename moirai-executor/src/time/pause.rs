//! Taking an executor's time in controller.

use std::fmt;
use std::time::Duration;

use crate::runtime::context::Context;
use crate::timer::driver::TimeSource;
use crate::yield_now::yield_now;

/// Stops the time of the executor that runs the caller: from now on it moves by [`advance`] alone. If it is stopped already
/// nothing changes. It cannot be started again; a test makes an executor of its own.
///
/// What is waited for already goes on by the system's time, so call it first. The books are kept by the clock that the executor
/// was built with.
///
/// # Errors
///
/// [`TimeError`] if no executor runs the caller.
pub fn pause() -> Result<(), TimeError> {
    Context::with(|context| {
        let context = context.ok_or(TimeError(Kind::NoExecutor))?;
        context.shared().time.pause();
        Ok(())
    })
}

/// Moves the stopped time of the executor that runs the caller, wakes all whose moment has come, and lets the tasks run that were
/// queued before.
///
/// # Errors
///
/// [`TimeError`] if no executor runs the caller, or if its time is not stopped.
pub async fn advance(duration: Duration) -> Result<(), TimeError> {
    let controller = Context::with(|context| {
        let context = context.ok_or(TimeError(Kind::NoExecutor))?;
        match context.shared().time.source() {
            TimeSource::System => Err(TimeError(Kind::NotPaused)),
            TimeSource::Manual(driver) => {
                driver.controller().cloned().ok_or(TimeError(Kind::NotPaused))
            }
        }
    })?;
    controller.advance(duration);
    yield_now().await;
    Ok(())
}

/// Why the time cannot be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeError(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    NoExecutor,
    NotPaused,
}

impl TimeError {
    /// Whether no executor runs the caller.
    #[must_use]
    pub fn is_no_executor(&self) -> bool {
        self.0 == Kind::NoExecutor
    }

    /// Whether the executor's time is not stopped.
    #[must_use]
    pub fn is_not_paused(&self) -> bool {
        self.0 == Kind::NotPaused
    }
}

impl fmt::Display for TimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::NoExecutor => {
                "no executor runs the caller: call it inside of a task, or of `block_on` of the executor"
            }
            Kind::NotPaused => {
                "the executor's time is not stopped: call `time::pause` first, or build it with a manual clock"
            }
        })
    }
}

impl std::error::Error for TimeError {}
