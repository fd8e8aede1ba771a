//! Who waits for which moment, and who tells them.

pub(crate) mod driver;
pub(crate) mod executor_time;
pub(crate) mod queue;
mod wheel;

pub(crate) use driver::Driver;
pub(crate) use executor_time::ExecutorTime;
