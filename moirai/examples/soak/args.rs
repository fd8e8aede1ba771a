//! The command line.

use std::time::Duration;

use crate::waves::WAVE;

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Run(Options),
    Help,
}

/// How to run.
#[derive(Debug)]
pub(crate) struct Options {
    /// How many tasks, at least; up to the end of the last wave.
    pub(crate) tasks: u64,
    /// How long at most.
    pub(crate) seconds: Option<Duration>,
    /// Worker threads; the executor's choice if absent.
    pub(crate) threads: Option<usize>,
    /// How much the resident memory may grow after the start, in MiB.
    pub(crate) growth: u64,
}

/// How many tasks unless something else is asked for.
const TASKS: u64 = 10_000_000;

/// How much memory may grow, in MiB, unless something else is asked for.
const GROWTH: u64 = 16;

/// The text for `--help`.
pub(crate) fn help() -> String {
    format!(
        "\
Runs many tasks of all kinds, in waves of {WAVE}, and proves that none is lost and that memory does not grow.

Usage: soak [OPTIONS]

Options:
  --tasks N         how many tasks (default: {TASKS}; with --seconds alone: no limit)
  --seconds N       how long at most
  --threads N       worker threads (default: one per core)
  --growth MIB      how much resident memory may grow after the first million tasks (default: {GROWTH})
  --help            show this

Exit codes: 0 all is sound; 1 the books do not balance, or memory grew; 2 wrong arguments."
    )
}

/// Reads the command line.
pub(crate) fn parse(args: impl IntoIterator<Item = String>) -> Result<Command, String> {
    let mut tasks = None;
    let mut options = Options { tasks: TASKS, seconds: None, threads: None, growth: GROWTH };
    let mut args = args.into_iter();
    while let Some(option) = args.next() {
        match &*option {
            "--help" | "-h" => return Ok(Command::Help),
            "--tasks" => tasks = Some(number(&option, args.next())?),
            "--seconds" => {
                options.seconds = Some(Duration::from_secs(number(&option, args.next())?));
            }
            "--threads" => options.threads = Some(number(&option, args.next())?),
            "--growth" => options.growth = number(&option, args.next())?,
            unknown => return Err(format!("there is no option {unknown}")),
        }
    }
    options.tasks = match (tasks, options.seconds) {
        (Some(tasks), _) => tasks,
        (None, Some(_)) => u64::MAX,
        (None, None) => TASKS,
    };
    Ok(Command::Run(options))
}

fn number<N: std::str::FromStr>(option: &str, value: Option<String>) -> Result<N, String> {
    let value = value.ok_or_else(|| format!("{option} needs a number after it"))?;
    value.parse().map_err(|_| format!("{option} needs a number, not {value:?}"))
}
