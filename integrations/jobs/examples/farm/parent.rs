//! The process that pushes, starts the others, kills one, and counts.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use moirai::metrics::page::Page;
use moirai::prelude::*;
use moirai_jobs::{JobId, JobState, Jobs, ListJobs, QueueStats};

use crate::picture::Picture;
use crate::table::Table;
use crate::{Options, pictures};

/// How often the table is drawn.
const TICK: Duration = Duration::from_millis(250);
/// How long nothing may happen before the farm gives up, beside the lease.
const STUCK: Duration = Duration::from_secs(60);

/// The processes that draw. Those that are left are killed with this.
struct Workers(Vec<Child>);

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &mut self.0 {
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Box<dyn Error>> {
    let folder = options.out.join("pictures");
    let file = options.out.join("jobs.db");
    clear(&options.out, &folder)?;
    let address = match (&options.postgres, &options.redis) {
        (Some(url), _) | (None, Some(url)) => url.clone(),
        (None, None) => file.to_str().ok_or("the folder's name is no UTF-8")?.to_owned(),
    };
    let driver = moirai_tokio::driver()?;
    let tokio = driver.handle();
    let moirai = Moirai::builder().worker_threads(1).plugin(driver).build()?;
    moirai_tokio::block_on(&moirai, tokio, async {
        let jobs = Jobs::open(&address).await?;
        // Of its own, so that a server may have the jobs of other farms.
        let page = Page::new(&moirai).queues(jobs.monitor(&moirai)).allow_retry(true);
        let server = match options.page {
            Some(port) => Some(page.address(("127.0.0.1", port)).serve()?),
            None => None,
        };
        if let Some(server) = &server {
            println!("the live page is at {}", server.url());
        }
        let queue = format!("pictures of {}", std::process::id());
        let started = Instant::now();
        let payloads: Vec<_> = (0..options.jobs).map(Picture::new).collect();
        let ids = pictures(&jobs, &queue, options).push_all(&payloads).await?;
        println!("pushed {} jobs in {:.2?}", ids.len(), started.elapsed());
        let mut workers = Workers(Vec::new());
        for _ in 0..options.processes {
            workers.0.push(start(&address, &queue, options)?);
        }
        let killed = watch(&jobs, &queue, &mut workers, options).await?;
        for worker in &mut workers.0 {
            // The end of its input, at which it drains.
            drop(worker.stdin.take());
            worker.wait()?;
        }
        report(&jobs, &ids, &folder, started, &killed).await
    })
}

/// Deletes what a farm has left, and nothing else.
fn clear(out: &Path, folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "png" || end == "draft") {
            fs::remove_file(path)?;
        }
    }
    for end in ["", "-wal", "-shm"] {
        let path = out.join(format!("jobs.db{end}"));
        if path.exists() {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn start(address: &str, queue: &str, options: &Options) -> std::io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .arg("--out")
        .arg(&options.out)
        .arg("--lease")
        .arg(options.lease.to_string())
        .args(["work", address, queue])
        .stdin(Stdio::piped())
        .spawn()
}

/// What was killed, and how many jobs it had.
#[derive(Default)]
struct Killed {
    process: Option<u32>,
    jobs: usize,
    at: Option<Instant>,
}

/// Draws the table until all jobs have ended, and kills a process when a third has.
async fn watch(
    jobs: &Jobs,
    queue: &str,
    workers: &mut Workers,
    options: &Options,
) -> Result<Killed, Box<dyn Error>> {
    let mut table = Table::new(options.jobs);
    let mut killed = Killed { process: options.peaceful.then_some(0), ..Killed::default() };
    let (mut last_done, mut moved) = (0, Instant::now());
    loop {
        let stats = stats(jobs, queue).await?;
        let ended = stats.done + stats.dead + stats.cancelled;
        let held = held(jobs, queue).await?;
        let processes: Vec<_> = workers
            .0
            .iter()
            .map(|worker| (worker.id(), held.iter().filter(|pid| **pid == worker.id()).count()))
            .collect();
        table.draw(&stats, &processes, killed.process);
        if ended >= u64::from(options.jobs) {
            return Ok(killed);
        }
        if ended != last_done {
            (last_done, moved) = (ended, Instant::now());
        }
        if moved.elapsed() > STUCK + Duration::from_secs(2 * options.lease) {
            return Err("nothing has happened for too long".into());
        }
        let victim = processes.iter().position(|(_, jobs)| *jobs > 0);
        if killed.process.is_none()
            && ended >= u64::from(options.jobs) / 3
            && let Some(victim) = victim
        {
            let (process, jobs) = processes[victim];
            // SIGKILL: it cannot say good-bye.
            workers.0[victim].kill()?;
            killed = Killed { process: Some(process), jobs, at: Some(Instant::now()) };
        }
        moirai::time::sleep(TICK).await;
    }
}

async fn stats(jobs: &Jobs, queue: &str) -> Result<QueueStats, moirai_jobs::Error> {
    let all = jobs.queues().await?;
    Ok(all.into_iter().find(|stats| stats.name == queue).unwrap_or_default())
}

/// The processes of the jobs that run.
async fn held(jobs: &Jobs, queue: &str) -> Result<Vec<u32>, moirai_jobs::Error> {
    let running = jobs.list(ListJobs::new().queue(queue).state(JobState::Running)).await?;
    // A consumer is named by queue, process, and an id of its own.
    let process = |name: String| name.rsplit(' ').nth(1).and_then(|process| process.parse().ok());
    Ok(running.into_iter().filter_map(|job| process(job.consumer?)).collect())
}

async fn report(
    jobs: &Jobs,
    ids: &[JobId],
    folder: &Path,
    started: Instant,
    killed: &Killed,
) -> Result<ExitCode, Box<dyn Error>> {
    let (mut done, mut lost, mut dead, mut again) = (0, 0, 0, 0);
    for id in ids {
        match jobs.status(*id).await? {
            Some(status) if status.record.state == JobState::Done => {
                done += 1;
                again += status.record.attempts - 1;
            }
            Some(status) => {
                dead += 1;
                eprintln!(
                    "{id} is {}: {}",
                    status.record.state,
                    status.record.error.unwrap_or_default()
                );
            }
            None => lost += 1,
        }
    }
    let drawn = fs::read_dir(folder)?
        .filter(|entry| {
            entry
                .as_ref()
                .is_ok_and(|entry| entry.path().extension().is_some_and(|end| end == "png"))
        })
        .count();
    if let (Some(process), Some(at)) = (killed.process, killed.at) {
        let (had, since) = (killed.jobs, at.elapsed());
        println!("process {process} was killed with {had} jobs running, {since:.1?} ago");
    }
    println!(
        "{done} of {} done, {lost} lost, {dead} dead, {again} retried; {drawn} pictures in {} after {:.1?}",
        ids.len(),
        folder.display(),
        started.elapsed()
    );
    let is_whole = done == ids.len() && drawn == ids.len();
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
