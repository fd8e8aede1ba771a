//! A farm: a thousand pictures to draw, three processes that draw them, one of which is killed in the middle.
//!
//! ```console
//! cargo run --release --example farm
//! cargo run --release --example farm -- --postgres postgres://user@host/database
//! cargo run --release --example farm -- --page 9464
//! cargo run --release --example farm -- --help
//! ```

mod parent;
mod picture;
mod table;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use moirai_jobs::{Jobs, Queue};
use picture::Picture;

/// Draws pictures as durable jobs, in several processes, and kills one of them in the middle.
///
/// Exit codes: 0 if every picture was drawn; 1 if not, or if something failed; 2 for wrong arguments.
#[derive(Parser)]
#[command(name = "farm")]
struct Options {
    /// The number of pictures.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    jobs: u32,
    /// The number of processes that draw.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    processes: u32,
    /// How long a process may be silent before the others take over its jobs, in seconds, at least 3.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(3..=3_600))]
    lease: u64,
    /// The folder of the pictures and of the file with the jobs. What a farm has left there is deleted.
    #[arg(long, default_value = "target/farm")]
    out: PathBuf,
    /// Keep the jobs in this PostgreSQL server instead of in a file.
    #[arg(long, value_name = "URL", conflicts_with = "redis")]
    postgres: Option<String>,
    /// Keep the jobs in this Redis server instead of in a file.
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// Serve the live page, with the queue, on this port of the loopback interface; 0 lets the system choose.
    #[arg(long, value_name = "PORT")]
    page: Option<u16>,
    /// Kill no process.
    #[arg(long)]
    peaceful: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Draws until the standard input ends. The farm starts this by itself.
    #[command(hide = true)]
    Work { address: String, queue: String },
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.command {
        Some(Command::Work { address, queue }) => worker::work(address, queue, &options),
        None => parent::run(&options),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("farm: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The queue, as both those that push and those that draw have it.
fn pictures(jobs: &Jobs, name: &str, options: &Options) -> Queue<Picture> {
    jobs.queue(name)
        .lease(Duration::from_secs(options.lease))
        .timeout(Duration::from_secs(60))
        .concurrency(4)
}
