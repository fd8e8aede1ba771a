//! Renders a picture in parallel, with a progress bar, while an async task ticks on the same two workers.
//!
//! `cargo run --release --example mandelbrot -- [--width N] [--height N] [--workers N] [--out FILE]`

mod args;
mod clock;
mod picture;

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use moirai::Moirai;

use args::Args;
use picture::Picture;

fn main() -> ExitCode {
    if std::env::args().skip(1).any(|word| matches!(&*word, "--help" | "-h")) {
        // A reader that goes away early, such as `head`, is no fault.
        let _ = writeln!(std::io::stdout(), "{}", args::USAGE);
        return ExitCode::SUCCESS;
    }
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(error) => {
            eprintln!("mandelbrot: {error}\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mandelbrot: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let executor = Moirai::builder().worker_threads(args.workers).build()?;
    let size = (args.width, args.height);

    // One thread alone, for comparison.
    let bar = bar(args.height, "one thread");
    let start = Instant::now();
    let mut alone = Picture::new(size);
    alone.render_alone(|| bar.inc(1));
    let alone_took = start.elapsed();
    bar.finish();

    // The same in parallel, inside of a task, so that the workers do all of it; and a clock, which ticks meanwhile.
    let bar = self::bar(args.height, &format!("{} workers", args.workers));
    let clock = clock::start(&executor);
    let start = Instant::now();
    let render = executor.task().name("render").spawn_parallel({
        let bar = bar.clone();
        move || {
            let mut picture = Picture::new(size);
            picture.render(|| bar.inc(1));
            picture
        }
    });
    // `block_on`, and not `join` of the handle: a thread that joins a task takes part in its parallel work, and would be one thread
    // more.
    let picture = executor.block_on(render)?;
    let took = start.elapsed();
    bar.finish();
    let ticks = clock.stop(&executor)?;

    if picture != alone {
        return Err("the two pictures differ".into());
    }
    picture.write(&args.out)?;
    println!("wrote {} ({} x {})", args.out.display(), args.width, args.height);
    println!(
        "one thread {:.0} ms, {} workers {:.0} ms: speed-up {:.2}",
        alone_took.as_secs_f64() * 1e3,
        args.workers,
        took.as_secs_f64() * 1e3,
        alone_took.as_secs_f64() / took.as_secs_f64()
    );
    println!(
        "the clock ticked {} times, {} ms apart if nothing delays it; the longest gap between two ticks was {:.1} ms",
        ticks.count,
        clock::PERIOD.as_millis(),
        ticks.worst_gap.as_secs_f64() * 1e3
    );
    Ok(())
}

fn bar(rows: usize, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:12} [{bar:40}] {percent:>3} % {elapsed}")
        .expect("the template is right")
        .progress_chars("=> ");
    ProgressBar::new(rows as u64).with_style(style).with_message(what.to_owned())
}
