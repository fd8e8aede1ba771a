//! The command line.

use std::time::Duration;

use crate::waves::WAVE;

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Run(Options),
    Help,
}

/// The options of a run.
#[derive(Debug)]
pub(crate) struct Options {
    /// The number of tasks; `u64::MAX` if only the time is limited.
    pub(crate) tasks: u64,
    /// The time after which no further wave begins.
    pub(crate) seconds: Option<Duration>,
    /// The number of workers; `None` leaves it to the executor.
    pub(crate) threads: Option<usize>,
    /// How much the resident memory may grow after the start, in MiB.
    pub(crate) growth: u64,
}

/// The default of `--tasks`.
const TASKS: u64 = 10_000_000;

/// The default of `--growth`.
const GROWTH: u64 = 16;

/// Returns the text for `--help`.
pub(crate) fn help() -> String {
    format!(
        "\
Runs many tasks of all kinds, in waves of {WAVE}, and checks that none is lost and that memory does not grow.

Usage: soak [OPTIONS]

Options:
  --tasks N         stop after N tasks (default: {TASKS}; with --seconds alone: no limit)
  --seconds N       stop after N seconds, even if there have been fewer tasks
  --threads N       number of workers (default: one per core)
  --growth MIB      how many MiB resident memory may grow after the first million tasks (default: {GROWTH})
  --help            print this text

Exit codes: 0 no fault; 1 a task was lost, too many records were kept, or memory grew; 2 wrong arguments."
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
