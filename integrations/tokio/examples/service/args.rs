//! The command line.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Command {
    Run(Options),
    Help,
}

/// The options of a run.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) address: SocketAddr,
    /// How long the clients ask before the drain begins.
    pub(crate) seconds: Duration,
    /// The number of clients; `None` has the service serve until a signal comes.
    pub(crate) clients: Option<usize>,
    /// The number of workers; `None` leaves it to the executor.
    pub(crate) workers: Option<usize>,
    /// How long a drain may take.
    pub(crate) deadline: Duration,
    pub(crate) jobs_per_second: NonZeroU32,
}

/// Returns the text for `--help`.
pub(crate) fn help() -> &'static str {
    "\
Serves jobs over HTTP, with a status for each, and drains on SIGTERM or Ctrl-C. Without --serve, clients in the same program ask for
all of it, also while the service drains, and show rates, latencies and failures.

Usage: service [OPTIONS]

Options:
  --address ADDRESS     where to listen (default: 127.0.0.1:0, that is a free port)
  --seconds N           how long the clients ask before the drain (default: 5)
  --clients N           how many clients ask, each of which has one request under way (default: 16)
  --workers N           number of workers (default: one per core)
  --deadline N          how many seconds a drain may take (default: 10)
  --jobs-per-second N   how many jobs are accepted in a second (default: 200)
  --serve               serve until a signal comes, and ask nothing
  --help                print this text

Routes: POST /jobs/{customer}/{pages}, GET and DELETE /jobs/{id}, GET /customers/{customer}, GET /ready, GET /metrics

Exit codes: 0 done; 1 the service could not be started, a request failed, or the drain was not clean; 2 wrong arguments."
}

/// Reads the command line.
pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Command, String> {
    let mut options = Options {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        seconds: Duration::from_secs(5),
        clients: Some(16),
        workers: None,
        deadline: Duration::from_secs(10),
        jobs_per_second: NonZeroU32::new(200).expect("it is not zero"),
    };
    let mut arguments = arguments.into_iter();
    while let Some(option) = arguments.next() {
        let mut seconds =
            |option: &str| Ok::<_, String>(Duration::from_secs(number(option, arguments.next())?));
        match &*option {
            "--help" | "-h" => return Ok(Command::Help),
            "--seconds" => options.seconds = seconds(&option)?,
            "--deadline" => options.deadline = seconds(&option)?,
            "--address" => {
                let text = arguments.next().ok_or("--address needs an address after it")?;
                let wanted = "an address and a port like 127.0.0.1:8080";
                let address = text.parse();
                options.address =
                    address.map_err(|_| format!("--address needs {wanted}, not {text:?}"))?;
            }
            "--clients" => options.clients = Some(number(&option, arguments.next())?),
            "--workers" => options.workers = Some(number(&option, arguments.next())?),
            "--jobs-per-second" => {
                let jobs: u32 = number(&option, arguments.next())?;
                options.jobs_per_second = NonZeroU32::new(jobs).expect("it is above zero");
            }
            "--serve" => options.clients = None,
            unknown => return Err(format!("there is no option {unknown}")),
        }
    }
    Ok(Command::Run(options))
}

/// Returns the number after an option, which must not be zero.
fn number<N: TryFrom<u64>>(option: &str, value: Option<String>) -> Result<N, String> {
    let value = value.ok_or_else(|| format!("{option} needs a number after it"))?;
    let number = value.parse().ok().filter(|&number: &u64| number > 0);
    let number = number.and_then(|number| N::try_from(number).ok());
    number.ok_or_else(|| format!("{option} needs a number above zero, not {value:?}"))
}
