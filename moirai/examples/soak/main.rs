//! Runs many tasks of all kinds for as long as you like, and proves at the end that none was lost and that memory did not
//! grow.
//!
//! ```console
//! cargo run --release --example soak -- --tasks 100000000
//! cargo run --release --example soak -- --seconds 3600 --threads 4
//! ```

mod args;
mod memory;
mod waves;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use args::{Command, Options};
use memory::Watch;
use moirai::prelude::*;
use waves::{Counts, Tally};

/// Records that are retained at most.
const RETAINED: usize = 10_000;

/// How often the books and the memory are looked at.
const LOOK: Duration = Duration::from_millis(50);

/// How often a line is shown.
const SHOW: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let options = match args::parse(std::env::args().skip(1)) {
        Ok(Command::Run(options)) => options,
        Ok(Command::Help) => {
            println!("{}", args::help());
            return ExitCode::SUCCESS;
        }
        Err(message) => return refuse(&message),
    };
    match soak(&options) {
        Err(error) => refuse(&error.to_string()),
        Ok(faults) if faults.is_empty() => {
            println!("sound: every task is accounted for, and memory is bounded");
            ExitCode::SUCCESS
        }
        Ok(faults) => {
            for fault in faults {
                println!("FAULT: {fault}");
            }
            ExitCode::FAILURE
        }
    }
}

/// Says what is wrong with the arguments.
fn refuse(message: &str) -> ExitCode {
    eprintln!("soak: {message}\nTry `--help`.");
    ExitCode::from(2)
}

/// Runs it all, and returns what was not as it should be.
fn soak(options: &Options) -> Result<Vec<String>, BuildError> {
    let mut builder = Moirai::builder().thread_name_prefix("soak").cleanup_config(CleanupConfig {
        max_retained_tasks: RETAINED,
        task_retention_duration: Duration::from_secs(10),
        cleanup_interval: Duration::from_secs(1),
        ..CleanupConfig::default()
    });
    if let Some(threads) = options.threads {
        builder = builder.worker_threads(threads);
    }
    let executor = builder.build()?;
    waves::silence_planned_panics();

    let start = Instant::now();
    let tally = Arc::new(Tally::default());
    let end = options.seconds.map(|seconds| start + seconds);
    let driver = waves::drive(Arc::clone(&tally), options.tasks, end);
    let mut driver = executor.task().name("driver").spawn_async(driver);

    let mut faults = Vec::new();
    let mut watch = Watch::new();
    let mut shown = (start, 0);
    let driven = loop {
        let driven = driver.join_timeout(LOOK);
        let (now, ended) = (Instant::now(), tally.ended());
        let stats = executor.cleanup_stats();
        watch.look(ended);
        check_retained(&stats, &mut faults);
        let since = now - shown.0;
        if since >= SHOW || driven.is_some() {
            let rate = (ended - shown.1) as f64 / since.as_secs_f64();
            live_line(now - start, ended, rate, &watch, &stats);
            shown = (now, ended);
        }
        if let Some(driven) = driven {
            break driven;
        }
    };
    if let Err(error) = driven {
        faults.push(format!("the driver did not get to its end: {error}"));
    }

    // One more, for the driver itself.
    let counted = Counts { completed: 1, ..Counts::default() } + tally.counts();
    let report = executor.shutdown();
    println!("{report}");
    let booked =
        Counts { completed: report.completed, failed: report.failed, cancelled: report.cancelled };
    println!("counted by hand: {counted}");
    if report.spawned != booked.sum() || report.still_active != 0 {
        faults.push("the books do not balance".to_owned());
    }
    if booked != counted {
        faults.push(format!("the books say {booked}; the tasks themselves say {counted}"));
    }
    faults.extend(watch.verdict(options.growth));
    println!("{watch}");
    Ok(faults)
}

fn live_line(elapsed: Duration, ended: u64, rate: f64, watch: &Watch, stats: &CleanupStats) {
    println!(
        "{:>6.1} s  {ended:>11} tasks  {rate:>9.0} tasks/s  {watch:#}  {:>6} active  {:>6} retained, {} KiB  \
         evicted {} by count, {} by age",
        elapsed.as_secs_f64(),
        stats.active_tasks,
        stats.total_tasks - stats.active_tasks,
        stats.memory_bytes / 1024,
        stats.evicted_by_count,
        stats.evicted_by_age,
    );
}

/// The records retained never exceed the limit by more than an eighth, whenever one looks.
fn check_retained(stats: &CleanupStats, faults: &mut Vec<String>) {
    let retained = stats.total_tasks - stats.active_tasks;
    if retained > RETAINED + RETAINED / 8 {
        faults.push(format!("{retained} records were retained, with a limit of {RETAINED}"));
    }
}
