//! Who waits for which moment, and who tells them.

pub(crate) mod driver;
pub(crate) mod queue;
mod wheel;

pub(crate) use driver::Driver;
