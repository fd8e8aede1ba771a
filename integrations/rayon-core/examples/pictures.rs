//! Thumbnails by the crates `image` and `rayon`, on the workers that also tell the time.
//!
//! `cargo run --release --example pictures -- [DIR] [--out DIR] [--pictures N] [--size PIXELS]`
//!
//! Makes two thumbnails of each picture in a directory, and finds its mean colour, in parallel by rayon; each picture is a task of
//! Moirai. An async task beside them ticks each millisecond, on the same workers. In the end it prints how much faster all workers were
//! than one, the longest time between two ticks, and what the records say.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs, process};

use image::{DynamicImage, RgbImage};
use moirai::prelude::*;
use rayon::prelude::*;

const USAGE: &str = "\
usage: pictures [DIR] [--out DIR] [--pictures N] [--size PIXELS]

Makes thumbnails of the PNG and JPEG files in DIR. Without DIR, it draws pictures first.

    --out DIR        where the thumbnails go (default: target/thumbnails)
    --pictures N     how many pictures it draws without DIR, from 1 to 10000 (default: 24)
    --size PIXELS    how wide and high they are, from 16 to 10000 (default: 1200)
";

/// What the arguments say.
struct Options {
    pictures: Option<PathBuf>,
    out: PathBuf,
    count: u32,
    size: u32,
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let out = PathBuf::from("target/thumbnails");
    let mut options = Options { pictures: None, out, count: 24, size: 1_200 };
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match &*argument {
            "-h" | "--help" => {
                print!("{USAGE}");
                process::exit(0);
            }
            "--out" => options.out = value()?.into(),
            "--pictures" => options.count = number(&value()?, 1..=10_000)?,
            "--size" => options.size = number(&value()?, 16..=10_000)?,
            other if other.starts_with('-') => return Err(format!("unknown option {other}")),
            folder => options.pictures = Some(folder.into()),
        }
    }
    Ok(options)
}

fn number(text: &str, range: std::ops::RangeInclusive<u32>) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    let (least, most) = range.into_inner();
    number.ok_or(format!("{text:?} is not a number from {least} to {most}"))
}

/// Draws a picture that no two numbers have in common.
fn draw(number: u32, size: u32) -> RgbImage {
    let mut picture = RgbImage::new(size, size);
    picture.par_enumerate_pixels_mut().for_each(|(x, y, pixel)| {
        let wave = |a: u32, b: u32| ((x * a + y * b) / (number + 3) % 256) as u8;
        pixel.0 = [wave(3, 1), wave(1, 2), wave(2, 5)];
    });
    picture
}

/// The pictures to work on, each with its name.
fn collect(options: &Options) -> Result<Vec<(String, PathBuf)>, Box<dyn Error>> {
    let folder = match &options.pictures {
        Some(folder) => folder.clone(),
        None => {
            let folder = options.out.join("drawn");
            fs::create_dir_all(&folder)?;
            let draw = |number| {
                let path = folder.join(format!("picture-{number}.png"));
                draw(number, options.size).save(path)
            };
            (0..options.count).into_par_iter().map(draw).collect::<Result<(), _>>()?;
            folder
        }
    };
    let list = fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut pictures = Vec::new();
    for entry in list {
        let path = entry?.path();
        let extension = path.extension().map(|it| it.to_string_lossy().to_lowercase());
        if matches!(extension.as_deref(), Some("png" | "jpg" | "jpeg")) {
            let name = path.file_stem().map(|it| it.to_string_lossy().into_owned());
            pictures.push((name.unwrap_or_default(), path));
        }
    }
    pictures.sort();
    if pictures.is_empty() {
        return Err(format!("there is no PNG or JPEG file in {}", folder.display()).into());
    }
    Ok(pictures)
}

