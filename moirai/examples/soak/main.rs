//! Runs many tasks of all kinds, for as long as asked, and checks at the end that none was lost and that memory did not grow.
//!
//! ```console
//! cargo run --release --example soak -- --tasks 100000000
//! cargo run --release --example soak -- --seconds 3600 --threads 4
//! ```

mod args;
mod memory;
mod waves;

use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use args::{Command, Options};
use memory::Watch;
use moirai::prelude::*;
use waves::{Counts, Tally};

/// The limit on retained records.
const RETAINED: usize = 10_000;

/// How often the number of records and the resident memory are checked.
const LOOK: Duration = Duration::from_millis(50);

/// How often a line is printed.
const SHOW: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let options = match args::parse(std::env::args().skip(1)) {
        Ok(Command::Run(options)) => options,
        Ok(Command::Help) => {
            // A reader that goes away early, such as `head`, is no fault.
            let _ = writeln!(std::io::stdout(), "{}", args::help());
            return ExitCode::SUCCESS;
        }
        Err(message) => return refuse(&message),
    };
    match soak(&options) {
        Err(error) => refuse(&error.to_string()),
        Ok(faults) if faults.is_empty() => {
            println!("no fault: every task is accounted for, and memory is bounded");
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

/// Reports invalid arguments.
fn refuse(message: &str) -> ExitCode {
    eprintln!("soak: {message}\nTry `--help`.");
    ExitCode::from(2)
}

/// Runs the waves, and returns the faults that were found.
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
        faults.push(format!("the driver task did not complete: {error}"));
    }

    // The driver is a task, too.
    let counted = Counts { completed: 1, ..Counts::default() } + tally.counts();
    let report = executor.shutdown();
    println!("{report}");
    let reported =
        Counts { completed: report.completed, failed: report.failed, cancelled: report.cancelled };
    println!("counted from handles: {counted}");
    if report.spawned != reported.sum() || report.still_active != 0 {
        faults.push("the counts of the shutdown report do not add up".to_owned());
    }
    if reported != counted {
        faults.push(format!("the executor has counted {reported}, but the handles say {counted}"));
    }
    faults.extend(watch.verdict(options.growth));
    println!("{watch}");
    Ok(faults)
}

fn live_line(elapsed: Duration, ended: u64, rate: f64, watch: &Watch, stats: &CleanupStats) {
    println!(
        "{:>6.1} s  {ended:>11} tasks  {rate:>9.0} tasks/s  {watch:#}  {:>6} active and {:>6} retained records \
         in {} KiB  evicted {} by count, {} by age",
        elapsed.as_secs_f64(),
        stats.active_tasks,
        stats.total_tasks - stats.active_tasks,
        stats.memory_bytes / 1024,
        stats.evicted_by_count,
        stats.evicted_by_age,
    );
}

/// Checks that the number of retained records exceeds the limit by no more than an eighth. This must hold at every moment.
fn check_retained(stats: &CleanupStats, faults: &mut Vec<String>) {
    let retained = stats.total_tasks - stats.active_tasks;
    if retained > RETAINED + RETAINED / 8 {
        faults.push(format!("{retained} records were retained, with a limit of {RETAINED}"));
    }
}
