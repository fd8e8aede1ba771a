//! The time of the executor that runs the caller.

use crate::runtime::context::Context;
use crate::timer::driver::Domain;

/// That of the executor that runs the caller, else the system's.
pub(super) fn current() -> Domain {
    Context::with(|context| {
        context.map_or(Domain::System, |context| context.shared().time.domain())
    })
}
