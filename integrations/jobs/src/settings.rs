//! How the jobs of a queue are run.

use std::sync::Arc;
use std::time::Duration;

use crate::Error;
use crate::retries::Retries;

/// The largest number of bytes of a queue's name, and of an idempotency key.
pub(crate) const MOST_BYTES: usize = 200;
/// The largest number of bytes of a payload, as JSON.
pub(crate) const MAX_PAYLOAD: usize = 16 << 20;
const MAX_LEASE: Duration = Duration::from_secs(30 * 24 * 3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How the jobs of a queue are run.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// `None`: twice the number of workers.
    pub(crate) concurrency: Option<usize>,
    pub(crate) retries: Retries,
    pub(crate) timeout: Option<Duration>,
    pub(crate) lease: Duration,
    pub(crate) poll_interval: Duration,
    pub(crate) grace: Duration,
    pub(crate) class: Arc<str>,
    pub(crate) keep_done: Duration,
    pub(crate) keep_dead: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            concurrency: None,
            retries: Retries::default(),
            timeout: None,
            lease: Duration::from_secs(30),
            poll_interval: Duration::from_millis(100),
            grace: Duration::from_secs(5),
            class: "jobs".into(),
            keep_done: 7 * DAY,
            keep_dead: 90 * DAY,
        }
    }
}

impl Settings {
    /// Says what of these settings, or of the name of a queue that has them, makes no sense.
    pub(crate) fn check(&self, name: &str) -> Result<(), Error> {
        check_name(name)?;
        let concurrency = self.concurrency.unwrap_or(1);
        let wrong = if concurrency == 0 || concurrency > 10_000 {
            format!("queue {name}: the concurrency is 1 to 10,000 jobs, and not {concurrency}")
        } else if self.lease < Duration::from_secs(3) || self.lease > MAX_LEASE {
            format!(
                "queue {name}: the lease is three seconds to thirty days, and not {:?}",
                self.lease
            )
        } else if self.poll_interval < Duration::from_millis(1) {
            let given = self.poll_interval;
            format!(
                "queue {name}: the poll interval is one millisecond at least, and not {given:?}"
            )
        } else {
            return Ok(());
        };
        Err(Error::Setting(wrong))
    }
}

/// Says why no queue may have this name.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    match name.len() {
        1..=MOST_BYTES => Ok(()),
        bytes => {
            let text = format!("the name of a queue has 1 to {MOST_BYTES} bytes, and not {bytes}");
            Err(Error::Setting(text))
        }
    }
}
