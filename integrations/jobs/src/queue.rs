//! A queue: what is pushed to it, and how its jobs are run.

use std::error::Error as StdError;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use moirai::Moirai;
use moirai::retry::BackoffBuilder;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::consumer::{self, Consumer};
use crate::retries::Retries;
use crate::settings::{MAX_PAYLOAD, MOST_BYTES, Settings};
use crate::shared::Shared;
use crate::store::{NewJob, seconds_up};
use crate::{Error, Job, JobId};

/// The largest number of jobs that one request pushes.
const BATCH: usize = 1_000;

/// A queue of jobs with payloads of type `T`, as [`Jobs::queue`](crate::Jobs::queue) returns it. A job's payload is kept as JSON, of at most 16 MiB:
/// of what is larger, push where it is.
///
/// Settings are those of this handle and its copies. A push uses the number of attempts; [`run`](Self::run) uses all others. So
/// processes that push to a queue and those that run its jobs best get the handle from one function.
///
/// ```
/// use moirai::prelude::*;
/// use moirai_jobs::{Job, Jobs, Queue};
/// use std::time::Duration;
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Resize {
///     path: String,
///     width: u32,
/// }
///
/// fn resize(jobs: &Jobs) -> Queue<Resize> {
///     jobs.queue("resize").concurrency(8).timeout(Duration::from_secs(60))
/// }
///
/// let driver = moirai_tokio::driver()?;
/// let tokio = driver.handle();
/// let moirai = Moirai::builder().plugin(driver).build()?;
/// # let file = std::env::temp_dir().join(format!("moirai-queue-doc-{}", std::process::id()));
/// # let path = file.clone();
/// moirai_tokio::block_on(&moirai.clone(), tokio, async move {
///     let jobs = Jobs::sqlite(&path).await?;
///     let id = resize(&jobs).push(&Resize { path: "cat.png".into(), width: 64 }).await?;
///     let consumer = resize(&jobs).run(&moirai, |job: Job<Resize>| async move {
///         // Here the picture is resized.
///         println!("{} is {} wide", job.payload.path, job.payload.width);
///         Ok::<_, std::io::Error>(())
///     })?;
///     while jobs.status(id).await?.is_some_and(|job| !job.record.state.has_ended()) {
///         moirai::time::sleep(Duration::from_millis(5)).await;
///     }
///     consumer.drain().await;
///     assert_eq!(jobs.status(id).await?.unwrap().record.state, moirai_jobs::JobState::Done);
///     Ok::<(), moirai_jobs::Error>(())
/// })?;
/// # let _ = std::fs::remove_file(file);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct Queue<T> {
    shared: Arc<Shared>,
    name: Arc<str>,
    settings: Settings,
    payload: PhantomData<fn(T) -> T>,
}

impl<T> Queue<T> {
    pub(crate) fn new(shared: Arc<Shared>, name: Arc<str>) -> Self {
        Self { shared, name, settings: Settings::default(), payload: PhantomData }
    }

    /// Says which setting makes no sense.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.settings.check(&self.name)
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets how many jobs a consumer runs at the same time. Default: twice the number of the executor's workers. At most 10,000.
    pub fn concurrency(mut self, jobs: usize) -> Self {
        self.settings.concurrency = Some(jobs);
        self
    }

    /// Sets how often a job is tried, and how long to wait between two attempts, by a policy of `backon`. Default: five attempts, one,
    /// two, four and eight seconds apart.
    ///
    /// A job is pushed with the policy's number of attempts, at most a thousand. The next attempt begins at the first whole second of the
    /// clock at which the delay, of at most a year, is over. An attempt whose process was killed, or fell silent, counts.
    pub fn retry<B>(mut self, policy: B) -> Self
    where
        B: BackoffBuilder + Clone + 'static,
        B::Backoff: 'static,
    {
        self.settings.retries = Retries::new(policy);
        self
    }

    /// Sets how long an attempt may take. It is cancelled then, and counts as failed. Default: no limit.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = Some(timeout);
        self
    }

    /// Sets how long a consumer may be silent before others take over its jobs, three seconds to thirty days. Default: 30
    /// seconds. After a
    /// crash, a job is taken over when between two thirds of the lease and four thirds of it have passed, and up to a second more.
    ///
    /// A consumer says that it is alive at each third of the lease. All consumers of a queue must have the same lease: each applies its
    /// own to the others.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.settings.lease = lease;
        self
    }

    /// Sets how often an idle consumer looks for jobs that other processes have pushed, where the storage does not tell: with SQLite,
    /// and for jobs whose time has come. Default: 100 ms. At least one millisecond.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.settings.poll_interval = interval;
        self
    }

    /// Sets how long running jobs may go on when the consumer drains. Then they are cancelled and given back. Default: five seconds. It
    /// should be shorter than the timeout of [`Moirai::drain`].
    pub fn grace(mut self, grace: Duration) -> Self {
        self.settings.grace = grace;
        self
    }

    /// Sets the retention class of the tasks that are attempts. Default: `jobs`. The executor's builder names its limits:
    /// `.retention("jobs", ..)`.
    pub fn retention(mut self, class: impl Into<Arc<str>>) -> Self {
        self.settings.class = class.into();
        self
    }

    /// Sets how long the storage keeps jobs that are done or cancelled, and dead ones. Default: seven days, and ninety. Consumers delete
    /// those that are older.
    pub fn keep(mut self, done: Duration, dead: Duration) -> Self {
        (self.settings.keep_done, self.settings.keep_dead) = (done, dead);
        self
    }
}

