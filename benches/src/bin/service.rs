//! Measures how long the requests and pings of a service take; see `moirai_benches::service`.
//!
//! `cargo run --profile bench -p moirai-benches --bin service -- --load 75`

use std::io::Write as _;
use std::process::ExitCode;

use moirai_benches::help::asks_for_help;
use moirai_benches::service::arguments::{Arguments, USAGE};
use moirai_benches::service::run::run;
use moirai_benches::service::schedule::Plan;
use moirai_benches::service::table::{Runs, table};
use moirai_benches::service::work::{CPU_TIME, Work};

/// The time between two pings.
const PING_EVERY: std::time::Duration = std::time::Duration::from_millis(2);

fn main() -> ExitCode {
    if asks_for_help(USAGE) {
        return ExitCode::SUCCESS;
    }
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if arguments.list {
        arguments.rows().iter().for_each(|row| {
            let _ = writeln!(std::io::stdout(), "{row}");
        });
        return ExitCode::SUCCESS;
    }
    match measure(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &Arguments) -> Result<(), String> {
    let work = Work::calibrated(arguments.workers);
    for &load in &arguments.loads {
        let gap = CPU_TIME.div_f64(load * arguments.workers as f64);
        let mut all: Vec<Runs> = arguments.rows().into_iter().map(Runs::new).collect();
        let rows = all.len();
        for round in 0..arguments.rounds {
            let plan = Plan {
                mean_gap: gap,
                ping_every: PING_EVERY,
                length: arguments.length,
                seed: arguments.seed.wrapping_add(round),
            };
            for turn in 0..rows {
                // Each round begins with another row, so that none always comes after the same one.
                let runs = &mut all[(turn + round as usize) % rows];
                let line = runs.add(&run(runs.row(), work, arguments.workers, &plan)?);
                if arguments.runs {
                    let _ = writeln!(std::io::stdout(), "{line}");
                }
            }
        }
        let title = format!("load {:.0} %, {} workers", load * 100.0, arguments.workers);
        // A reader that goes away early, such as `head`, is no fault.
        let _ = writeln!(std::io::stdout(), "{title}\n{}\n", table(&all));
    }
    Ok(())
}
