//! Processes that are killed and stopped, servers that crash: every job ends, none is lost, attempts are counted, and what uses the
//! idempotency key has its effect once.
//!
//! This is a program of its own, since it starts itself as the processes that run jobs. A part of a scenario's name selects scenarios.

mod effects;
mod farm;
mod full;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod hosts;
mod process;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod proxy;
mod scenarios;
#[cfg(any(feature = "postgres", feature = "redis"))]
#[path = "../../../tokio/tests/servers/server.rs"]
mod server;
mod worker;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "work") {
        worker::work(&arguments[1..]);
        return ExitCode::SUCCESS;
    }
    if let [first, disk] = &*arguments
        && first == "fill"
    {
        full::fill(disk);
        return ExitCode::SUCCESS;
    }
    #[cfg(any(feature = "postgres", feature = "redis"))]
    if let [first, kind] = &*arguments
        && first == "hosts"
    {
        return hosts::run(kind).into();
    }
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    if arguments.iter().any(|argument| argument == "--list") {
        for (name, _) in scenarios::ALL {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    for (name, scenario) in scenarios::ALL {
        if filter.is_none_or(|part| name.contains(&**part)) {
            println!("scenario {name} ...");
            let started = std::time::Instant::now();
            scenario();
            println!("scenario {name} ... ok, {:.1?}", started.elapsed());
        }
    }
    ExitCode::SUCCESS
}
