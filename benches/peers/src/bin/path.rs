//! Repeats one path of a task, for an instruction counter: see `moirai_peers::path`. Without arguments it lists the paths.

use std::io::Write;
use std::process::ExitCode;

use moirai_peers::help::asks_for_help;
use moirai_peers::path::{PATHS, repeat};
use moirai_peers::set_workers;

const USAGE: &str = "usage: path [NAME TIMES [moirai|tokio]]
Repeats a path with one worker. Without arguments, lists the paths.";

fn main() -> ExitCode {
    if asks_for_help(USAGE) {
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (name, times, peer) = match words[..] {
        [] => {
            for path in PATHS {
                // A reader that goes away early, such as `head`, is no fault.
                let _ = writeln!(std::io::stdout(), "{:16} {}", path.name, path.about);
            }
            return ExitCode::SUCCESS;
        }
        [name, times] => (name, times, "moirai"),
        [name, times, peer] => (name, times, peer),
        _ => return misused("a name, a number and perhaps a peer are wanted"),
    };
    let Some(path) = PATHS.iter().find(|path| path.name == name) else {
        return misused("no path has this name");
    };
    let Ok(times) = times.parse() else { return misused("TIMES is not a number") };
    let run = match peer {
        "moirai" => Some(path.ours),
        "tokio" => path.tokio,
        _ => None,
    };
    let Some(run) = run else { return misused("this peer does not have this path") };
    set_workers(1);
    repeat(run, times);
    ExitCode::SUCCESS
}

fn misused(error: &str) -> ExitCode {
    eprintln!("{error}\n{USAGE}");
    ExitCode::from(2)
}
