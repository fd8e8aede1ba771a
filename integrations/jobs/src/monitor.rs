//! Queues, as the live page and the scrape show them.

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::{Either, select};
use moirai::Moirai;
use moirai::metrics::{self, DeadJob, QueueSource};
use moirai::time::{Instant, sleep};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::record::{JobRecord, JobState, QueueStats};
use crate::{Error, JobId, Jobs, ListJobs};

/// How often it is looked whether the storage is to be asked.
const TICK: Duration = Duration::from_secs(1);
/// How long ago somebody has looked at the most, and how often the storage is asked then: a page looks twice a second, and a scrape each
/// minute or so.
const PERIODS: [(Duration, Duration); 2] = [
    (Duration::from_secs(10), Duration::from_secs(1)),
    (Duration::from_secs(600), Duration::from_secs(10)),
];
/// How often it is asked when nobody looks.
const IDLE: Duration = Duration::from_secs(60);
/// How many times as long as an answer has taken it is not asked again: counting the jobs of a long queue is work for the storage.
const PAUSE: u32 = 20;
/// How many queues, and how many dead jobs of each, are known.
const MOST: u32 = 100;
/// How many requests for another round of attempts may wait.
const REQUESTS: usize = 100;

/// Shows the queues of a storage on the live page and in `/metrics`; see [`Jobs::monitor`].
pub struct Monitor {
    latest: Mutex<Latest>,
    requests: mpsc::Sender<JobId>,
}

#[derive(Default)]
struct Latest {
    queues: Vec<QueueStats>,
    dead: HashMap<String, Vec<JobRecord>>,
    looked: Option<Instant>,
}

impl Jobs {
    /// Starts a task that asks the storage for its queues, for the [live page](moirai::metrics::QueueSource): once a second while somebody
    /// looks at it, each ten seconds while it is scraped, and else once a minute. A storage that takes long to answer is asked less often,
    /// so that this is at most a twentieth of the time. It ends with the returned monitor, and when the executor shuts down.
    ///
    /// ```
    /// use moirai::prelude::*;
    /// use moirai::metrics::QueueSource;
    /// use moirai_jobs::Jobs;
    ///
    /// # let file = std::env::temp_dir().join(format!("moirai-monitor-doc-{}", std::process::id()));
    /// # let path = file.clone();
    /// let driver = moirai_tokio::driver()?;
    /// let tokio = driver.handle();
    /// let moirai = Moirai::builder().plugin(driver).build()?;
    /// let jobs = moirai_tokio::block_on(&moirai, tokio, Jobs::sqlite(&path))?;
    /// let monitor = jobs.monitor(&moirai);
    /// // With the feature `page` of moirai: `Page::new(&moirai).queues(monitor).allow_retry(true)`.
    /// assert!(monitor.queues().is_empty());
    /// # drop((monitor, jobs));
    /// # moirai.shutdown();
    /// # let _ = std::fs::remove_file(file);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use = "the task ends with the monitor"]
    pub fn monitor(&self, moirai: &Moirai) -> Arc<Monitor> {
        let (requests, requested) = mpsc::channel(REQUESTS);
        let monitor = Arc::new(Monitor { latest: Mutex::default(), requests });
        let watched = Arc::downgrade(&monitor);
        let (jobs, ending) = (self.clone(), moirai.shutting_down());
        let watch = async move {
            let watch = pin!(watch(jobs, watched, requested));
            select(watch, pin!(ending)).await;
        };
        drop(moirai.task().name("monitor of jobs").spawn_async(watch));
        monitor
    }
}

