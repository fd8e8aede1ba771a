//! The jobs: each renders the pages of an order, and is a task.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moirai::Retention;
use moirai::limit::{KeyedLimit, Quota, RateLimit};
use moirai::prelude::*;
use moirai::retry::{ExponentialBuilder, retry};
use moirai::task;

/// How many jobs of one customer run at the same time.
const PER_CUSTOMER: usize = 2;

/// How long, and how many, records of jobs are kept, however many requests there are.
pub(crate) const RETENTION: Retention =
    Retention { max_records: 1_000, max_age: Duration::from_secs(3_600) };

/// Takes jobs, and knows them.
#[derive(Clone)]
pub(crate) struct Jobs {
    pub(crate) moirai: Moirai,
    rate: Arc<RateLimit>,
    per_customer: KeyedLimit,
    calls: Arc<AtomicU64>,
}

impl Jobs {
    /// The name of the tasks that are jobs, and of their retention class.
    pub(crate) const NAME: &str = "job";

    pub(crate) fn new(moirai: &Moirai, per_second: NonZeroU32) -> Self {
        Self {
            moirai: moirai.without_owner(),
            rate: Arc::new(RateLimit::new(Quota::per_second(per_second))),
            per_customer: KeyedLimit::new(PER_CUSTOMER),
            calls: Arc::default(),
        }
    }

    /// Starts a job, and returns its id; or how long to wait, at the limit on the rate.
    pub(crate) fn start(&self, customer: String, pages: u32) -> Result<TaskId, Duration> {
        self.rate.check()?;
        let jobs = self.clone();
        let job = self.moirai.task().name(Self::NAME).retention(Self::NAME).fails_on_err();
        let job = job.tag("customer", &customer);
        Ok(job.spawn_async(async move { jobs.run(&customer, pages).await }).id())
    }

    async fn run(&self, customer: &str, pages: u32) -> Result<(), String> {
        task::set_progress(0, pages.into());
        let _permit = self.per_customer.acquire(customer).await;
        let policy = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(5))
            .with_max_times(5)
            .with_jitter();
        let mut words = 0;
        for page in 0..pages {
            words += retry(policy, || self.render(page)).await?;
            task::set_progress(u64::from(page) + 1, pages.into());
        }
        task::set_note(&format!("{words} words"));
        Ok(())
    }

    /// Renders a page. It computes on all workers, and now and then it fails.
    async fn render(&self, page: u32) -> Result<u64, String> {
        let words =
            |seed: u32| (0..20_000_u64).fold(u64::from(seed), |sum, n| sum ^ (sum << 1) ^ n);
        let (left, right) = moirai::join(|| words(page), || words(page + 1));
        if self.calls.fetch_add(1, Ordering::Relaxed) % 10 == 9 {
            return Err("the printer is busy".to_owned());
        }
        Ok((left ^ right) % 1_000)
    }
}
