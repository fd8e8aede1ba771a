//! Rate limits.

use std::fmt;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use moirai_executor::time::{self, Instant};

/// A limit on how often something is done, such as a hundred times a second, with a reserve for bursts.
///
/// The algorithm is that of `governor` (GCRA, a leaky bucket). Time is that of the executor that runs the caller, so tests and
/// [simulations](crate::sim) control it. A limit is for one executor: make it and use it in tasks of the same, or of others whose time
/// is not stopped.
///
/// ```
/// use moirai::limit::{Quota, RateLimit};
/// use moirai::time::Instant;
/// use std::num::NonZeroU32;
/// use std::time::Duration;
///
/// moirai::sim::run(1, |_| async {
///     let limit = RateLimit::new(Quota::per_second(NonZeroU32::new(10).unwrap()));
///     let start = Instant::now();
///     for _ in 0..30 {
///         limit.until_ready().await;
///     }
///     // Ten at once, and then one every tenth of a second.
///     assert_eq!(start.elapsed().as_secs(), 2);
///     assert!(limit.check().unwrap_err() <= Duration::from_millis(101));
/// });
/// ```
pub struct RateLimit {
    limiter: RateLimiter<NotKeyed, InMemoryState, ExecutorClock, NoOpMiddleware<Duration>>,
    clock: ExecutorClock,
}

/// The time of the executor that runs the caller, since the limit was made.
#[derive(Clone, Copy, Debug)]
struct ExecutorClock {
    start: Instant,
}

impl Clock for ExecutorClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

impl RateLimit {
    /// Creates a limit. At the beginning, the whole reserve for bursts is there.
    #[must_use]
    pub fn new(quota: Quota) -> Self {
        let clock = ExecutorClock { start: Instant::now() };
        Self { limiter: RateLimiter::direct_with_clock(quota, clock), clock }
    }

    /// Counts one use, if the limit allows it now.
    ///
    /// # Errors
    ///
    /// Returns how long to wait until it may allow it. Nothing is counted then.
    pub fn check(&self) -> Result<(), Duration> {
        self.limiter.check().map_err(|refused| refused.wait_time_from(self.clock.now()))
    }

    /// Waits until the limit allows one use, and counts it.
    ///
    /// Those who wait are not served in an order. If the future is dropped before it is ready, nothing is counted.
    pub async fn until_ready(&self) {
        while let Err(wait) = self.check() {
            time::sleep(wait).await;
        }
    }
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit").finish_non_exhaustive()
    }
}
