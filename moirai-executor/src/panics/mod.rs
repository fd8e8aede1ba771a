//! Containing the panics of user code.

pub(crate) mod cancelled;
mod catch;
mod location;

pub(crate) use catch::{Caught, catch, joined};
pub(crate) use location::capture_locations;
pub(crate) use moirai_core::panics::contain;
