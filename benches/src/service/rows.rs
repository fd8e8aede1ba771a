//! The ways to serve requests.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moirai::scheduler::{EarliestDeadline, GlobalFifo, PriorityBands, ShortFirst};
use moirai::{Moirai, Priority};
use rayon::{ThreadPool, ThreadPoolBuilder};
use tokio::runtime::{Builder, Runtime};

use super::schedule::Kind;
use super::work::Work;

/// How long a request waits before it computes.
const WAIT_BEFORE: Duration = Duration::from_millis(2);
/// How long a request waits after it has computed.
const WAIT_AFTER: Duration = Duration::from_millis(1);

/// A way to serve requests and pings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// Tokio; a request computes in its task.
    Tokio,
    /// Tokio; a request computes on rayon's threads, and its task blocks meanwhile.
    TokioRayon,
    /// Tokio; a request computes on rayon's threads, and its task awaits a oneshot channel.
    TokioOneshot,
    /// Moirai with a scheduler.
    Moirai(Way, Queueing),
}

/// A way to serve requests with Moirai.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A request computes in its task.
    Sequential,
    /// A request forks in its task.
    Join,
    /// A request awaits a parallel closure, which forks.
    Spawn,
    /// As `Join`, with pings of high priority.
    HighPings,
}

/// A scheduler of Moirai.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queueing {
    /// The default one.
    Default,
    /// `GlobalFifo`.
    Fifo,
    /// `PriorityBands`, strict.
    Bands,
    /// `EarliestDeadline`.
    Deadline,
    /// `ShortFirst`.
    ShortFirst,
}

impl Queueing {
    /// All schedulers that can be chosen.
    pub const ALL: [Self; 5] =
        [Self::Default, Self::Fifo, Self::Bands, Self::Deadline, Self::ShortFirst];

    /// Returns the name by which the scheduler is chosen.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Fifo => "fifo",
            Self::Bands => "bands",
            Self::Deadline => "deadline",
            Self::ShortFirst => "short-first",
        }
    }
}

impl Way {
    /// All ways to serve requests with Moirai.
    pub const ALL: [Self; 4] = [Self::Sequential, Self::Join, Self::Spawn, Self::HighPings];

    const fn name(self) -> &'static str {
        match self {
            Self::Sequential => "sequential",
            Self::Join => "join",
            Self::Spawn => "spawn_parallel",
            Self::HighPings => "join, pings high",
        }
    }
}

impl Row {
    /// Returns all rows: those of tokio, and those of Moirai with each of `schedulers`.
    #[must_use]
    pub fn all(schedulers: &[Queueing]) -> Vec<Self> {
        let ours = schedulers
            .iter()
            .flat_map(|&scheduler| Way::ALL.map(|way| Self::Moirai(way, scheduler)));
        [Self::Tokio, Self::TokioRayon, Self::TokioOneshot].into_iter().chain(ours).collect()
    }

    /// Returns whether this is a row of tokio.
    #[must_use]
    pub const fn is_tokio(self) -> bool {
        !matches!(self, Self::Moirai(..))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tokio => f.write_str("tokio, sequential"),
            Self::TokioRayon => f.write_str("tokio + rayon in the handler"),
            Self::TokioOneshot => f.write_str("tokio + rayon, oneshot"),
            Self::Moirai(way, Queueing::Default) => write!(f, "moirai, {}", way.name()),
            Self::Moirai(way, scheduler) => {
                write!(f, "moirai {}, {}", scheduler.name(), way.name())
            }
        }
    }
}

/// The threads that serve one run.
pub struct Service {
    row: Row,
    work: Work,
    threads: Threads,
}

enum Threads {
    Tokio(Runtime),
    TokioRayon(Runtime, Arc<ThreadPool>),
    Moirai(Moirai),
}

impl Service {
    /// Starts the threads of a row.
    ///
    /// # Panics
    ///
    /// If they cannot be started.
    #[must_use]
    pub fn start(row: Row, work: Work, workers: usize) -> Self {
        let tokio = || {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(workers).enable_time();
            builder.build().expect("the threads start")
        };
        let threads = match row {
            Row::Tokio => Threads::Tokio(tokio()),
            Row::TokioRayon | Row::TokioOneshot => {
                let pool = ThreadPoolBuilder::new().num_threads(workers).build();
                Threads::TokioRayon(tokio(), Arc::new(pool.expect("the threads start")))
            }
            Row::Moirai(_, scheduler) => {
                let builder = Moirai::builder().worker_threads(workers);
                let builder = match scheduler {
                    Queueing::Default => builder,
                    Queueing::Fifo => builder.scheduler(GlobalFifo::new()),
                    Queueing::Bands => builder.scheduler(PriorityBands::strict()),
                    Queueing::Deadline => builder.scheduler(EarliestDeadline::new()),
                    Queueing::ShortFirst => builder.scheduler(ShortFirst::new()),
                };
                Threads::Moirai(builder.build().expect("the threads start"))
            }
        };
        Self { row, work, threads }
    }

