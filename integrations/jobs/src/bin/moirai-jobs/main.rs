//! The command-line tool `moirai-jobs`: looks at the jobs of a storage, and at queues, and retries, cancels, moves and deletes jobs.

mod options;
mod print;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use moirai::prelude::*;
use moirai_jobs::{Error, JobId, JobState, Jobs, ListJobs};
use options::{Command, Options};

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("moirai-jobs: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<ExitCode, Box<dyn std::error::Error>> {
    let driver = moirai_tokio::driver()?;
    let tokio = driver.handle();
    let moirai = Moirai::builder().worker_threads(1).plugin(driver).build()?;
    let done = moirai_tokio::block_on(&moirai, tokio, async {
        let address = &options.storage;
        // A tool that looks does not create what it does not find.
        let path = address.strip_prefix("sqlite:").unwrap_or(address);
        if !address.contains("://") && !Path::new(path).exists() {
            return Err(Error::Setting(format!("there is no file {path}")));
        }
        command(&Jobs::open(address).await?, options).await
    });
    Ok(done?)
}

async fn command(jobs: &Jobs, options: &Options) -> Result<ExitCode, Error> {
    match &options.command {
        Command::Queues => print::queues(&jobs.queues().await?, options.json),
        Command::List { queue, state, before, limit } => {
            let mut which = ListJobs::new().limit(*limit);
            if let Some(queue) = queue {
                which = which.queue(queue);
            }
            if let Some(state) = state {
                which = which.state((*state).into());
            }
            if let Some(before) = before {
                which = which.before(*before);
            }
            print::list(&jobs.list(which).await?, options.json);
        }
        Command::Show { id } => match jobs.status(*id).await? {
            Some(status) => print::job(&status.record, options.json),
            None => return Ok(unknown(*id)),
        },
        Command::Retry { ids, queue } => return retry(jobs, ids, queue.as_deref()).await,
        Command::Cancel { ids } => {
            let mut code = ExitCode::SUCCESS;
            for id in ids {
                if jobs.cancel(*id).await? {
                    println!("cancelled {id}");
                } else {
                    eprintln!("moirai-jobs: {id} has ended, or is unknown");
                    code = ExitCode::FAILURE;
                }
            }
            return Ok(code);
        }
        Command::Purge { state, older_than, queue } => {
            let deleted =
                jobs.purge(queue.as_deref(), (*state).into(), (*older_than).into()).await?;
            println!("deleted {deleted} jobs");
        }
        Command::MoveDead { from, to } => {
            println!("moved {} jobs", jobs.move_dead(from, to).await?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn retry(jobs: &Jobs, ids: &[JobId], queue: Option<&str>) -> Result<ExitCode, Error> {
    let mut code = ExitCode::SUCCESS;
    for id in ids {
        if jobs.retry(*id).await? {
            println!("{id} waits again");
        } else {
            eprintln!("moirai-jobs: {id} has not failed, or is unknown");
            code = ExitCode::FAILURE;
        }
    }
    let Some(queue) = queue else { return Ok(code) };
    // Only those that are dead now: what dies meanwhile may die again and again.
    let mut before = None;
    let mut retried = 0;
    loop {
        let mut which = ListJobs::new().queue(queue).state(JobState::Dead).limit(1_000);
        if let Some(before) = before {
            which = which.before(before);
        }
        let dead = jobs.list(which).await?;
        let Some(last) = dead.last() else { break };
        before = Some(last.id);
        for job in &dead {
            retried += u64::from(jobs.retry(job.id).await?);
        }
    }
    println!("{retried} jobs wait again");
    Ok(code)
}

fn unknown(id: JobId) -> ExitCode {
    eprintln!("moirai-jobs: there is no job {id}, or it was purged");
    ExitCode::FAILURE
}
