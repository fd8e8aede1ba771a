//! A program with tasks that behave and tasks that do not, to be watched in tokio-console.
//!
//! `cargo run --release --example watched -- --help`

use std::future::pending;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use moirai::prelude::*;
use moirai_console::Console;

const HELP: &str = "\
Runs tasks of all kinds for some time, and serves a console on which tokio-console shows them.

Usage: watched [OPTIONS]

Options:
  --address ADDRESS   where to serve the console (default: 127.0.0.1:6669)
  --seconds N         how long to run (default: 60)
  --tasks N           how many tasks wait for ever, besides the others (default: 10)
  --workers N         number of workers (default: one per core)
  --well-behaved      leave out the tasks that never yield or panic
  --help              print this text

Exit codes: 0 done; 1 the console could not be served, or a task did not stop; 2 wrong arguments.";

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Options {
    address: SocketAddr,
    seconds: u64,
    tasks: u64,
    workers: Option<usize>,
    well_behaved: bool,
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("watched: {error}\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("watched: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the command line; `None` asks for the help.
fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Options>, String> {
    let mut options = Options {
        address: SocketAddr::from(([127, 0, 0, 1], Console::DEFAULT_PORT)),
        seconds: 60,
        tasks: 10,
        workers: None,
        well_behaved: false,
    };
    while let Some(option) = arguments.next() {
        let mut number = || {
            let value = arguments.next().ok_or_else(|| format!("{option} needs a number"))?;
            let wrong = |_| format!("{option} needs a number, not {value:?}");
            value.parse::<u32>().map_err(wrong)
        };
        match &*option {
            "--help" | "-h" => return Ok(None),
            "--seconds" => options.seconds = number()?.into(),
            "--tasks" => options.tasks = number()?.into(),
            "--workers" => options.workers = Some(number()? as usize),
            "--well-behaved" => options.well_behaved = true,
            "--address" => {
                let text = arguments.next().ok_or("--address needs an address")?;
                let wanted = "an address and a port like 127.0.0.1:6669";
                let wrong = |_| format!("--address needs {wanted}, not {text:?}");
                options.address = text.parse().map_err(wrong)?;
            }
            unknown => return Err(format!("there is no option {unknown}")),
        }
    }
    Ok(Some(options))
}

fn run(options: &Options) -> Result<(), Failure> {
    // Fewer threads than blocking tasks, so that some of those are queued.
    let mut builder = Moirai::builder().thread_name_prefix("watched").max_blocking_threads(2);
    if let Some(workers) = options.workers {
        builder = builder.worker_threads(workers);
    }
    let moirai = builder.build()?;
    let console = Console::new(&moirai).address(options.address).serve()?;
    println!("run: tokio-console http://{}", console.address());
    work(&moirai, options.tasks);
    if !options.well_behaved {
        misbehave(&moirai);
    }
    thread::sleep(Duration::from_secs(options.seconds));
    // Cancels those that wait. Blocking ones that have begun take two seconds at most.
    let report = moirai.shutdown_timeout(Duration::from_secs(3));
    println!("{report}");
    if report.still_active == 0 { Ok(()) } else { Err("a task did not stop".into()) }
}

/// Starts tasks as a service has them.
fn work(moirai: &Moirai, waiting: u64) {
    moirai.task().name("accept-loop").spawn_async(async {
        for number in 0_u64.. {
            moirai::time::sleep(Duration::from_millis(400)).await;
            if let Some(moirai) = Moirai::current() {
                moirai.task().name(format!("request-{number}")).spawn_async(request());
            }
        }
    });
    moirai.task().name("backup").spawn_async(async {
        // Ends when the executor shuts down, and refuses tasks.
        while let Some(moirai) = Moirai::current() {
            let compressed = moirai.task().name("compress").spawn_parallel(|| {
                let until = Instant::now() + Duration::from_millis(100);
                (0_u64..).take_while(|_| Instant::now() < until).count()
            });
            let copies: Vec<_> = (0..4)
                .map(|disk| {
                    let task = moirai.task().name(format!("copy-{disk}")).tag("disk", disk);
                    task.spawn_blocking(|| thread::sleep(Duration::from_secs(2)))
                })
                .collect();
            let mut is_refused = compressed.await.is_err();
            for copy in copies {
                is_refused |= copy.await.is_err();
            }
            if is_refused {
                return;
            }
        }
    });
    for number in 0..waiting {
        moirai.task().name(format!("connection-{number}")).spawn_async(pending::<()>());
    }
}

async fn request() {
    for _ in 0..3 {
        moirai::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Starts tasks as a service should not have them.
fn misbehave(moirai: &Moirai) {
    moirai.task().name("never-yields").spawn_async(async {
        while !moirai::is_cancelled() {
            thread::sleep(Duration::from_millis(1));
        }
    });
    moirai.task().name("fails-now-and-then").spawn_async(async {
        loop {
            moirai::time::sleep(Duration::from_secs(3)).await;
            if let Some(moirai) = Moirai::current() {
                moirai.task().name("panics").spawn_async(async { panic!("no such customer") });
            }
        }
    });
}