    /// Returns how often a worker of Moirai has handed its core off.
    #[must_use]
    pub fn handed_off(&self) -> u64 {
        let Threads::Moirai(executor) = &self.threads else { return 0 };
        executor.metrics().workers.iter().map(|worker| worker.cores_handed_off).sum()
    }

    /// Spawns the task that serves a request or a ping, and calls `done` at its end.
    ///
    /// # Panics
    ///
    /// In the task, if the work panics.
    pub fn serve(&self, kind: Kind, done: impl FnOnce() + Send + 'static) {
        let work = self.work;
        match (kind, &self.threads, self.row) {
            (Kind::Ping, Threads::Tokio(runtime) | Threads::TokioRayon(runtime, _), _) => {
                drop(runtime.spawn(async move { done() }));
            }
            (Kind::Ping, Threads::Moirai(executor), Row::Moirai(Way::HighPings, _)) => {
                let task = executor.task().priority(Priority::High);
                drop(task.spawn_async(async move { done() }));
            }
            (Kind::Ping, Threads::Moirai(executor), _) => {
                drop(executor.spawn_async(async move { done() }));
            }
            (Kind::Request, Threads::Tokio(runtime), _) => {
                drop(runtime.spawn(async move {
                    tokio::time::sleep(WAIT_BEFORE).await;
                    work.in_sequence();
                    tokio::time::sleep(WAIT_AFTER).await;
                    done();
                }));
            }
            (Kind::Request, Threads::TokioRayon(runtime, pool), Row::TokioOneshot) => {
                let pool = Arc::clone(pool);
                drop(runtime.spawn(async move {
                    tokio::time::sleep(WAIT_BEFORE).await;
                    let (sender, receiver) = tokio::sync::oneshot::channel();
                    pool.spawn(move || {
                        work.by_halves(rayon_halves);
                        let _ = sender.send(());
                    });
                    receiver.await.expect("the work is done");
                    tokio::time::sleep(WAIT_AFTER).await;
                    done();
                }));
            }
            (Kind::Request, Threads::TokioRayon(runtime, pool), _) => {
                let pool = Arc::clone(pool);
                drop(runtime.spawn(async move {
                    tokio::time::sleep(WAIT_BEFORE).await;
                    pool.install(|| work.by_halves(rayon_halves));
                    tokio::time::sleep(WAIT_AFTER).await;
                    done();
                }));
            }
            (Kind::Request, Threads::Moirai(executor), Row::Moirai(Way::Sequential, _)) => {
                drop(executor.spawn_async(async move {
                    moirai::time::sleep(WAIT_BEFORE).await;
                    work.in_sequence();
                    moirai::time::sleep(WAIT_AFTER).await;
                    done();
                }));
            }
            (Kind::Request, Threads::Moirai(executor), Row::Moirai(Way::Spawn, _)) => {
                drop(executor.spawn_async(async move {
                    moirai::time::sleep(WAIT_BEFORE).await;
                    let task = moirai::spawn_parallel(move || work.by_halves(moirai_halves));
                    task.await.expect("the work is done");
                    moirai::time::sleep(WAIT_AFTER).await;
                    done();
                }));
            }
            (Kind::Request, Threads::Moirai(executor), _) => {
                drop(executor.spawn_async(async move {
                    moirai::time::sleep(WAIT_BEFORE).await;
                    work.by_halves(moirai_halves);
                    moirai::time::sleep(WAIT_AFTER).await;
                    done();
                }));
            }
        }
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("row", &self.row).finish_non_exhaustive()
    }
}

fn rayon_halves(work: Work, parts: usize) {
    if parts == 1 {
        return work.part();
    }
    let half = parts / 2;
    rayon::join(|| rayon_halves(work, half), || rayon_halves(work, parts - half));
}

fn moirai_halves(work: Work, parts: usize) {
    if parts == 1 {
        return work.part();
    }
    let half = parts / 2;
    moirai::join(|| moirai_halves(work, half), || moirai_halves(work, parts - half));
}
