//! Measures groups of workloads in this process, and prints the time of every run as JSON.
//!
//! `figures` runs this program. Run by hand, it is the quickest way to look at one group: `cargo run --release -p moirai-benches
//! --bin measure -- spawn_inside --table`.

use std::process::ExitCode;

use moirai_benches::help::asks_for_help;
use moirai_benches::measure::measure;
use moirai_benches::stats::{median, percentile, range};
use moirai_benches::workload::{self, Group};

const USAGE: &str = "usage: measure [GROUP...] [--rounds N] [--without PEER] [--table] [--list]
Measures the groups whose names contain one of the words, or all groups if there are none.
--rounds N       number of runs of each peer (default: that of the group)
--without PEER   leave out this peer; can be given more than once
--table          print a table instead of JSON
--list           print only the names of the groups";

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
                    Some(number.ok_or(format!("--rounds: {rounds:?} is not a number above zero"))?);
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
    if asks_for_help(USAGE) {
        return ExitCode::SUCCESS;
    }
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
        eprintln!(
            "no name of a group contains any of {:?}; --list prints the names",
            arguments.groups
        );
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
            "{} (ns per {}): median, min, max, p99, median divided by that of the second peer",
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
