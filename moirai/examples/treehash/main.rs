//! Hashes every file below a directory: an async walk, blocking reads and parallel BLAKE3, on one executor. At the end it prints
//! what the executor has recorded of the tasks.
//!
//! ```console
//! cargo run --release --example treehash              # the workspace itself
//! cargo run --release --example treehash -- --help
//! ```

mod args;
mod file;
mod job;
mod permits;
mod records;
mod run;
mod tree;

#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::process::ExitCode;

use args::Command;

/// The exit status of a program that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let options = match args::parse(std::env::args_os().skip(1)) {
        Ok(Command::Run(options)) => options,
        Ok(Command::Help) => return print(&args::help(), ExitCode::SUCCESS),
        Err(message) => return refuse(&message),
    };
    // The first Ctrl-C asks for a shutdown. A second one ends the process at once.
    let (interrupt, interrupted) = async_channel::bounded(1);
    let handler = ctrlc::set_handler(move || {
        if interrupt.try_send(()).is_err() {
            std::process::exit(i32::from(INTERRUPTED));
        }
    });
    if let Err(error) = handler {
        eprintln!("treehash: Ctrl-C will end this program at once, without a summary: {error}");
    }
    match run::run(&options, &interrupted) {
        Err(error) => refuse(&error.to_string()),
        Ok(outcome) => {
            let code = match () {
                () if outcome.is_interrupted() => ExitCode::from(INTERRUPTED),
                () if outcome.is_clean() => ExitCode::SUCCESS,
                () => ExitCode::FAILURE,
            };
            print(&outcome.to_string(), code)
        }
    }
}

/// Reports invalid arguments.
fn refuse(message: &str) -> ExitCode {
    eprintln!("treehash: {message}\nTry `--help`.");
    ExitCode::from(2)
}

/// Writes to standard output. If that is a pipe whose reader is gone, the failed write is not an error.
fn print(text: &str, code: ExitCode) -> ExitCode {
    match writeln!(io::stdout(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("treehash: the result could not be written: {error}");
            ExitCode::FAILURE
        }
        _ => code,
    }
}
