//! Some processes that run jobs of one storage, and what is checked at the end.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use moirai::prelude::*;
use moirai_jobs::{Consumer, Job, JobId, JobState, Jobs};
use rustix::process::Signal;

use crate::effects::Effects;
use crate::process::Process;
use crate::worker::queue;

const LONG: Duration = Duration::from_secs(180);

/// A folder that is deleted with this.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("moirai-crash-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) struct Farm {
    address: String,
    log: String,
    pub(crate) processes: Vec<Process>,
    pub(crate) jobs: Jobs,
    effects: Effects,
    ids: Vec<JobId>,
    tokio: tokio::runtime::Handle,
    moirai: Moirai,
    _folder: Folder,
}

impl Farm {
    /// Pushes jobs of so many milliseconds, and starts processes.
    pub(crate) fn new(name: &str, address: Option<String>, processes: usize, jobs: &[u64]) -> Self {
        let folder = Folder::new(name);
        let address = address.unwrap_or_else(|| folder.file("jobs.db"));
        let log = folder.file("log");
        fs::write(&log, "").unwrap();
        let driver = moirai_tokio::driver().unwrap();
        let tokio = driver.handle();
        let moirai = Moirai::builder().worker_threads(1).plugin(driver).build().unwrap();
        let (storage, effects, ids) =
            moirai_tokio::block_on(&moirai, tokio.clone(), open(&address, jobs));
        let start = |_| Process::start(&[&address, &log]);
        let processes = (0..processes).map(start).collect();
        Self {
            processes,
            jobs: storage,
            effects,
            ids,
            tokio,
            moirai,
            address,
            log,
            _folder: folder,
        }
    }

    /// Kills a process by SIGKILL, and starts another one in its place.
    pub(crate) fn kill(&mut self, index: usize) {
        self.processes[index].signal(Signal::KILL);
        self.processes[index] = Process::start(&[&self.address, &self.log]);
    }

    /// Starts one more process, which reaches the storage by this address.
    pub(crate) fn start(&mut self, address: &str) {
        self.processes.push(Process::start(&[address, &self.log]));
    }

    /// Adds a process, which is started with these arguments.
    pub(crate) fn add(&mut self, start: impl FnOnce(&[&str]) -> Process) {
        self.processes.push(start(&[&self.address, &self.log]));
    }

    /// The number of attempts that a process has begun.
    pub(crate) fn of_process(&self, index: usize) -> usize {
        let process = self.processes[index].id();
        self.attempts().iter().filter(|(_, _, id)| *id == process).count()
    }

    /// Starts a consumer of another queue in this process, which reaches the storage by this address, and runs a job without an end.
    pub(crate) fn consumer_that_is_stuck(&self, address: &str) -> (Jobs, Consumer, JobId) {
        self.block_on(async {
            let jobs = Jobs::open(address).await.unwrap();
            let queue = jobs.queue::<u32>("stuck").grace(Duration::from_millis(10));
            let id = queue.push(&1).await.unwrap();
            let consumer = queue.run(&self.moirai, async |_: Job<u32>| -> std::io::Result<()> {
                std::future::pending().await
            });
            let consumer = consumer.unwrap();
            while jobs.status(id).await.unwrap().unwrap().running().is_none() {
                moirai::time::sleep(Duration::from_millis(5)).await;
            }
            (jobs, consumer, id)
        })
    }

    /// Pushes more jobs.
    pub(crate) fn push(&mut self, jobs: &[u64]) {
        let ids = self.block_on(async { queue(&self.jobs).push_all(jobs).await.unwrap() });
        self.ids.extend(ids);
    }

    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        moirai_tokio::block_on(&self.moirai, self.tokio.clone(), future)
    }

    /// The number of jobs that are done; `None` if the storage does not answer.
    pub(crate) fn done(&self) -> Option<u64> {
        let queues = self.block_on(self.jobs.queues()).ok()?;
        assert_eq!(queues.iter().map(|queue| queue.dead).sum::<u64>(), 0, "a job is dead");
        Some(queues.iter().map(|queue| queue.done).sum())
    }

    /// Waits until so many jobs are done.
    pub(crate) fn until_done(&self, jobs: u64) {
        let started = Instant::now();
        while self.done().is_none_or(|done| done < jobs) {
            assert!(started.elapsed() < LONG, "gave up waiting: {:?} are done", self.done());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The lines of the log: job, number of the attempt, process.
    pub(crate) fn attempts(&self) -> Vec<(String, u32, u32)> {
        let log = fs::read_to_string(&self.log).unwrap();
        let line = |line: &str| {
            let mut parts = line.split(' ');
            let job = parts.next()?.to_owned();
            Some((job, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
        };
        log.lines().map(|text| line(text).unwrap_or_else(|| panic!("{text:?}"))).collect()
    }

    /// Waits for the end, drains the processes, and checks what is promised. Returns how many attempts there were.
    pub(crate) fn finish(mut self) -> usize {
        self.until_done(self.ids.len() as u64);
        for process in self.processes.drain(..) {
            let status = process.drain();
            assert!(status.success(), "a process that drains: {status}");
        }
        let attempts = self.attempts();
        let mut seen = HashSet::new();
        let mut most: HashMap<&str, u32> = HashMap::new();
        for (job, attempt, _) in &attempts {
            assert!(seen.insert((job, attempt)), "attempt {attempt} of {job} has run twice");
            let most = most.entry(job).or_default();
            *most = (*most).max(*attempt);
        }
        let counter = self.block_on(async {
            for id in &self.ids {
                let record = self.jobs.status(*id).await.unwrap().expect("none is lost").record;
                assert_eq!(record.state, JobState::Done, "{record:?}");
                let ran = most.get(&*id.to_string()).copied();
                assert_eq!(Some(record.attempts), ran, "the last attempt is the one that counts");
            }
            // The connection may be from before the server's crash.
            let mut tries = 0;
            loop {
                match self.effects.count().await {
                    Ok(counted) => break counted,
                    Err(error) => assert!(tries < 10, "{error}"),
                }
                tries += 1;
                moirai::time::sleep(Duration::from_millis(100)).await;
            }
        });
        let jobs = i64::try_from(self.ids.len()).unwrap();
        assert_eq!(counter, (jobs, jobs), "each job has its effect once");
        attempts.len()
    }
}

async fn open(address: &str, jobs: &[u64]) -> (Jobs, Effects, Vec<JobId>) {
    let started = Instant::now();
    let storage = loop {
        match Jobs::open(address).await {
            Ok(storage) => break storage,
            // A server accepts connections before it serves them.
            Err(error) => assert!(started.elapsed() < LONG, "{error}"),
        }
        moirai::time::sleep(Duration::from_millis(20)).await;
    };
    let effects = Effects::open(address).await.unwrap();
    effects.create().await.unwrap();
    let ids = queue(&storage).push_all(jobs).await.unwrap();
    (storage, effects, ids)
}
