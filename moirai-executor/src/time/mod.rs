//! Time for async code: waiting for a moment, limits, ticks, and a clock that tests can move.
//!
//! A [`Sleep`], a [`Timeout`] and an [`Interval`] can be awaited on any thread, and in a task of any executor. They cost one entry in
//! a timing wheel, and are forgotten when they are dropped. They are exact to a quarter of a millisecond, and never early. One thread,
//! `moirai-timer`, wakes who waits; it is started at the first wait, and ends when there was none for a second. Workers that are busy
//! look, too, every fifth of a millisecond: when every processor is busy, the thread has to wait for one.
//!
//! # Time in tests
//!
//! An executor's time can be taken in controller: with [`pause`], with `pause_time` of the executor, or with a manual
//! [`Clock`](moirai_core::Clock) given to its builder. From then on what is waited for inside that executor is due when
//! [`advance`] has moved the clock so far, and [`Instant::now`] says what that clock says. Other executors, and other tests
//! in the process, are not touched.
//!
//! ```
//! use moirai_executor::{HybridExecutor, time};
//! use moirai_core::ExecutorControl;
//! use std::time::Duration;
//!
//! let executor = HybridExecutor::builder().worker_threads(1).build()?;
//! executor.block_on(async {
//!     time::pause().unwrap();
//!     let start = time::Instant::now();
//!     let hour = time::sleep(Duration::from_secs(3600));
//!     time::advance(Duration::from_secs(3600)).await.unwrap();
//!     hour.await;
//!     assert_eq!(start.elapsed(), Duration::from_secs(3600));
//! });
//! # Ok::<(), moirai_core::BuildError>(())
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
