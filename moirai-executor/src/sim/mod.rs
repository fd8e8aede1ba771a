//! A whole executor on one thread, with its order drawn from a seed and a time of its own.

mod driver;
mod explore;
mod failure;
mod simulation;

pub(crate) use driver::Sim;
pub use explore::{Exploration, explore};
pub use failure::{Cause, Failure};
pub use simulation::{Run, Simulation};
