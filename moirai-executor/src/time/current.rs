//! The time that applies to the caller.

use crate::runtime::context::Context;
use crate::timer::driver::TimeSource;

/// Returns the time of the executor that runs the caller, or the system's if there is none.
pub(super) fn current() -> TimeSource {
    Context::with(|context| {
        context.map_or(TimeSource::System, |context| context.shared().time.source())
    })
}
