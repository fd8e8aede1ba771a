//! How often a job is tried, and when again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moirai::retry::{BackoffBuilder, ExponentialBuilder};
use moirai_core::panics::contain;

/// The largest number of attempts, also of policies that have no end.
const MOST: usize = 1_000;

/// The longest delay.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

type Delays = Box<dyn Iterator<Item = Duration> + Send>;

/// A policy, of which any number of copies can be made.
#[derive(Clone)]
pub(crate) struct Retries(Arc<dyn Fn() -> Delays + Send + Sync>);

impl Retries {
    pub(crate) fn new<B>(policy: B) -> Self
    where
        B: BackoffBuilder + Clone + 'static,
        B::Backoff: 'static,
    {
        Self(Arc::new(move || Box::new(policy.clone().build())))
    }

    /// The number of attempts.
    pub(crate) fn attempts(&self) -> u32 {
        let again = (self.0)().take(MOST - 1).count();
        u32::try_from(again + 1).unwrap_or(u32::MAX)
    }

    /// How long to wait after an attempt has failed, at most a year. The first attempt is number one. Beyond the policy's end, its last
    /// delay; and one second, if the policy panics.
    pub(crate) fn delay(&self, attempt: u32) -> Duration {
        let mut delay = Duration::from_secs(1);
        let panic = contain(|| {
            delay = (self.0)().take((attempt as usize).min(MOST)).last().unwrap_or_default();
        });
        if let Some(message) = panic {
            tracing::warn!(%message, "a policy of retries has panicked");
        }
        delay.min(LONGEST)
    }
}

impl Default for Retries {
    /// Five attempts, with one second before the second one, and then two, four and eight.
    fn default() -> Self {
        let policy = ExponentialBuilder::default()
            .with_min_delay(Duration::from_secs(1))
            .with_max_delay(Duration::from_secs(600))
            .with_max_times(4);
        Self::new(policy)
    }
}

impl fmt::Debug for Retries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retries").field("attempts", &self.attempts()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use moirai::retry::ConstantBuilder;

    #[test]
    fn the_default_has_five_attempts() {
        let retries = Retries::default();
        assert_eq!(retries.attempts(), 5);
        let delays: Vec<_> = (1..=4).map(|attempt| retries.delay(attempt).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8]);
        assert_eq!(retries.delay(9).as_secs(), 8);
    }

    #[test]
    fn a_policy_without_end_is_cut() {
        let retries = Retries::new(ConstantBuilder::default().without_max_times());
        assert_eq!(retries.attempts(), 1_000);
        assert_eq!(retries.delay(u32::MAX), Duration::from_secs(1));
    }

    /// A policy of a user, which panics when it is asked for its second delay.
    #[derive(Clone, Debug)]
    struct Broken(u32);

    impl Iterator for Broken {
        type Item = Duration;

        fn next(&mut self) -> Option<Duration> {
            self.0 += 1;
            assert!(self.0 < 2, "on purpose");
            Some(Duration::MAX)
        }
    }

    #[test]
    fn a_policy_that_panics_or_waits_for_ever_does_no_harm() {
        let retries = Retries::new(Broken(0));
        assert_eq!(retries.delay(1), LONGEST);
        assert_eq!(retries.delay(2), Duration::from_secs(1));
    }

    #[test]
    fn a_policy_without_delays_is_one_attempt() {
        let retries = Retries::new(ConstantBuilder::default().with_max_times(0));
        assert_eq!((retries.attempts(), retries.delay(1)), (1, Duration::ZERO));
    }
}
