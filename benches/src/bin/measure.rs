//! Measures groups of workloads in this process, and prints the times of every run as JSON.
//!
//! `figures` runs this program. Run by hand, it is the quickest way to look at one group: `cargo run --release -p moirai-benches
//! --bin measure -- spawn_inside --table`.

use std::env;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use moirai_benches::apart::{Apart, serve_rayon_by};
use moirai_benches::help::asks_for_help;
use moirai_benches::measure::{Runs, measure};
use moirai_benches::peer::{MOST_WORKERS, set_workers};
use moirai_benches::serve::serve;
use moirai_benches::stats::{median, percentile, range};
use moirai_benches::workload::{self, Group};

const USAGE: &str = "usage: measure [GROUP...] [--rounds N] [--workers N] [--without PEER] [--table] [--list]
       measure --serve-rayon [--workers N]
Measures the groups of these names, or those whose names contain one of the words, or all groups if there are none.
--rounds N       number of runs of each peer (default: that of the group)
--workers N      number of workers of each peer (default: 2)
--without PEER   leave out this peer; can be given more than once
--table          print a table instead of JSON: the median, the least and the 99th percentile of the times of the runs, the median
                 and the least CPU time of the process in a run, and the median and the least time divided by those of the second
                 peer
--list           print only the names of the groups
--serve-rayon    do the work of rayon's cases for another process that measures, which starts this one for it
Rayon on Moirai is measured if RAYON_ON_MOIRAI names its program, which is built by
  cargo build --profile bench --manifest-path integrations/rayon-core/peer/Cargo.toml --target-dir target";

/// The option with which this program runs itself.
const SERVE_RAYON: &str = "--serve-rayon";

#[derive(Debug, Default)]
struct Arguments {
    groups: Vec<String>,
    rounds: Option<usize>,
    workers: Option<usize>,
    without: Vec<String>,
    table: bool,
    list: bool,
    serve_rayon: bool,
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut parsed = Arguments::default();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match &*argument {
            "--rounds" => {
                let rounds = value()?;
                let number = rounds.parse().ok().filter(|&rounds| rounds > 0);
                parsed.rounds =
                    Some(number.ok_or(format!("--rounds: {rounds:?} is not a number above zero"))?);
            }
            "--workers" => {
                let workers = value()?;
                let number =
                    workers.parse().ok().filter(|number| (1..=MOST_WORKERS).contains(number));
                parsed.workers = Some(number.ok_or(format!(
                    "--workers: {workers:?} is not a number from 1 to {MOST_WORKERS}"
                ))?);
            }
            "--without" => parsed.without.push(value()?),
            "--table" => parsed.table = true,
            "--list" => parsed.list = true,
            SERVE_RAYON => parsed.serve_rayon = true,
            _ if argument.starts_with('-') => return Err(format!("unknown option {argument:?}")),
            _ => parsed.groups.push(argument),
        }
    }
    Ok(parsed)
}

fn main() -> ExitCode {
    if asks_for_help(USAGE) {
        return ExitCode::SUCCESS;
    }
    let arguments = match parse(env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let groups = workload::chosen_by(&arguments.groups);
    if groups.is_empty() {
        eprintln!(
            "no name of a group contains any of {:?}; --list prints the names",
            arguments.groups
        );
        return ExitCode::from(2);
    }
    if let Some(workers) = arguments.workers {
        set_workers(workers);
    }
    if arguments.serve_rayon {
        return match serve(Apart::Rayon) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("measure: {error}");
                ExitCode::FAILURE
            }
        };
    }
    if let Ok(program) = env::current_exe() {
        serve_rayon_by(vec![program.into(), SERVE_RAYON.into()]);
    }
    for group in &groups {
        let text = if arguments.list {
            group.name.to_owned()
        } else {
            let mut turns = group.turns();
            turns.retain(|turn| !arguments.without.iter().any(|peer| peer == turn.peer));
            let runs = measure(group, &turns, arguments.rounds);
            if arguments.table {
                table(group, &runs)
            } else {
                serde_json::to_string(&runs).expect("numbers and names")
            }
        };
        // A reader that goes away early, such as `head`, is no fault, and wants no more groups.
        if writeln!(std::io::stdout(), "{text}").is_err() {
            break;
        }
    }
    ExitCode::SUCCESS
}

/// Returns a table of the times of each peer.
fn table(group: &Group, runs: &[Runs]) -> String {
    let mut text = format!(
        "{} (ns per {})\n  {:24} {:>10} {:>10} {:>10} {:>10} {:>10} {:>8} {:>8}",
        group.name,
        group.unit,
        "",
        "median",
        "least",
        "p99",
        "CPU median",
        "CPU least",
        "÷ median",
        "÷ least"
    );
    let median_and_least = |values: &[f64]| (median(values), range(values).0);
    for case in runs {
        let (middle, least) = median_and_least(&case.nanos);
        let late = percentile(&case.nanos, 0.99);
        let _ = write!(text, "\n  {:24} {middle:10.1} {least:10.1} {late:10.1}", case.peer);
        let _ = if case.cpu_nanos.is_empty() {
            write!(text, " {:>10} {:>10}", "-", "-")
        } else {
            let (cpu, least_cpu) = median_and_least(&case.cpu_nanos);
            write!(text, " {cpu:10.1} {least_cpu:10.1}")
        };
        if let Some(second) = runs.get(1) {
            let (of_middle, of_least) = median_and_least(&second.nanos);
            let _ = write!(text, " {:8.2} {:8.2}", middle / of_middle, least / of_least);
        }
    }
    text
}
