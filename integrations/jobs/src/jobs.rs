//! The jobs of a storage.

use std::fmt;
#[cfg(feature = "sqlite")]
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::record::{JobRecord, JobState, JobStatus, QueueStats};
use crate::settings::check_name;
use crate::shared::Shared;
use crate::store::{Filter, Store};
use crate::{Error, JobId, Queue};

/// The jobs of a storage: a file, or a server. Copies share its connections.
///
/// Its futures run on any thread. The reactor that was current when the storage was opened must be driven meanwhile, which the
/// executor that it belongs to does.
#[derive(Clone)]
pub struct Jobs(Arc<Shared>);

/// Which jobs [`Jobs::list`] returns. The default is the newest 100 of all queues.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ListJobs {
    filter: Filter,
}

impl ListJobs {
    /// Creates the default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Limits the list to a queue.
    pub fn queue(mut self, name: impl Into<String>) -> Self {
        self.filter.queue = Some(name.into());
        self
    }

    /// Limits the list to a state.
    pub fn state(mut self, state: JobState) -> Self {
        self.filter.state = Some(state);
        self
    }

    /// Limits the list to jobs that were pushed before this one: the last one of the list before, for the next page.
    pub fn before(mut self, id: JobId) -> Self {
        self.filter.before = Some(id);
        self
    }

    /// Sets the largest number of jobs. Default: 100. At most 10,000 are listed.
    pub fn limit(mut self, jobs: u32) -> Self {
        self.filter.limit = jobs.clamp(1, 10_000);
        self
    }
}

