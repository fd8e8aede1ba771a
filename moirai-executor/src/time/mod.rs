//! Time for async code: sleeps, timeouts, intervals, and a clock that tests can move.
//!
//! A [`Sleep`], a [`Timeout`] and an [`Interval`] can be awaited on any thread, and in a task of any executor. Each takes one entry
//! in a timing wheel, which is freed when it is dropped. They are exact to a quarter of a millisecond, and never early. One thread,
//! `moirai-timer`, wakes the tasks that wait. It is started at the first wait, and ends when no task has waited for a second.
//! Workers that are busy look for timers that are due, too, every fifth of a millisecond, because the thread has to wait for a
//! processor when every processor is busy.
//!
//! # Time in tests
//!
//! A test can take control of an executor's time: with [`pause()`], with [`pause_time`](crate::HybridExecutor::pause_time) of the
//! executor, or by giving its builder a manual [`Clock`](moirai_core::Clock). From then on a deadline in that executor has come
//! when [`advance`] has moved the clock so far, and [`Instant::now`] returns the time of that clock. Other executors, and other
//! tests in the process, are not affected.
//!
//! ```
//! use moirai::prelude::*;
//! use moirai::time;
//! use std::time::Duration;
//!
//! let executor = Moirai::new()?;
//! executor.block_on(async {
//!     time::pause().unwrap();
//!     let start = time::Instant::now();
//!     let hour = time::sleep(Duration::from_secs(3600));
//!     time::advance(Duration::from_secs(3600)).await.unwrap();
//!     hour.await;
//!     assert_eq!(start.elapsed(), Duration::from_secs(3600));
//! });
//! # Ok::<(), BuildError>(())
//! ```

mod current;
mod instant;
mod interval;
mod pause;
mod sleep;
mod timeout;

pub use instant::Instant;
pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
pub use pause::{TimeError, advance, pause};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};

pub(crate) use sleep::Deadline;
