//! Measures groups of workloads in this process, and prints every run as JSON.
//!
//! `figures` calls it; called by hand it is the quickest way to look at one group:
//! `cargo run --release -p moirai-benches --bin measure -- spawn_inside --table`.

use std::process::ExitCode;

use moirai_benches::measure::measure;
use moirai_benches::stats::{median, percentile, range};
use moirai_benches::workload::{self, Group};

const USAGE: &str = "usage: measure [GROUP...] [--rounds N] [--without PEER] [--table] [--list]
Measures the groups whose names contain one of the words; all, if there is none.";

#[derive(Debug, Default)]
struct Arguments {
    groups: Vec<String>,
    rounds: Option<usize>,
    without: Vec<String>,
    table: bool,
    list: bool,
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
                    Some(number.ok_or(format!("--rounds: {rounds:?} is no number above zero"))?);
            }
            "--without" => parsed.without.push(value()?),
            "--table" => parsed.table = true,
            "--list" => parsed.list = true,
            _ if argument.starts_with('-') => return Err(format!("unknown option {argument:?}")),
            _ => parsed.groups.push(argument),
        }
    }
    Ok(parsed)
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let chosen = |group: &Group| {
        arguments.groups.is_empty() || arguments.groups.iter().any(|word| group.name.contains(word))
    };
    let mut groups: Vec<Group> = workload::all().into_iter().filter(chosen).collect();
    if groups.is_empty() {
        eprintln!("no group's name contains any of {:?}; --list names them", arguments.groups);
        return ExitCode::from(2);
    }
    for group in &mut groups {
        group.cases.retain(|case| !arguments.without.iter().any(|peer| peer == case.peer));
        if arguments.list {
            println!("{}", group.name);
            continue;
        }
        let runs = measure(group, arguments.rounds);
        if !arguments.table {
            println!("{}", serde_json::to_string(&runs).expect("numbers and names"));
            continue;
        }
        println!(
            "{} (ns a {}): median, least, most, 99 %; to the median of the second",
            group.name, group.unit
        );
        for (index, case) in runs.iter().enumerate() {
            let (least, most) = range(&case.nanos);
            let middle = median(&case.nanos);
            let ratio = runs.get(1).map_or(1.0, |second| middle / median(&second.nanos));
            let late = percentile(&case.nanos, 0.99);
            let name = &runs[index].peer;
            println!("  {name:24} {middle:10.1} {least:10.1} {most:10.1} {late:10.1} {ratio:7.2}");
        }
    }
    ExitCode::SUCCESS
}
