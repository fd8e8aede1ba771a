//! Who waits for which moment, and who tells them.

pub(crate) mod driver;
pub(crate) mod queue;
pub(crate) mod source;
mod wheel;

pub(crate) use driver::Driver;
pub(crate) use source::TimeSource;
