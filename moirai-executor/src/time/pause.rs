//! Taking control of an executor's time.

use std::fmt;
use std::time::Duration;

use crate::runtime::context::Context;
use crate::timer::driver::TimeSource;
use crate::yield_now::yield_now;

/// Stops the time of the executor that runs the caller: from now on it moves only by [`advance`], or by the clock that
/// [`pause_time`](crate::HybridExecutor::pause_time) returns. If the time is stopped already, nothing changes. It cannot be started
/// again, so a test should make an executor of its own. The [module](super) has an example.
///
/// A wait that has begun before goes on by the system's time, so call this first. The records of tasks are kept by the clock that
/// the executor was built with.
///
/// # Errors
///
/// A [`TimeError`] if no executor runs the caller.
pub fn pause() -> Result<(), TimeError> {
    Context::with(|context| {
        let context = context.ok_or(TimeError(Kind::NoExecutor))?;
        context.shared().time.pause();
        Ok(())
    })
}

/// Moves the stopped time of the executor that runs the caller by `duration`, wakes the tasks whose deadlines have come, and
/// yields, so that tasks that were queued before can run. The [module](super) has an example.
///
/// # Errors
///
/// A [`TimeError`] if no executor runs the caller, or if its time is not stopped.
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

/// The reason why an executor's time cannot be stopped or moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeError(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    NoExecutor,
    NotPaused,
}

impl TimeError {
    /// Returns `true` if no executor runs the caller.
    #[must_use]
    pub fn is_no_executor(&self) -> bool {
        self.0 == Kind::NoExecutor
    }

    /// Returns `true` if the executor's time is not stopped.
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
