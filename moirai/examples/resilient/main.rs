//! A small TCP service that stays responsive while some of its requests block, spin, panic and leak. The clients that load it run
//! in the same program.
//!
//! ```console
//! cargo run --release --example resilient                     # until Ctrl-C
//! cargo run --release --example resilient -- --seconds 5 --clients 50 --workers 2
//! cargo run --release --example resilient -- --seconds 3 --incidents
//! ```
//!
//! Each second it prints a line: how many echoes were answered, how long they took, and which stalls the watchdog has reported. The
//! sockets are those of `async-net`, which knows nothing of Moirai; tasks can run any future.

mod args;
mod load;
mod server;
mod table;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use args::{Command, Options};
use moirai::Incident;
use moirai::prelude::*;
use table::{Echoes, Stalls};

/// How long the shutdown waits for active tasks before it cancels them.
const GRACE: Duration = Duration::from_secs(1);

/// With `--seconds` the program fails unless the 99th percentile of the times of echoes is below this.
const LIMIT: Duration = Duration::from_millis(100);

fn main() -> ExitCode {
    let options = match args::parse(std::env::args().skip(1)) {
        Ok(Command::Run(options)) => options,
        Ok(Command::Help) => {
            println!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Err(message) => {
            eprintln!("resilient: {message}\nTry `--help`.");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("resilient: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the service and its clients. Returns `false` if the echoes were too slow.
fn run(options: &Options) -> Result<bool, Box<dyn std::error::Error>> {
    let (echoes, stalls) = (Arc::new(Echoes::default()), Arc::new(Stalls::default()));
    let mut builder = Moirai::builder()
        .thread_name_prefix("resilient")
        .max_active_tasks(10_000)
        .plugin(Arc::clone(&stalls));
    if let Some(workers) = options.workers {
        builder = builder.worker_threads(workers);
    }
    let executor = builder.build()?;
    server::silence_planned_panics();

    let listener = executor.block_on(async_net::TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    println!(
        "{} workers serve {} clients on {address}; one request in {} misbehaves{}",
        executor.worker_count(),
        options.clients,
        load::MISBEHAVES,
        if options.seconds.is_none() { "; Ctrl-C ends it" } else { "" },
    );
    executor.task().name("accept").spawn_async(server::accept(listener));
    executor.task().name("load").spawn_async(load::clients(
        address,
        options.clients,
        Arc::clone(&echoes),
    ));
    let table = {
        let (executor, echoes, stalls) =
            (executor.clone(), Arc::clone(&echoes), Arc::clone(&stalls));
        std::thread::spawn(move || table::show(&executor, &echoes, &stalls))
    };
    let report = match options.seconds {
        Some(seconds) => {
            std::thread::sleep(seconds);
            executor.shutdown_timeout(GRACE)
        }
        None => executor.shutdown_on_ctrl_c(GRACE)?.wait(),
    };
    table.join().map_err(|_| "the table panicked")?;
    println!("\n{report}");
    let overall = echoes.overall();
    if options.incidents {
        executor.incidents().iter().for_each(|incident| print_incident(incident));
    }
    println!("\n{overall}; the watchdog reported {} stalls", stalls.count());
    Ok(options.seconds.is_none() || (overall.count > 0 && overall.p99 < LIMIT))
}

/// Prints what the threads did before something went wrong, and the last that happened to the task that it is about.
fn print_incident(incident: &Incident) {
    /// The number of events of the task that are printed.
    const LAST: usize = 8;
    println!("\n{incident}");
    let Some(task) = incident.cause().task() else { return };
    let flight = incident.flight();
    println!("  {} (task {task}):", flight.label(task));
    let story = flight.story(task);
    for (thread, event) in &story[story.len().saturating_sub(LAST)..] {
        println!("    {:20} {event}", thread.name);
    }
}
