//! What the program is told on the command line.

use std::time::Duration;

use moirai::ExecutorConfig;

pub(crate) const HELP: &str = "\
A TCP service under load, with requests that block, spin, panic and leak on purpose.

--clients N    how many clients ask for echoes at once (20; 1 to 10000)
--workers N    how many workers the executor has (one per core)
--seconds N    stop after so many seconds, and fail if echoes were slow (until Ctrl-C)
--help         this text";

pub(crate) enum Command {
    Run(Options),
    Help,
}

pub(crate) struct Options {
    pub(crate) clients: usize,
    pub(crate) workers: Option<usize>,
    pub(crate) seconds: Option<Duration>,
}

pub(crate) fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Command, String> {
    let mut options = Options { clients: 20, workers: None, seconds: None };
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
            "--help" | "-h" => return Ok(Command::Help),
            other => return Err(format!("there is no option {other:?}")),
        }
    }
    Ok(Command::Run(options))
}