impl Jobs {
    /// Opens the storage of this address: `postgres://…` for a PostgreSQL server, `redis://…` for a Redis server, and anything else for the
    /// path of a file, which may have `sqlite:` before it. Each needs the crate's feature of that name.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] without the feature; else as the function of that storage.
    #[cfg_attr(
        not(any(feature = "postgres", feature = "redis", feature = "sqlite")),
        allow(clippy::unused_async)
    )]
    pub async fn open(address: &str) -> Result<Self, Error> {
        if address.starts_with("postgres:") || address.starts_with("postgresql:") {
            #[cfg(feature = "postgres")]
            return Self::postgres(address).await;
            #[cfg(not(feature = "postgres"))]
            return missing_feature("postgres");
        }
        if address.starts_with("redis:") || address.starts_with("rediss:") {
            #[cfg(feature = "redis")]
            return Self::redis(address).await;
            #[cfg(not(feature = "redis"))]
            return missing_feature("redis");
        }
        if let Some((scheme, _)) = address.split_once("://") {
            let text = format!(
                "the address has the scheme {scheme}, and there are postgres and redis, or a path for SQLite"
            );
            return Err(Error::Setting(text));
        }
        #[cfg(feature = "sqlite")]
        return Self::sqlite(address.strip_prefix("sqlite:").unwrap_or(address)).await;
        #[cfg(not(feature = "sqlite"))]
        return missing_feature("sqlite");
    }

    /// Opens a file with jobs, by SQLite, or creates it. Any number of processes of one machine may have it open. The file must not be
    /// on a network file system, where SQLite's locks do not hold.
    ///
    /// # Errors
    ///
    /// [`Error::NoReactor`] in no context of tokio; [`Error::Open`] if the file cannot be opened or created, or is no such file.
    #[cfg(feature = "sqlite")]
    pub async fn sqlite(path: impl AsRef<Path> + Send) -> Result<Self, Error> {
        let runtime = reactor()?;
        let path = path.as_ref().to_owned();
        let open = crate::store::sqlite::SqliteStore::open(&path);
        let store = moirai_tokio::in_tokio(runtime.clone(), open).await?;
        Ok(Self::new(Box::new(store), path.display().to_string(), runtime))
    }

    /// Connects to a PostgreSQL server, version 13 or later, and creates the schema `apalis` in its database, where it is missing. The
    /// user needs the right to do so, and the extension `hstore`.
    ///
    /// The URL is one such as `postgres://user:password@host/database`. With the feature `tls`, the connection is encrypted if the server
    /// offers that, whoever it is. `?sslmode=verify-full` demands it, and a certificate of the host's name by an authority that the system
    /// trusts, or that of `&sslrootcert=FILE`.
    ///
    /// # Errors
    ///
    /// [`Error::NoReactor`] in no context of tokio; [`Error::Open`] if the URL is wrong, the server does not answer within ten seconds,
    /// or refuses.
    #[cfg(feature = "postgres")]
    pub async fn postgres(url: &str) -> Result<Self, Error> {
        let runtime = reactor()?;
        let open = crate::store::postgres::PostgresStore::open(url);
        let (store, storage) = moirai_tokio::in_tokio(runtime.clone(), open).await?;
        Ok(Self::new(Box::new(store), storage, runtime))
    }

    /// Connects to a Redis server, version 6.2 or later, which is no part of a Redis Cluster.
    ///
    /// The URL is one such as `redis://user:password@host:6379/0`, and `rediss://…` for an encrypted connection, which needs the feature
    /// `tls`, and a certificate of the host's name by an authority that the system trusts, or that of the file in the environment variable
    /// `SSL_CERT_FILE`.
    ///
    /// The server keeps jobs in memory, and how much of it a crash of the server loses is up to its settings. With `appendonly yes` it
    /// loses the last second; with `appendfsync always` as well, nothing that it has confirmed. Without, it loses all since the last
    /// snapshot. A replica that takes the server's place lacks what it has not received. Where `maxmemory` is set, `maxmemory-policy` must
    /// be `noeviction`, or else the server deletes jobs. When jobs are opened on a server with other settings, the log has a warning.
    ///
    /// # Errors
    ///
    /// [`Error::NoReactor`] in no context of tokio; [`Error::Open`] if the URL is wrong, the server does not answer within ten seconds,
    /// refuses, is too old, or is part of a cluster; [`Error::Setting`] without the feature that an encrypted connection needs.
    #[cfg(feature = "redis")]
    pub async fn redis(url: &str) -> Result<Self, Error> {
        let runtime = reactor()?;
        let open = crate::store::redis::RedisStore::open(url);
        let (store, storage) = moirai_tokio::in_tokio(runtime.clone(), open).await?;
        Ok(Self::new(Box::new(store), storage, runtime))
    }

    fn new(store: Box<dyn Store>, storage: String, runtime: Handle) -> Self {
        Self(Arc::new(Shared::new(store, storage, runtime)))
    }

    /// Returns the queue of this name, for payloads of type `T`. It need not be created.
    pub fn queue<T>(&self, name: impl Into<Arc<str>>) -> Queue<T> {
        Queue::new(Arc::clone(&self.0), name.into())
    }

    /// Returns what the storage says of a job, and the records of its attempts in this process. `None` if there is no such job, or it
    /// was purged.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`].
    pub async fn status(&self, id: JobId) -> Result<Option<JobStatus>, Error> {
        let Some(record) = self.call(self.0.store.find(id)).await? else { return Ok(None) };
        let attempts = self.0.attempts(id);
        Ok(Some(JobStatus { record, attempts }))
    }

    /// Lists jobs, the newest first.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`].
    pub async fn list(&self, which: ListJobs) -> Result<Vec<JobRecord>, Error> {
        let mut filter = which.filter;
        if filter.limit == 0 {
            filter.limit = 100;
        }
        self.call(self.0.store.list(&filter)).await
    }

    /// Counts the jobs of each queue that has any, by state.
    ///
    /// With SQLite and PostgreSQL it goes through an index, or through all jobs that were not purged: a million in SQLite take a tenth of a
    /// second. Redis keeps the numbers.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`].
    pub async fn queues(&self) -> Result<Vec<QueueStats>, Error> {
        self.call(self.0.store.queues()).await
    }

    /// Cancels a job that has not ended, and returns whether there was one. No attempt follows.
    ///
    /// If it runs in this process, its task is cancelled at once; if in another one, by the next heartbeat of its consumer, which is
    /// after a third of the lease.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`].
    pub async fn cancel(&self, id: JobId) -> Result<bool, Error> {
        let cancelled = self.call(self.0.store.cancel(id)).await?;
        if cancelled {
            self.0.cancel_attempt(id);
        }
        Ok(cancelled)
    }

    /// Has a job that is dead, cancelled, or waiting for its next attempt be taken as soon as possible, with all its attempts before
    /// it. Returns whether there was such a job.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`].
    pub async fn retry(&self, id: JobId) -> Result<bool, Error> {
        let is_waiting = self.call(self.0.store.retry(id)).await?;
        if is_waiting {
            self.0.tell_all();
        }
        Ok(is_waiting)
    }

    /// Moves the dead jobs of a queue to another one, where they wait with all their attempts before them. Returns their number.
    ///
    /// A job whose idempotency key is in the other queue already stays where it is.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] for a name that no queue may have, or the same one twice; [`Error::Storage`]. Jobs may have been moved by then.
    pub async fn move_dead(&self, from: &str, to: &str) -> Result<u64, Error> {
        check_name(to)?;
        if from == to {
            let text = format!(
                "dead jobs of {from} are moved to another queue; `retry` has them tried again"
            );
            return Err(Error::Setting(text));
        }
        let mut all = 0;
        loop {
            let moved = self.call(self.0.store.move_dead(from, to)).await?;
            all += moved;
            if moved == 0 {
                return Ok(all);
            }
            self.0.tell(to);
        }
    }

    /// Deletes the jobs that have ended in this state at least `age` ago, of one queue, or of all. Returns their number.
    ///
    /// Consumers do that for their queue by themselves; see [`Queue::keep`].
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if jobs in that state have not ended; [`Error::Storage`].
    pub async fn purge(
        &self,
        queue: Option<&str>,
        state: JobState,
        age: Duration,
    ) -> Result<u64, Error> {
        if !state.has_ended() {
            let text =
                format!("jobs that are {state} have not ended; purge done, dead or cancelled ones");
            return Err(Error::Setting(text));
        }
        self.call(self.0.purge(queue, state, age)).await
    }

    fn call<F: Future>(&self, future: F) -> moirai_tokio::InTokio<F> {
        self.0.call(future)
    }
}

#[cfg(not(all(feature = "postgres", feature = "redis", feature = "sqlite")))]
fn missing_feature(feature: &str) -> Result<Jobs, Error> {
    Err(Error::Setting(format!("this storage needs the feature `{feature}` of moirai-jobs")))
}

fn reactor() -> Result<Handle, Error> {
    Handle::try_current().map_err(|_| Error::NoReactor)
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").field("storage", &self.0.storage).finish_non_exhaustive()
    }
}
