//! Jobs a second, CPU time a job, and the time from a push to the start: of Moirai, and of `apalis` on plain tokio with the same
//! storage, the same number of threads and the same number of jobs at a time.
//!
//! ```console
//! cargo bench -p moirai-jobs --bench throughput                       # SQLite, and what servers are installed
//! cargo bench -p moirai-jobs --bench throughput -- --rounds 9 sqlite
//! ```
//!
//! The peers take turns. Each has an empty storage for each turn.

mod moirai_peer;
mod plain;
#[path = "../../../tokio/tests/servers/server.rs"]
mod server;
mod storage;

use std::time::Duration;

use storage::{Kind, Storage};

/// What is to be done.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) jobs: u32,
    pub(crate) threads: usize,
    pub(crate) concurrency: usize,
    pub(crate) work: Duration,
}

/// How it went.
#[derive(Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

pub(crate) fn cpu() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::try_from(now).expect("it is positive")
}

/// Computes for so long.
pub(crate) fn compute(work: Duration) {
    let started = std::time::Instant::now();
    while started.elapsed() < work {
        std::hint::black_box((0..50_u64).fold(0, |a, n| a ^ n.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
    }
}

struct Options {
    jobs: u32,
    pushes: u32,
    rounds: usize,
    only: Option<String>,
}

fn options() -> Options {
    let mut options = Options { jobs: 1_000, pushes: 200, rounds: 5, only: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match &*argument {
            "--bench" => {}
            "--test" => (options.jobs, options.pushes, options.rounds) = (40, 4, 1),
            "--rounds" => {
                let value = arguments.next().and_then(|value| value.parse().ok());
                options.rounds = value.filter(|rounds| *rounds > 0).expect("--rounds NUMBER");
            }
            "--help" => {
                println!("throughput [--test] [--rounds NUMBER] [sqlite|postgres|redis]");
                std::process::exit(0);
            }
            name => options.only = Some(name.to_owned()),
        }
    }
    options
}

fn main() {
    let options = options();
    for kind in Kind::ALL {
        if options.only.as_deref().is_some_and(|only| only != kind.name()) {
            continue;
        }
        let Some(storage) = Storage::new(kind) else { continue };
        println!("{}", kind.name());
        throughput(&storage, &options);
        latency(&storage, &options);
    }
}

fn throughput(storage: &Storage, options: &Options) {
    println!(
        "  {:<28} {:>12} {:>12} {:>7} {:>10} {:>10} {:>7}",
        "jobs a second", "moirai", "apalis", "ratio", "cpu µs", "cpu µs", "ratio"
    );
    for threads in [1, 2, 4] {
        for work in [Duration::ZERO, Duration::from_millis(1)] {
            let load = Load { jobs: options.jobs, threads, concurrency: 16, work };
            let mut ours = Vec::new();
            let mut theirs = Vec::new();
            for round in 0..options.rounds {
                // Each goes first now and then.
                for peer in [round % 2, 1 - round % 2] {
                    match peer {
                        0 => ours.push(moirai_peer::run(&storage.empty(), load)),
                        _ => theirs.push(plain::run(&storage.empty(), load)),
                    }
                }
            }
            let rate = |turns: &[Turn]| {
                median(turns.iter().map(|turn| f64::from(load.jobs) / turn.wall.as_secs_f64()))
            };
            let cost = |turns: &[Turn]| {
                median(turns.iter().map(|turn| turn.cpu.as_secs_f64() * 1e6 / f64::from(load.jobs)))
            };
            println!(
                "  {threads} threads, {:<17} {:>12.0} {:>12.0} {:>7.2} {:>10.1} {:>10.1} {:>7.2}",
                if work.is_zero() { "empty".to_owned() } else { format!("{work:?}") },
                rate(&ours),
                rate(&theirs),
                rate(&ours) / rate(&theirs),
                cost(&ours),
                cost(&theirs),
                cost(&ours) / cost(&theirs),
            );
        }
    }
}

fn latency(storage: &Storage, options: &Options) {
    println!("  {:<28} {:>12} {:>12} {:>7}", "from push to start, µs", "moirai", "apalis", "ratio");
    let mut ours = moirai_peer::latencies(&storage.empty(), options.pushes);
    let mut theirs = plain::latencies(&storage.empty(), options.pushes);
    ours.sort_unstable();
    theirs.sort_unstable();
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let (a, b) = (quantile(&ours, share), quantile(&theirs, share));
        println!("  {name:<28} {a:>12.0} {b:>12.0} {:>7.2}", a / b);
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

#[expect(clippy::cast_sign_loss, clippy::cast_possible_truncation, clippy::cast_precision_loss)]
fn quantile(sorted: &[Duration], share: f64) -> f64 {
    let index = ((sorted.len() as f64 * share) as usize).min(sorted.len() - 1);
    sorted[index].as_secs_f64() * 1e6
}
