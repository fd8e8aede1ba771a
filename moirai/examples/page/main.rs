//! An executor that shows itself in the browser, with something to see: requests that come and go, images that are resized, files that
//! are read, now and then a failure, a task that blocks its worker, and one that never ends.
//!
//! ```console
//! cargo run --release --features page --example page
//! cargo run --release --features page --example page -- --port 8080 --seconds 60
//! ```

use std::time::{Duration, Instant};

use moirai::metrics::page::Page;
use moirai::prelude::*;
use moirai::time::sleep;

/// Where to serve, and for how long.
struct Args {
    port: u16,
    seconds: Option<u64>,
}

impl Args {
    fn parse() -> Result<Self, String> {
        let mut args = Self { port: 9464, seconds: None };
        let mut given = std::env::args().skip(1);
        while let Some(name) = given.next() {
            let value = given.next().ok_or_else(|| format!("{name} needs a value"))?;
            let wrong = |_| format!("{name} needs a number, and {value:?} is none");
            match &*name {
                "--port" => args.port = value.parse().map_err(wrong)?,
                "--seconds" => args.seconds = Some(value.parse().map_err(wrong)?),
                _ => return Err(format!("{name} is unknown; there are --port and --seconds")),
            }
        }
        Ok(args)
    }
}

/// A request: it waits for something, computes a little, and fails now and then.
async fn request(number: u64) {
    sleep(Duration::from_millis(5 + number * 7 % 60)).await;
    let pixels =
        moirai::spawn_parallel(move || spin(Duration::from_micros(200 + number * 13 % 900)));
    let _ = pixels.await;
    assert!(!number.is_multiple_of(97), "request {number} has a number that is not liked");
}

fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Spawns whatever there is to see, until the executor is shut down.
async fn load() {
    let Some(executor) = Moirai::current() else { return };
    for number in 0_u64.. {
        if executor.is_shutting_down() {
            return;
        }
        sleep(Duration::from_millis(4)).await;
        executor.task().name("request").tag("number", number).spawn_async(request(number));
        match number % 400 {
            20 => {
                let read = || std::thread::sleep(Duration::from_millis(150));
                executor.task().name("read a file").spawn_blocking(read);
            }
            120 => {
                let resize = || spin(Duration::from_millis(40));
                executor.task().name("resize an image").spawn_parallel(resize);
            }
            220 => {
                let slow = executor.task().name("too slow").timeout(Duration::from_millis(50));
                slow.spawn_async(std::future::pending::<()>());
            }
            320 => {
                // This is what a task must not do: it should be a blocking one.
                let blocks = async { std::thread::sleep(Duration::from_millis(700)) };
                executor.task().name("blocks its worker").spawn_async(blocks);
            }
            _ => {}
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse()?;
    let executor = Moirai::builder()
        .retain_failures(Retention { max_records: 1_000, max_age: Duration::from_secs(3_600) });
    let executor = executor.build()?;
    // The panics of requests are part of the show.
    std::panic::set_hook(Box::new(|_| {}));
    executor.task().name("load").spawn_async(load());
    executor.task().name("never ends").spawn_async(std::future::pending::<()>());
    let page = Page::new(&executor).address(("127.0.0.1", args.port)).allow_cancel(true);
    let server = page.serve()?;
    println!("see {}", server.url());
    match args.seconds {
        Some(seconds) => std::thread::sleep(Duration::from_secs(seconds)),
        None => loop {
            std::thread::park();
        },
    }
    println!("{}", executor.shutdown_timeout(Duration::from_millis(100)));
    Ok(())
}
