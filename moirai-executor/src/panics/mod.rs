//! Containing the panics of user code.

pub(crate) mod cancelled;
mod contain;
mod location;

pub(crate) use contain::{Caught, catch, joined, message_of};
pub(crate) use location::capture_locations;
