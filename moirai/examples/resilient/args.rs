//! The command line.

use std::time::Duration;

use moirai::ExecutorConfig;

pub(crate) const HELP: &str = "\
Runs a TCP service together with the clients that load it. Some of the requests block, spin, panic or leak on purpose.

Usage: resilient [OPTIONS]

Options:
  --clients N    number of clients, from 1 to 10000 (default: 20)
  --workers N    number of workers (default: one per core)
  --seconds N    stop after N seconds, and fail unless 99 of 100 echoes took less than 100 ms (default: run until Ctrl-C)
  --incidents    print, at the end, what the flight recorder has kept: what the threads did before a stall or a panic
  --help         print this text

Each second a line is printed:
  echoes, p50, p99, longest    requests that were answered in this second, and how long the answers took
  active, failed, cancelled    tasks that are active now, and retained records of tasks that panicked or were cancelled
  stalled, stalls, last stall  stalls that go on now, stalls reported so far, and the last one that was reported in this second

Exit codes: 0 success; 1 the echoes were slow, or an error; 2 wrong arguments.";

pub(crate) enum Command {
    Run(Options),
    Help,
}

pub(crate) struct Options {
    pub(crate) clients: usize,
    pub(crate) workers: Option<usize>,
    pub(crate) seconds: Option<Duration>,
    pub(crate) incidents: bool,
}

pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut options = Options { clients: 20, workers: None, seconds: None, incidents: false };
    while let Some(option) = arguments.next() {
        let mut number = |most: usize| {
            let value = arguments.next().ok_or(format!("{option} needs a number after it"))?;
            let number = value.parse::<usize>().ok().filter(|number| (1..=most).contains(number));
            number.ok_or(format!("{option} takes a number from 1 to {most}, not {value:?}"))
        };
        match option.as_str() {
            "--clients" => options.clients = number(10_000)?,
            "--workers" => options.workers = Some(number(ExecutorConfig::MAX_WORKER_THREADS)?),
            "--seconds" => {
                options.seconds = Some(Duration::from_secs(number(1_000_000)? as u64));
            }
            "--incidents" => options.incidents = true,
            "--help" | "-h" => return Ok(Command::Help),
            other => return Err(format!("there is no option {other:?}")),
        }
    }
    Ok(Command::Run(options))
}
