//! Compares the ratios of two runs of `figures`, and exits with 1 if one got worse beyond the spread of both runs.
//!
//! `cargo run -p moirai-benches --bin compare -- before.json after.json`

use std::path::Path;
use std::process::ExitCode;

use moirai_benches::compare::{Change, compare};
use moirai_benches::help::asks_for_help;
use moirai_benches::results::Results;

const USAGE: &str = "usage: compare BEFORE.json AFTER.json   (the files that `figures` writes)";

fn main() -> ExitCode {
    if asks_for_help(USAGE) {
        return ExitCode::SUCCESS;
    }
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let [before, after] = &*paths else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let read = |path: &String| {
        Results::read(Path::new(path)).map_err(|error| eprintln!("cannot read {path}: {error}"))
    };
    let (Ok(before), Ok(after)) = (read(before), read(after)) else {
        return ExitCode::from(2);
    };
    let all = compare(&before, &after);
    if all.is_empty() {
        eprintln!("the two files have no ratio in common");
        return ExitCode::from(2);
    }
    for moved in &all {
        println!("{moved}");
    }
    let slower = all.iter().filter(|moved| moved.change == Change::Slower).count();
    let faster = all.iter().filter(|moved| moved.change == Change::Faster).count();
    println!(
        "{} ratios: {faster} better and {slower} worse beyond the spread of both runs",
        all.len()
    );
    ExitCode::from(u8::from(slower > 0))
}
