//! A service with jobs on Moirai: it takes jobs over HTTP, shows how far each has come, and drains when it is asked to end. A load
//! generator in the same program asks it for everything, also while it drains.
//!
//! `cargo run --release --example service -- --help`

mod app;
mod args;
mod jobs;
mod load;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use moirai::prelude::*;
use moirai_tokio::OnMoirai;
use tokio::net::TcpListener;

use self::args::{Command, Options};
use self::jobs::Jobs;

/// How long the service goes on to accept connections when it is asked to end. By then, whoever sends it requests has seen that it is
/// not ready any more.
const NOTICE: Duration = Duration::from_millis(300);

type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

// The tests have this file as a module.
#[allow(dead_code)]
fn main() -> ExitCode {
    run(std::env::args().skip(1))
}

/// Does what the command line asks for.
pub(crate) fn run(arguments: impl IntoIterator<Item = String>) -> ExitCode {
    let options = match args::parse(arguments) {
        Ok(Command::Run(options)) => options,
        Ok(Command::Help) => {
            println!("{}", args::help());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("service: {error}\n\n{}", args::help());
            return ExitCode::from(2);
        }
    };
    match serve(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("service: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(options: &Options) -> Fallible<()> {
    let mut builder = Moirai::builder()
        .thread_name_prefix("service")
        .plugin(moirai_tokio::driver()?)
        .retention(Jobs::NAME, jobs::RETENTION);
    if let Some(workers) = options.workers {
        builder = builder.worker_threads(workers);
    }
    let moirai = builder.build()?;
    let drained = moirai.shutdown_on_signals(options.deadline)?;
    let address = options.address;
    let listener = moirai
        .spawn_async(async move { TcpListener::bind(address).await })
        .join()?
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    let address = listener.local_addr()?;
    let jobs = Jobs::new(&moirai, options.jobs_per_second);
    let router = app::router(jobs).layer(OnMoirai::new(&moirai));
    let serving = moirai.task().name("axum::serve").fails_on_err().spawn_async(async move {
        let end = async {
            moirai::shutting_down().await;
            moirai::time::sleep(NOTICE).await;
        };
        axum::serve(listener, router).with_graceful_shutdown(end).await
    });
    println!("listening on http://{address}");
    if let Some(clients) = options.clients {
        println!(
            "{clients} clients ask for {:?}, and then the process is sent SIGTERM\n",
            options.seconds
        );
        let load = load::start(&moirai, address, clients);
        std::thread::sleep(options.seconds);
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM)?;
        load::report(load)?;
    }
    // Until a signal comes, and the service has been drained.
    let report = drained.wait();
    serving.join()??;
    println!("\n{report}");
    if report.is_clean() { Ok(()) } else { Err("not all was done by the deadline".into()) }
}
