//! Measures how much faster fork-join work gets with more workers, prints a table, and draws a chart.
//!
//! `cargo run --profile bench -p moirai-benches --bin scaling [-- --workers N] [--rounds N] [--out FILE.svg]`

use std::hint::black_box;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use moirai::Moirai;
use moirai::par::ParSlice;
use moirai_benches::chart::{Line, lines};
use moirai_benches::help::asks_for_help;

const USAGE: &str = "usage: scaling [--workers N] [--rounds N] [--out FILE.svg]
Measures the speed-up of fork-join work with 1, 2, 4, ... workers over one worker.
--workers N    the largest number of workers (default: the number of cores)
--rounds N     number of runs of each kind of work, of which the median counts (default: 7)
--out FILE     the chart to write (default: scaling.svg)";

struct Arguments {
    workers: usize,
    rounds: usize,
    out: PathBuf,
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut parsed = Arguments { workers: cores, rounds: 7, out: "scaling.svg".into() };
    while let Some(word) = words.next() {
        let value = words.next().ok_or(format!("{word} needs a value"));
        let number = |text: String| {
            let number = text.parse().ok().filter(|number| (1..=1_024).contains(number));
            number.ok_or(format!("{word}: {text:?} is not a number from 1 to 1024"))
        };
        match &*word {
            "--workers" => parsed.workers = number(value?)?,
            "--rounds" => parsed.rounds = number(value?)?,
            "--out" => parsed.out = value?.into(),
            _ => return Err(format!("unknown argument {word:?}")),
        }
    }
    Ok(parsed)
}

fn main() -> ExitCode {
    if asks_for_help(USAGE) {
        return ExitCode::SUCCESS;
    }
    match parse(std::env::args().skip(1)) {
        Ok(arguments) => run(&arguments),
        Err(error) => {
            eprintln!("scaling: {error}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// What is measured, inside of a task.
const WORK: [(&str, fn()); 4] = [
    ("leaves of 200 us", || coarse(6)),
    ("fib(32)", recursion),
    ("sort of 4M u64", sort),
    ("matrices of 384", multiply),
];

fn run(arguments: &Arguments) -> ExitCode {
    let mut counts: Vec<usize> =
        (0..).map(|power| 1 << power).take_while(|count| *count < arguments.workers).collect();
    counts.push(arguments.workers);
    println!("{:>8}{}", "workers", WORK.map(|(name, _)| format!("{name:>20}")).concat());
    let mut alone = Vec::new();
    let mut curves: Vec<Vec<(f64, f64)>> = vec![Vec::new(); WORK.len()];
    for &count in &counts {
        let executor = match Moirai::builder().worker_threads(count).build() {
            Ok(executor) => executor,
            Err(error) => {
                eprintln!("scaling: {error}");
                return ExitCode::FAILURE;
            }
        };
        let mut row = String::new();
        for (index, (_, work)) in WORK.into_iter().enumerate() {
            let took = median(&executor, arguments.rounds, work).as_secs_f64();
            if alone.len() == index {
                alone.push(took);
            }
            let speed_up = alone[index] / took;
            curves[index].push((count as f64, speed_up));
            row += &format!("{:>12.2} ms {speed_up:>4.1}", took * 1e3);
        }
        println!("{count:>8}{row}");
    }
    let curves: Vec<Line> = WORK
        .iter()
        .zip(curves)
        .map(|((name, _), points)| Line { label: (*name).to_owned(), points })
        .collect();
    let svg = lines("Speed-up over one worker", "workers", "speed-up", &curves);
    if let Err(error) = std::fs::write(&arguments.out, svg) {
        eprintln!("scaling: {}: {error}", arguments.out.display());
        return ExitCode::FAILURE;
    }
    println!("wrote {}", arguments.out.display());
    ExitCode::SUCCESS
}

/// Returns the median time of `work` inside of a task. The thread that spawns the task sleeps in `block_on`, so only the workers
/// take part.
fn median(executor: &Moirai, rounds: usize, work: fn()) -> Duration {
    let mut times: Vec<Duration> = (0..=rounds)
        .map(|_| {
            let task = executor.spawn_parallel(move || {
                let start = Instant::now();
                work();
                start.elapsed()
            });
            executor.block_on(task).expect("it does not panic")
        })
        // The first run, in which threads start, is not counted.
        .skip(1)
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn coarse(levels: u32) {
    if levels == 0 {
        let start = Instant::now();
        while start.elapsed() < Duration::from_micros(200) {
            std::hint::spin_loop();
        }
        return;
    }
    moirai::join(|| coarse(levels - 1), || coarse(levels - 1));
}

fn fibonacci(n: u32) -> u64 {
    if n < 2 {
        return n.into();
    }
    let (a, b) = moirai::join(|| fibonacci(n - 1), || fibonacci(n - 2));
    a + b
}

fn recursion() {
    black_box(fibonacci(32));
}

fn sort() {
    let mut numbers: Vec<u64> =
        (0..4_000_000u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    numbers.par_sort_unstable();
    black_box(numbers);
}

fn multiply() {
    const SIDE: usize = 384;
    let matrix: Vec<f64> = (0..SIDE * SIDE).map(|n| (n % 17) as f64).collect();
    let mut product = vec![0.0; SIDE * SIDE];
    product.par_for_each_chunk_mut(SIDE, |row, out| {
        for (column, factor) in matrix[row * SIDE..(row + 1) * SIDE].iter().enumerate() {
            for (sum, value) in out.iter_mut().zip(&matrix[column * SIDE..]) {
                *sum += factor * value;
            }
        }
    });
    black_box(product);
}