impl<T: Serialize> Queue<T> {
    /// Pushes a job, to be run as soon as possible.
    ///
    /// When this returns, the job is in the storage.
    ///
    /// # Errors
    ///
    /// [`Error::Payload`], [`Error::Setting`] and [`Error::Storage`].
    pub async fn push(&self, payload: &T) -> Result<JobId, Error> {
        self.job(payload).push().await
    }

    /// Pushes a job, to be run when that time has come: at the first whole second that is not before it.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub async fn push_at(&self, payload: &T, time: SystemTime) -> Result<JobId, Error> {
        self.job(payload).at(time).push().await
    }

    /// Pushes many jobs, up to a thousand in one transaction. Returns their ids, in order; each is larger than the one before.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push). Jobs of transactions before the one that failed are in the storage.
    pub async fn push_all<'t>(
        &self,
        payloads: impl IntoIterator<Item = &'t T>,
    ) -> Result<Vec<JobId>, Error>
    where
        T: 't,
    {
        let mut jobs = Vec::new();
        for payload in payloads {
            jobs.push(self.job(payload).new_job()?);
        }
        let mut ids = Vec::with_capacity(jobs.len());
        for batch in jobs.chunks(BATCH) {
            ids.extend(self.store(batch).await?);
        }
        Ok(ids)
    }

    /// Begins a job that needs more than a payload: a key, a time, a priority.
    pub fn job<'q>(&'q self, payload: &'q T) -> PushJob<'q, T> {
        PushJob { queue: self, payload, at: None, key: None, priority: 0 }
    }

    async fn store(&self, jobs: &[NewJob]) -> Result<Vec<JobId>, Error> {
        self.check()?;
        let ids = self.shared.call(self.shared.store.push(&self.name, jobs)).await?;
        self.shared.tell(&self.name);
        Ok(ids)
    }
}

impl<T: DeserializeOwned + Send + 'static> Queue<T> {
    /// Starts a consumer: a task of `moirai` that takes jobs and runs `handler` for each, in a task of its own.
    ///
    /// That task is named by the queue and the job's id, and has the tags `queue`, `job` and `attempt`. It fails if the handler returns
    /// an error, or panics, or the timeout passes, or somebody cancels the task; the storage then has the message. The job is tried
    /// again, until all attempts have failed or one returned [`Permanent`](crate::Permanent): then it is dead. A job whose payload is no
    /// `T` is dead at once, and stays to be looked at.
    ///
    /// The consumer ends when the executor shuts down, or by [`Consumer::drain`]. While the storage does not answer, it goes on trying,
    /// and jobs that run go on.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`].
    pub fn run<H, F, E>(self, moirai: &Moirai, handler: H) -> Result<Consumer, Error>
    where
        H: Fn(Job<T>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        self.check()?;
        Ok(consumer::start(self.shared, self.name, self.settings, moirai, handler))
    }
}

/// A job to be pushed; see [`Queue::job`].
#[must_use = "it is pushed by `push`"]
pub struct PushJob<'q, T> {
    queue: &'q Queue<T>,
    payload: &'q T,
    at: Option<SystemTime>,
    key: Option<String>,
    priority: u32,
}

impl<T: Serialize> PushJob<'_, T> {
    /// Sets when the job is to be run: at the first whole second that is not before this time. Default: as soon as possible.
    pub fn at(mut self, time: SystemTime) -> Self {
        self.at = Some(time);
        self
    }

    /// Sets the idempotency key, of 1 to 200 bytes. If the queue has a job with this key already, whatever its state, none is pushed,
    /// and the push returns the id of that one. When that job is purged, its key is free again.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the priority. Jobs with a higher one are taken first. Default: 0.
    pub fn priority(mut self, priority: u32) -> Self {
        self.priority = priority;
        self
    }

    /// Pushes the job. When this returns, it is in the storage.
    ///
    /// # Errors
    ///
    /// As [`Queue::push`].
    pub async fn push(self) -> Result<JobId, Error> {
        let ids = self.queue.store(&[self.new_job()?]).await?;
        ids.first().copied().ok_or_else(|| Error::storage("it has returned no id"))
    }

    fn new_job(&self) -> Result<NewJob, Error> {
        if let Some(length) = self.key.as_ref().map(String::len)
            && !(1..=MOST_BYTES).contains(&length)
        {
            let text = format!("an idempotency key has 1 to {MOST_BYTES} bytes, and not {length}");
            return Err(Error::Setting(text));
        }
        let payload = serde_json::to_vec(self.payload).map_err(Error::Payload)?;
        if payload.len() > MAX_PAYLOAD {
            let bytes = payload.len();
            let text = format!("a payload has at most 16 MiB as JSON, and not {bytes} bytes");
            return Err(Error::Setting(text));
        }
        Ok(NewJob {
            id: JobId::generate(),
            payload,
            run_at: self.at.map(seconds_up),
            max_attempts: self.queue.settings.retries.attempts(),
            priority: self.priority.min(i32::MAX.unsigned_abs()),
            key: self.key.clone(),
        })
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            name: Arc::clone(&self.name),
            settings: self.settings.clone(),
            payload: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("name", &self.name).field("settings", &self.settings).finish()
    }
}

impl<T> fmt::Debug for PushJob<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushJob")
            .field("queue", &self.queue.name)
            .field("at", &self.at)
            .field("key", &self.key)
            .field("priority", &self.priority)
            .finish_non_exhaustive()
    }
}
