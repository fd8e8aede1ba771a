//! A service some of whose tasks misbehave, and every way to look at it: the live page, the scrape for Prometheus, tokio-console, a dump
//! by SIGUSR1, and at the end a timeline for Perfetto.
//!
//! ```console
//! cargo run --release --example observe                  # until Ctrl-C
//! cargo run --release --example observe -- --seconds 10 --out target/flight.pftrace
//! ```

mod load;

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use moirai::metrics::page::Page;
use moirai::metrics::trace;
use moirai::prelude::*;
use moirai_console::Console;

const HELP: &str = "\
Runs a service some of whose tasks misbehave, prints where to look at it, and writes what its threads did last.

Usage: observe [OPTIONS]

Options:
  --page PORT      port of the live page and of /metrics (default: 9464; 0 lets the system choose)
  --console PORT   port for tokio-console (default: 6669; 0 lets the system choose)
  --workers N      number of workers (default: one per core)
  --seconds N      how long to run (default: until Ctrl-C)
  --out FILE       where to write the timeline (default: target/flight.pftrace)
  --help           print this text

Exit codes: 0 done; 1 an address could not be bound, or the file not written; 2 wrong arguments.";

struct Options {
    page: u16,
    console: u16,
    workers: Option<usize>,
    seconds: Option<u64>,
    out: PathBuf,
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("observe: {error}\nTry `--help`.");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("observe: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the command line; `None` asks for the help.
fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options {
        page: 9464,
        console: Console::DEFAULT_PORT,
        workers: None,
        seconds: None,
        out: PathBuf::from("target/flight.pftrace"),
    };
    while let Some(option) = arguments.next() {
        if matches!(&*option, "--help" | "-h") {
            return Ok(None);
        }
        let value = arguments.next().ok_or(format!("{option} needs a value, or is unknown"))?;
        let wrong = |what: &str| format!("{option} needs {what}, not {value:?}");
        match &*option {
            "--page" => options.page = value.parse().map_err(|_| wrong("a port"))?,
            "--console" => options.console = value.parse().map_err(|_| wrong("a port"))?,
            "--workers" => options.workers = Some(value.parse().map_err(|_| wrong("a number"))?),
            "--seconds" => options.seconds = Some(value.parse().map_err(|_| wrong("a number"))?),
            "--out" => options.out = value.into(),
            _ => return Err(format!("there is no option {option:?}")),
        }
    }
    Ok(Some(options))
}

fn run(options: &Options) -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = Moirai::builder()
        .thread_name_prefix("observe")
        .retain_failures(Retention { max_records: 1_000, max_age: Duration::from_secs(3_600) });
    if let Some(workers) = options.workers {
        builder = builder.worker_threads(workers);
    }
    let executor = builder.build()?;
    let at = |what: &str, port: u16, error: &dyn std::fmt::Display| {
        format!("{what} cannot be served at port {port}: {error}; choose another port, or 0")
    };
    let page = Page::new(&executor).address(("127.0.0.1", options.page)).allow_cancel(true);
    let page = page.serve().map_err(|error| at("the page", options.page, &error))?;
    let console = Console::new(&executor).address(([127, 0, 0, 1], options.console));
    let console = console.serve().map_err(|error| at("the console", options.console, &error))?;
    println!("page      {}", page.url());
    println!("scrape    {}metrics", page.url());
    println!("console   tokio-console http://{}", console.address());
    #[cfg(unix)]
    {
        moirai::dump::on_sigusr1()?;
        println!("dump      kill -USR1 {}", std::process::id());
    }

    load::silence_planned_panics();
    load::start(&executor);
    let report = match options.seconds {
        Some(seconds) => {
            thread::sleep(Duration::from_secs(seconds));
            None
        }
        None => {
            println!("Ctrl-C ends it");
            Some(executor.shutdown_on_ctrl_c(Duration::from_secs(1))?.wait())
        }
    };
    // Also after a shutdown, the rings are there.
    let flight = executor.flight();
    write(&flight, &options.out)?;
    println!("timeline  {}, for https://ui.perfetto.dev", options.out.display());
    for incident in executor.incidents() {
        println!("incident  at {}: {}", incident.at(), incident.cause());
    }
    let report = report.unwrap_or_else(|| executor.shutdown_timeout(Duration::from_secs(1)));
    println!("{report}");
    Ok(())
}

fn write(flight: &moirai::Flight, file: &Path) -> Result<(), String> {
    let cannot = |error: std::io::Error| format!("{} cannot be written: {error}", file.display());
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(cannot)?;
    }
    let mut out = BufWriter::new(File::create(file).map_err(cannot)?);
    trace::perfetto(flight, &mut out).map_err(cannot)?;
    out.into_inner().map_err(|error| cannot(error.into_error())).map(drop)
}