/// Makes the thumbnails of a picture, and returns its mean colour. All of it is rayon's and image's, and knows nothing of Moirai.
fn work(name: &str, path: &Path, out: &Path) -> Result<[u64; 3], String> {
    let picture = image::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let save = |edge: u32| {
        let small = DynamicImage::ImageRgb8(picture.thumbnail(edge, edge).to_rgb8());
        small.save(out.join(format!("{name}-{edge}.png"))).map_err(|error| error.to_string())
    };
    let (large, small) = rayon::join(|| save(256), || save(64));
    large.and(small)?;
    let pixels = picture.to_rgb8().into_raw();
    let sum = pixels
        .par_chunks(3)
        .map(|pixel| [0, 1, 2].map(|channel| u64::from(pixel[channel])))
        .reduce(|| [0; 3], |a, b| [a[0] + b[0], a[1] + b[1], a[2] + b[2]]);
    Ok(sum.map(|channel| channel / (pixels.len() as u64 / 3).max(1)))
}

/// Counts the milliseconds, and keeps the longest time between two ticks, in microseconds.
async fn clock(stop: Arc<AtomicBool>, worst: Arc<AtomicU64>) -> u64 {
    let mut ticks = 0;
    let mut last = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        moirai::time::sleep(Duration::from_millis(1)).await;
        let gap = last.elapsed();
        last = Instant::now();
        worst.fetch_max(u64::try_from(gap.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        ticks += 1;
    }
    ticks
}

/// What a run with some number of workers has shown.
struct Run {
    took: Duration,
    ticks: u64,
    worst: Duration,
    failed: Vec<String>,
    recorded: usize,
}

fn run(workers: usize, pictures: &[(String, PathBuf)], out: &Path) -> Result<Run, BuildError> {
    let executor = Moirai::builder().worker_threads(workers).build()?;
    let (stop, worst) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clock = executor.spawn_async(clock(Arc::clone(&stop), Arc::clone(&worst)));
    let start = Instant::now();
    let tasks: Vec<_> = pictures
        .iter()
        .map(|(name, path)| {
            let (name, path, out) = (name.clone(), path.clone(), out.to_owned());
            let task = executor.task().name(name.clone()).tag("job", "thumbnail").fails_on_err();
            task.spawn_parallel(move || work(&name, &path, &out))
        })
        .collect();
    for task in tasks {
        // Why one has failed is on record.
        let _ = task.join();
    }
    let took = start.elapsed();
    stop.store(true, Ordering::Relaxed);
    let ticks = clock.join().unwrap_or_default();
    let records = executor.tasks_tagged("job", "thumbnail");
    let failed = records.iter().filter(|record| record.status == TaskStatus::Failed);
    let failed = failed
        .map(|record| {
            let name = record.name.as_deref().unwrap_or_default();
            format!("{name}: {}", record.error.as_deref().unwrap_or_default())
        })
        .collect();
    let worst = Duration::from_micros(worst.load(Ordering::Relaxed));
    Ok(Run { took, ticks, worst, failed, recorded: records.len() })
}

fn main() {
    if let Err(error) = thumbnails() {
        eprintln!("{error}");
        process::exit(1);
    }
}

fn thumbnails() -> Result<(), Box<dyn Error>> {
    let options = parse(env::args().skip(1)).unwrap_or_else(|error| {
        eprintln!("{error}\n\n{USAGE}");
        process::exit(2);
    });
    fs::create_dir_all(&options.out)
        .map_err(|error| format!("{}: {error}", options.out.display()))?;
    let pictures = collect(&options)?;
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{} pictures, {workers} workers", pictures.len());
    let one = run(1, &pictures, &options.out)?;
    let all = run(workers, &pictures, &options.out)?;
    for (workers, run) in [(1, &one), (workers, &all)] {
        println!(
            "with {workers}: {:.2?}; the clock ticked {} times beside it, {:.1?} apart at most",
            run.took, run.ticks, run.worst
        );
    }
    println!("speed-up {:.2}", one.took.as_secs_f64() / all.took.as_secs_f64());
    println!("{} of {} pictures are on record", all.recorded, pictures.len());
    println!("the thumbnails are in {}", options.out.display());
    if all.failed.is_empty() {
        return Ok(());
    }
    Err(format!("of the pictures, {} failed:\n  {}", all.failed.len(), all.failed.join("\n  "))
        .into())
}
