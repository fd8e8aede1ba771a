//! A web service on Moirai: `axum::serve` as it is, with routes that wait, read a database, compute, and fail. A client in the same
//! program asks for them, and the records of the requests are shown at the end.
//!
//! `cargo run --release --example web -- --help`

mod app;
mod args;
mod load;
mod report;

use std::error::Error;
use std::process::ExitCode;

use moirai::prelude::*;
use moirai_tokio::OnMoirai;
use tokio::net::TcpListener;

use crate::args::{Command, Options};

fn main() -> ExitCode {
    let options = match args::parse(std::env::args().skip(1)) {
        Ok(Command::Run(options)) => options,
        Ok(Command::Help) => {
            println!("{}", args::help());
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("web: {error}\n\n{}", args::help());
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("web: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut builder = Moirai::builder().thread_name_prefix("web").plugin(moirai_tokio::driver()?);
    if let Some(workers) = options.workers {
        builder = builder.worker_threads(workers);
    }
    let moirai = builder.build()?;
    let address = options.address;
    let listener = moirai
        .spawn_async(async move { TcpListener::bind(address).await })
        .join()?
        .map_err(|error| format!("cannot listen on {address}: {error}"))?;
    let address = listener.local_addr()?;
    let router = moirai.spawn_async(app::router()).join()??;
    let router = router.layer(OnMoirai::new(&moirai));
    let serving = moirai
        .task()
        .name("axum::serve")
        .spawn_async(async move { axum::serve(listener, router).await });
    println!("listening on http://{address}");
    if options.serve {
        // Until the process is killed.
        return Ok(serving.join()??);
    }
    let seconds = options.seconds;
    println!("{} clients ask for {seconds:?}\n", options.clients);
    let results = load::run(&moirai, address, options.clients, seconds)?;
    report::rates(&results, seconds);
    report::records(&moirai);
    let report = moirai.shutdown_timeout(std::time::Duration::from_secs(1));
    println!("\n{report}");
    Ok(())
}
