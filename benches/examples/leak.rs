//! The leak that Moirai began with, before and after: the resident memory while the same stream of tasks runs on tokio with a task
//! table that is never cleaned up, on tokio with one that is cleaned up each second, and on Moirai.
//!
//! `cargo run --release -p moirai-benches --example leak` writes `docs/src/figures/leak.svg`.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use moirai_benches::chart::{Line, lines, number};
use moirai_benches::help::asks_for_help;
use moirai_benches::memory::resident;
use moirai_benches::old_registry::OldRegistry;
use moirai_benches::peer::{Ours, Peer, Tokio};

const USAGE: &str = "usage: leak [--tasks N] [--out FILE]
Runs N tasks (default: 6,000,000) in waves of 10,000 in three ways, and draws the resident memory.";

const WAVE: u64 = 10_000;
/// The number of samples of a run.
const SAMPLES: u64 = 120;
/// The limit on retained records: the default of Moirai, and what a cleanup of the old registry is asked for.
const RETAINED: usize = 10_000;

/// A way to run tasks and to keep records of them.
#[derive(Clone, Copy, Debug)]
enum Way {
    Old,
    OldCleaned,
    Moirai,
}

const WAYS: [Way; 3] = [Way::Old, Way::OldCleaned, Way::Moirai];

impl Way {
    /// Returns the name for the hidden argument.
    fn name(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::OldCleaned => "old-cleaned",
            Self::Moirai => "moirai",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Old => "old, never cleaned",
            Self::OldCleaned => "old, cleaned each second",
            Self::Moirai => "Moirai",
        }
    }
}

/// The memory at one moment of a run.
#[derive(Clone, Copy, Debug)]
struct Sample {
    tasks: u64,
    bytes: u64,
}

/// The result of one run.
#[derive(Debug)]
struct Run {
    samples: Vec<Sample>,
    took: Duration,
    longest_wave: Duration,
}

