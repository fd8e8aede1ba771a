//! What an update costs the console's thread, and what being watched costs the tasks.
//!
//! `cargo bench -p moirai-console --bench snapshot`
//!
//! The console's thread is watched through a real connection. What it used of a processor is read from Linux's schedstat, so it has all
//! of it: copying the records, selecting, comparing, encoding, sending.

use std::future::pending;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, fs, io};

use console_api::instrument::instrument_client::InstrumentClient;
use console_api::instrument::{InstrumentRequest, Update};
use moirai::prelude::*;
use moirai_console::{Console, ConsoleServer};
use prost::Message;
use tokio::runtime::{Builder, Runtime};
use tonic::Streaming;

const USAGE: &str = "usage: snapshot [--test]
Prints what an update of so many tasks costs the console's thread, and the time that tasks take with and without a console.
--test   few tasks, once";

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

const INTERVAL: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    let mut test = false;
    for argument in env::args().skip(1) {
        match &*argument {
            "--test" => test = true,
            // What cargo passes to each bench.
            "--bench" => {}
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    let measured = updates(if test { &[100] } else { &[1_000, 5_000, 10_000] }, test)
        .and_then(|()| spawns(if test { 1_000 } else { 400_000 }, if test { 1 } else { 9 }));
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("snapshot: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A client of a console.
struct Watcher {
    runtime: Runtime,
    updates: Streaming<Update>,
}

impl Watcher {
    fn new(console: &ConsoleServer) -> Fallible<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let address = format!("http://{}", console.address());
        let updates = runtime.block_on(async {
            let mut client = InstrumentClient::connect(address).await?;
            let updates = client.watch_updates(InstrumentRequest {}).await?;
            Ok::<_, Box<dyn std::error::Error>>(updates.into_inner())
        })?;
        Ok(Self { runtime, updates })
    }

    /// Waits for an update, and returns the number of tasks in it and of its bytes.
    fn update(&mut self) -> Fallible<(usize, usize)> {
        let update =
            self.runtime.block_on(self.updates.message())?.ok_or("the stream has ended")?;
        let tasks = update.task_update.as_ref().map_or(0, |tasks| tasks.stats_update.len());
        Ok((tasks, update.encoded_len()))
    }

    /// Takes in updates until they have told of so many tasks, and returns the number of their bytes.
    fn tasks(&mut self, wanted: usize) -> Fallible<usize> {
        let (mut tasks, mut bytes) = (0, 0);
        while tasks < wanted {
            let update = self.update()?;
            (tasks, bytes) = (tasks + update.0, bytes + update.1);
        }
        Ok(bytes)
    }
}

/// Returns how long the thread of the console has been on a processor.
fn used() -> io::Result<Duration> {
    for thread in fs::read_dir("/proc/self/task")? {
        let thread = thread?.path();
        if fs::read_to_string(thread.join("comm"))?.trim() == "moirai-console" {
            let schedstat = fs::read_to_string(thread.join("schedstat"))?;
            let nanos = schedstat.split(' ').next().and_then(|nanos| nanos.parse().ok());
            return Ok(Duration::from_nanos(nanos.unwrap_or_default()));
        }
    }
    Err(io::Error::other("there is no thread of the console"))
}

/// Measures updates of so many tasks: the first one, one in which none has changed, and one in which all have.
fn updates(sizes: &[usize], test: bool) -> Fallible<()> {
    let rounds = if test { 1 } else { 20 };
    println!("{:>8}  {:<12} {:>8} {:>10}", "tasks", "update", "ms", "bytes");
    for &size in sizes {
        let row = |update: &str, used: Duration, bytes: usize| {
            let millis = used.as_secs_f64() * 1e3;
            println!("{size:>8}  {update:<12} {millis:>8.2} {bytes:>10}");
        };
        {
            let (_moirai, console) = serve(size, pending::<()>)?;
            let mut first = Vec::new();
            for _ in 0..rounds {
                let before = used()?;
                let bytes = Watcher::new(&console)?.tasks(size)?;
                first.push((used()?.saturating_sub(before), bytes));
            }
            first.sort_unstable();
            let (used, bytes) = first[first.len() / 2];
            row("first", used, bytes);
            let (used, bytes) = each(rounds, size, &console)?;
            row("no changes", used, bytes);
        }
        let (_moirai, console) = serve(size, || async {
            loop {
                moirai::time::sleep(INTERVAL / 4).await;
            }
        })?;
        let (used, bytes) = each(rounds, size, &console)?;
        row("all changed", used, bytes);
    }
    Ok(())
}

/// Serves an executor with so many tasks.
fn serve<F>(size: usize, task: impl Fn() -> F) -> Fallible<(Moirai, ConsoleServer)>
where
    F: Future<Output = ()> + Send + 'static,
{
    let moirai = Moirai::builder().worker_threads(1).build()?;
    for number in 0..size {
        moirai.task().name(format!("connection-{number}")).spawn_async(task());
    }
    let console = Console::new(&moirai).address(([127, 0, 0, 1], 0)).interval(INTERVAL);
    let console = console.max_tasks(size).serve()?;
    // The thread has its name from its first update on, at the latest.
    Watcher::new(&console)?.update()?;
    Ok((moirai, console))
}

/// Returns what an update takes on average, after the first ones.
fn each(rounds: u32, size: usize, console: &ConsoleServer) -> Fallible<(Duration, usize)> {
    let mut watcher = Watcher::new(console)?;
    watcher.tasks(size)?;
    watcher.update()?;
    watcher.update()?;
    let before = used()?;
    let mut bytes = 0;
    for _ in 0..rounds {
        bytes += watcher.update()?.1;
    }
    Ok((used()?.saturating_sub(before) / rounds, bytes / rounds as usize))
}

/// Measures tasks: without a console, with one that nobody watches, and with one that is watched.
fn spawns(tasks: usize, rounds: usize) -> Fallible<()> {
    let moirai = Moirai::builder().worker_threads(1).build()?;
    for _ in 0..1_000 {
        moirai.spawn_async(pending::<()>());
    }
    let run = || {
        let start = Instant::now();
        let spawner = moirai.spawn_async(async move {
            for _ in 0..tasks {
                moirai::spawn_async(async {}).await.ok();
            }
        });
        spawner.join().map(|()| start.elapsed().as_nanos() as f64 / tasks as f64)
    };
    let mut times = [const { Vec::new() }; 3];
    for round in 0..=rounds {
        let console = Console::new(&moirai).address(([127, 0, 0, 1], 0)).serve();
        let mut measured = [run()?, 0.0, 0.0];
        let console = console?;
        measured[1] = run()?;
        let _watcher = Watcher::new(&console)?;
        measured[2] = run()?;
        // The first round is there to warm up.
        if round > 0 {
            times.iter_mut().zip(measured).for_each(|(times, time)| times.push(time));
        }
    }
    println!("\nnanoseconds for a task that is spawned and awaited, median of {rounds}");
    for (what, mut times) in ["without a console", "not watched", "watched"].into_iter().zip(times)
    {
        times.sort_unstable_by(f64::total_cmp);
        println!("{what:<20} {:>8.1}", times[times.len() / 2]);
    }
    Ok(())
}
