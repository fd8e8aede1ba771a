//! The command line.

use std::net::SocketAddr;
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
    /// How long the clients ask.
    pub(crate) seconds: Duration,
    pub(crate) clients: usize,
    /// The number of workers; `None` leaves it to the executor.
    pub(crate) workers: Option<usize>,
    /// Whether to serve until the process is killed, instead of asking.
    pub(crate) serve: bool,
}

/// Returns the text for `--help`.
pub(crate) fn help() -> &'static str {
    "\
Serves HTTP with axum on Moirai, asks the service for its routes, and shows rates, latencies and the records of the requests.

Usage: web [OPTIONS]

Options:
  --address ADDRESS  where to listen (default: 127.0.0.1:0, that is a free port)
  --seconds N        how long to ask (default: 5)
  --clients N        how many clients ask, each of which has one request under way (default: 16)
  --workers N        number of workers (default: one per core)
  --serve            serve until the process is killed, and ask nothing
  --help             print this text

Routes: /wait, /users/{id}, /primes/{limit}, /panic

Exit codes: 0 done; 1 the service could not be started, or a response was not as expected; 2 wrong arguments."
}

/// Reads the command line.
pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Command, String> {
    let mut options = Options {
        address: SocketAddr::from(([127, 0, 0, 1], 0)),
        seconds: Duration::from_secs(5),
        clients: 16,
        workers: None,
        serve: false,
    };
    let mut arguments = arguments.into_iter();
    while let Some(option) = arguments.next() {
        match &*option {
            "--help" | "-h" => return Ok(Command::Help),
            "--address" => {
                let text = arguments.next().ok_or("--address needs an address after it")?;
                options.address = text.parse().map_err(|_| {
                    format!(
                        "--address needs an address and a port like 127.0.0.1:8080, not {text:?}"
                    )
                })?;
            }
            "--seconds" => {
                options.seconds = Duration::from_secs(number(&option, arguments.next())?)
            }
            "--clients" => options.clients = number(&option, arguments.next())?,
            "--workers" => options.workers = Some(number(&option, arguments.next())?),
            "--serve" => options.serve = true,
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