fn main() -> ExitCode {
    if asks_for_help(USAGE) {
        return ExitCode::SUCCESS;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        // Each way runs in a process of its own, so that no memory is shared.
        ["--run", way, tasks] => child(way, tasks),
        _ => match parse(&words) {
            Ok((tasks, out)) => parent(tasks, &out),
            Err(error) => {
                eprintln!("{error}\n{USAGE}");
                return ExitCode::from(2);
            }
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("leak: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut words: &[&str]) -> Result<(u64, PathBuf), String> {
    let mut tasks = 6_000_000;
    let mut out = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/src/figures/leak.svg");
    while let [option, rest @ ..] = words {
        let [value, rest @ ..] = rest else {
            return Err(format!("{option:?} is unknown or needs a value"));
        };
        match *option {
            "--tasks" => {
                let number = value.replace([',', '_'], "").parse().ok();
                tasks = number
                    .filter(|&tasks: &u64| tasks >= WAVE)
                    .ok_or(format!("--tasks: {value:?} is not a number of at least {WAVE}"))?;
            }
            "--out" => out = PathBuf::from(value),
            _ => return Err(format!("unknown option {option:?}")),
        }
        words = rest;
    }
    Ok((tasks, out))
}

fn parent(tasks: u64, out: &PathBuf) -> Result<(), Box<dyn Error>> {
    let mut drawn = Vec::new();
    println!(
        "{:26} {:>12} {:>11} {:>11} {:>14}",
        "", "tasks/s", "last MiB", "peak MiB", "longest wave"
    );
    for way in WAYS {
        let run = run_child(way, tasks)?;
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let last = run.samples.last().map_or(0, |sample| sample.bytes);
        let peak = run.samples.iter().map(|sample| sample.bytes).max().unwrap_or(0);
        println!(
            "{:26} {:>12} {:>11.1} {:>11.1} {:>11.1} ms",
            way.label(),
            number((tasks as f64 / run.took.as_secs_f64()).round()),
            mib(last),
            mib(peak),
            run.longest_wave.as_secs_f64() * 1e3,
        );
        let points =
            run.samples.iter().map(|sample| (sample.tasks as f64 / 1e6, mib(sample.bytes)));
        drawn.push(Line { label: way.label().into(), points: points.collect() });
    }
    let svg = lines(
        "Resident memory of a process that keeps records of its tasks",
        "tasks run (millions)",
        "MiB",
        &drawn,
    );
    fs::write(out, svg).map_err(|error| format!("cannot write {}: {error}", out.display()))?;
    println!("wrote {}", out.display());
    Ok(())
}

/// Runs one way in a process of its own, and reads what it prints.
fn run_child(way: Way, tasks: u64) -> Result<Run, Box<dyn Error>> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--run", way.name(), &tasks.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().ok_or("no output of the child")?;
    let mut run = Run { samples: Vec::new(), took: Duration::ZERO, longest_wave: Duration::ZERO };
    for line in BufReader::new(output).lines() {
        let line = line?;
        let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        match numbers[..] {
            [tasks, bytes] => run.samples.push(Sample { tasks, bytes }),
            [0, took, longest] => {
                run.took = Duration::from_nanos(took);
                run.longest_wave = Duration::from_nanos(longest);
            }
            _ => return Err(format!("the child said {line:?}").into()),
        }
        eprint!(
            "\r{:26} {:3} %",
            way.label(),
            run.samples.len() as u64 * 100 / SAMPLES.min(tasks / WAVE)
        );
    }
    eprintln!("\r{:60}\r", "");
    if !child.wait()?.success() {
        return Err(format!("the run {:?} failed", way.name()).into());
    }
    Ok(run)
}

fn child(way: &str, tasks: &str) -> Result<(), Box<dyn Error>> {
    let way = WAYS.into_iter().find(|known| known.name() == way).ok_or("unknown way")?;
    let tasks: u64 = tasks.parse()?;
    match way {
        Way::Moirai => stream::<Ours>(tasks, Ours::spawn),
        Way::Old | Way::OldCleaned => {
            let registry = Arc::new(OldRegistry::default());
            let (stop, stopped) = channel::<()>();
            let cleaner = thread::spawn({
                let registry = Arc::clone(&registry);
                let every =
                    if matches!(way, Way::Old) { Duration::MAX } else { Duration::from_secs(1) };
                move || {
                    while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                        registry.cleanup_completed(Duration::from_secs(300), RETAINED);
                    }
                }
            });
            let result = stream::<Tokio>(tasks, |task| {
                let registry = Arc::clone(&registry);
                let id = registry.register(None);
                Tokio::spawn(async move {
                    registry.start(id);
                    let result = task.await;
                    registry.finish(id, None);
                    result
                })
            });
            drop(stop);
            cleaner.join().map_err(|_| "the cleaner panicked")?;
            result
        }
    }
}

/// Runs waves of tasks that compute a little. Prints a line for each sample, with the tasks and the bytes so far, and one at the
/// end, with the time of the run and of its longest wave in nanoseconds.
fn stream<P: Peer>(
    tasks: u64,
    spawn: impl Fn(std::pin::Pin<Box<dyn Future<Output = u64> + Send>>) -> P::Handle<u64>,
) -> Result<(), Box<dyn Error>> {
    P::start();
    let start = Instant::now();
    let mut longest = Duration::ZERO;
    let waves = tasks / WAVE;
    let every = waves.div_ceil(SAMPLES);
    for wave in 1..=waves {
        let began = Instant::now();
        let handles: Vec<_> = (0..WAVE)
            .map(|number| spawn(Box::pin(async move { number.wrapping_mul(wave) })))
            .collect();
        for handle in handles {
            P::join_outside(handle);
        }
        longest = longest.max(began.elapsed());
        if wave % every == 0 || wave == waves {
            println!("{} {}", wave * WAVE, resident()?);
        }
    }
    println!("0 {} {}", start.elapsed().as_nanos(), longest.as_nanos());
    Ok(())
}