/// Asks the storage, until the monitor is gone.
async fn watch(
    jobs: Jobs,
    monitor: std::sync::Weak<Monitor>,
    mut requested: mpsc::Receiver<JobId>,
) {
    let mut asked: Option<Instant> = None;
    let mut took = Duration::ZERO;
    loop {
        let Some(known) = monitor.upgrade() else { return };
        let looked = known.latest.lock().looked;
        drop(known);
        if asked.is_none_or(|at| at.elapsed() >= period(looked, took)) {
            let began = Instant::now();
            let answer = ask(&jobs).await;
            (asked, took) = (Some(Instant::now()), began.elapsed());
            match answer {
                Ok((queues, dead)) => {
                    let Some(monitor) = monitor.upgrade() else { return };
                    let mut latest = monitor.latest.lock();
                    (latest.queues, latest.dead) = (queues, dead);
                }
                Err(error) => tracing::debug!(%error, "the queues of jobs cannot be shown"),
            }
        }
        match select(pin!(requested.recv()), sleep(TICK)).await {
            Either::Left((Some(id), _)) => {
                if let Err(error) = jobs.retry(id).await {
                    tracing::warn!(%id, %error, "a job cannot be retried");
                }
                asked = None;
            }
            Either::Left((None, _)) => return,
            Either::Right(_) => {}
        }
    }
}

/// How long what the storage has said will do, if somebody has looked at that time, and the answer took so long.
fn period(looked: Option<Instant>, took: Duration) -> Duration {
    let ago = looked.map_or(Duration::MAX, |at| at.elapsed());
    let period =
        PERIODS.iter().find(|(within, _)| ago <= *within).map_or(IDLE, |(_, period)| *period);
    period.max(took * PAUSE)
}

type Asked = (Vec<QueueStats>, HashMap<String, Vec<JobRecord>>);

async fn ask(jobs: &Jobs) -> Result<Asked, Error> {
    let mut queues = jobs.queues().await?;
    queues.truncate(MOST as usize);
    let mut dead = HashMap::new();
    for queue in queues.iter().filter(|queue| queue.dead > 0) {
        let which = ListJobs::new().queue(&queue.name).state(JobState::Dead).limit(MOST);
        let mut records = jobs.list(which).await?;
        records.sort_by_key(|record| std::cmp::Reverse(record.ended_at));
        dead.insert(queue.name.clone(), records);
    }
    Ok((queues, dead))
}

impl QueueSource for Monitor {
    fn queues(&self) -> Vec<metrics::QueueStats> {
        let mut latest = self.latest.lock();
        latest.looked = Some(Instant::now());
        latest.queues.iter().map(shown).collect()
    }

    fn dead_jobs(&self, queue: &str, limit: usize) -> Vec<DeadJob> {
        let mut latest = self.latest.lock();
        latest.looked = Some(Instant::now());
        let dead = latest.dead.get(queue).into_iter().flatten().take(limit);
        dead.map(|record| {
            let error = record.error.clone().unwrap_or_default();
            let mut job = DeadJob::new(record.id.to_string(), error);
            job.attempts = record.attempts.into();
            job.died_at = record.ended_at;
            job
        })
        .collect()
    }

    fn retry(&self, queue: &str, id: &str) -> bool {
        let Ok(id) = id.parse() else { return false };
        // There is a place for the request, or none: it is sent after the lock, since that wakes the task.
        let Ok(request) = self.requests.try_reserve() else { return false };
        let mut latest = self.latest.lock();
        let Some(dead) = latest.dead.get_mut(queue) else { return false };
        let Some(index) = dead.iter().position(|record| record.id == id) else { return false };
        dead.remove(index);
        drop(latest);
        request.send(id);
        true
    }
}

fn shown(queue: &QueueStats) -> metrics::QueueStats {
    let mut shown = metrics::QueueStats::new(&*queue.name);
    shown.waiting = queue.waiting;
    shown.scheduled = queue.scheduled;
    shown.running = queue.running;
    shown.retrying = queue.retrying;
    shown.done = queue.done;
    shown.dead = queue.dead;
    shown.cancelled = queue.cancelled;
    let age = |since| SystemTime::now().duration_since(since).unwrap_or_default();
    shown.oldest_waiting = queue.oldest_waiting.map(age);
    shown
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storage_is_asked_seldom_if_nobody_looks_or_it_takes_long() {
        let now = Some(Instant::now());
        let (at_once, second) = (Duration::ZERO, Duration::from_secs(1));
        assert_eq!((period(now, at_once), period(None, at_once)), (second, IDLE));
        assert_eq!((period(now, second), period(None, second)), (20 * second, IDLE));
        assert_eq!(period(None, 10 * second), 200 * second);
    }
}
