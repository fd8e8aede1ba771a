//! The time of the executor that runs the caller.

use crate::runtime::context::Context;
use crate::timer::driver::TimeSource;

/// That of the executor that runs the caller, else the system's.
pub(super) fn current() -> TimeSource {
    Context::with(|context| {
        context.map_or(TimeSource::System, |context| context.shared().time.source())
    })
}
