//! Containing the panics of user code.

mod abort;
pub(crate) mod cancelled;
mod catch;
mod location;
mod log;
pub(crate) mod spans;

pub(crate) use abort::AbortOnUnwind;
pub(crate) use catch::{Caught, catch, joined};
pub(crate) use location::capture_locations;
pub(crate) use log::log;
pub(crate) use moirai_core::panics::{contain, is_contained};
