//! Measures what shared cache lines cost as the number of workers grows, from one thread and from two, and predicts what they cost
//! on machines with many cores: see `moirai_benches::contention`.
//!
//! `cargo run --profile bench -p moirai-benches --bin contention [-- ARGUMENTS]`

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use moirai_benches::chart::{Line, lines, number};
use moirai_benches::contention::inventory::Setting;
use moirai_benches::contention::model::{
    LIMITS, Limit, MACHINES, PATHS, bound_table, inventory_table, predict, prediction_table,
};
use moirai_benches::contention::{Cell, OPERATIONS, Operation, Plan, Row, measure};
use moirai_benches::help::asks_for_help;

const USAGE: &str = "usage: contention [--only NAME[,NAME...]] [--workers N[,N...]] [--threads N[,N...]]
                  [--rounds N] [--times N] [--out FILE.svg]
       contention --list
       contention --model [--out FILE.svg]
Measures operations on the state of N workers, and prints the least time and the median of all rounds, in
nanoseconds for an operation of one thread, as a table in Markdown.
--only NAMES   the operations (default: all)
--workers NS   the numbers of workers whose state there is (default: 1,2,4,8,16,32,64,128)
--threads NS   the numbers of threads that drive them (default: 1,2)
--rounds N     how often each is measured, in turns (default: 15)
--times N      operations of a thread in a run (default: depends on the operation)
--out FILE     a chart to write: of operations that one thread drives, or of the model
--list         lists the operations
--model        prints what the model predicts, for the page on many cores in the docs; measures nothing";

struct Arguments {
    plan: Plan,
    out: Option<PathBuf>,
    list: bool,
    model: bool,
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut plan = Plan {
        operations: OPERATIONS.to_vec(),
        workers: (0..8).map(|power| 1 << power).collect(),
        threads: vec![1, 2],
        rounds: 15,
        times: None,
    };
    let (mut out, mut list, mut model) = (None, false, false);
    while let Some(word) = words.next() {
        match &*word {
            "--list" => list = true,
            "--model" => model = true,
            "--only" | "--workers" | "--threads" | "--rounds" | "--times" | "--out" => {
                let value = words.next().ok_or(format!("{word} needs a value"))?;
                match &*word {
                    "--only" => plan.operations = operations(&value)?,
                    "--workers" => plan.workers = numbers(&word, &value)?,
                    "--threads" => plan.threads = numbers(&word, &value)?,
                    "--rounds" => plan.rounds = single(&word, &value)?,
                    "--times" => plan.times = Some(single(&word, &value)?),
                    _ => out = Some(value.into()),
                }
            }
            _ => return Err(format!("unknown argument {word:?}")),
        }
    }
    Ok(Arguments { plan, out, list, model })
}

fn operations(names: &str) -> Result<Vec<Operation>, String> {
    let named = |name: &str| {
        let operation = OPERATIONS.iter().find(|operation| operation.name == name);
        operation.copied().ok_or(format!("no operation is called {name:?}"))
    };
    names.split(',').map(named).collect()
}

fn numbers(option: &str, text: &str) -> Result<Vec<usize>, String> {
    text.split(',').map(|text| single(option, text)).collect()
}

fn single(option: &str, text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=1_000_000_000).contains(number));
    number.ok_or(format!("{option}: {text:?} is not a number from 1 on"))
}

fn main() -> ExitCode {
    if asks_for_help(USAGE) {
        return ExitCode::SUCCESS;
    }
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("contention: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if arguments.list {
        let line = |it: Operation| format!("{:18} {}", it.name, it.about);
        print(&OPERATIONS.map(line).join("\n"));
        return ExitCode::SUCCESS;
    }
    let svg = if arguments.model {
        print(&format!("{}\n{}", inventory_table(), bound_table()));
        for (name, limit) in LIMITS {
            print(&format!("{name}\n\n{}", prediction_table(limit)));
        }
        model_chart()
    } else {
        let rows = measure(&arguments.plan);
        print(&table(&arguments.plan, &rows));
        chart(&arguments.plan, &rows)
    };
    match arguments.out.as_deref().map(|out| write(out, &svg)) {
        Some(Err(error)) => {
            eprintln!("contention: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn write(out: &Path, svg: &str) -> Result<(), String> {
    std::fs::write(out, svg).map_err(|error| format!("{}: {error}", out.display()))?;
    print(&format!("wrote {}", out.display()));
    Ok(())
}

fn print(text: &str) {
    // A reader that goes away early, such as `head`, is no fault.
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn table(plan: &Plan, rows: &[Row]) -> String {
    let columns = plan.workers.iter().map(|workers| format!(" {workers:>15} |"));
    let columns = columns.collect::<String>();
    let mut text = format!("| {:18} | {:>7} |{columns}\n", "workers", "threads");
    text += "| :----------------- | ------: |";
    text += &" --------------: |".repeat(plan.workers.len());
    for row in rows {
        let cells = row.cells.iter().map(|cell| {
            let text = |cell: &Cell| format!("{} / {}", tenths(cell.least), tenths(cell.median));
            format!(" {:>15} |", cell.as_ref().map_or_else(String::new, text))
        });
        let name = row.operation.name;
        let cells = cells.collect::<String>();
        let _ = write!(text, "\n| {name:18} | {:>7} |{cells}", row.threads);
    }
    text
}

fn tenths(nanos: f64) -> String {
    if nanos < 99.95 { format!("{nanos:.1}") } else { number(nanos.round()) }
}

/// Draws the operations in which the least time of a single thread grows most with the number of workers.
fn chart(plan: &Plan, rows: &[Row]) -> String {
    /// As many as there are colours.
    const LINES: usize = 4;
    let mut drawn: Vec<(f64, Line)> = rows
        .iter()
        .filter(|row| row.threads == 1 && row.operation.name != "wake")
        .filter_map(|row| {
            let cells = plan.workers.iter().zip(&row.cells);
            let points: Vec<_> = cells
                .filter_map(|(&workers, cell)| Some((workers as f64, cell.as_ref()?.least)))
                .collect();
            let growth = points.last()?.1 - points.first()?.1;
            Some((growth, Line { label: row.operation.name.to_owned(), points }))
        })
        .collect();
    drawn.sort_by(|a, b| b.0.total_cmp(&a.0));
    let drawn: Vec<Line> = drawn.into_iter().take(LINES).map(|(_, line)| line).collect();
    lines(
        "What grows with the number of workers, driven by one thread",
        "workers",
        "nanoseconds for an operation",
        &drawn,
    )
}

/// Draws the throughput that the model predicts, with the transfer time of the second machine.
fn model_chart() -> String {
    let machine = MACHINES[1];
    let curve = |label: String, path: usize, limit: Limit| {
        let point = |workers: usize| {
            let at = Setting { workers, limit: limit(workers) };
            (workers as f64, predict(&PATHS[path], at, machine.transfer).throughput)
        };
        Line { label, points: (1..=128).map(point).collect() }
    };
    let [(_, default), (_, roomy)] = LIMITS;
    let inside = PATHS.iter().position(|path| path.name == "inside").expect("it is there");
    let outside = PATHS.iter().position(|path| path.name == "outside").expect("it is there");
    let curves = [
        curve("inside, 512 a worker".into(), inside, roomy),
        curve("inside, 10,000 records".into(), inside, default),
        curve("outside, 10,000".into(), outside, default),
    ];
    let title = format!(
        "Predicted: empty tasks a second, with {} ns for a transfer",
        number(machine.transfer)
    );
    lines(&title, "cores", "millions of tasks a second", &curves)
}
