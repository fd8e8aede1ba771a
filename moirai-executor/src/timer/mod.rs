//! Timers: wakers that are woken at a deadline, by the system's time or by that of a manual clock.

pub(crate) mod driver;
pub(crate) mod executor_time;
pub(crate) mod queue;
mod wheel;

pub(crate) use driver::Driver;
pub(crate) use executor_time::ExecutorTime;
