//! The command line.

use std::path::PathBuf;

pub(crate) const USAGE: &str =
    "usage: mandelbrot [--width N] [--height N] [--workers N] [--out FILE]
Renders the Mandelbrot set as a PNG file, first on one thread, then in parallel while an async task ticks on the same workers.
--width N     width in pixels (default: 2400)
--height N    height in pixels (default: 1600)
--workers N   number of workers (default: 2)
--out FILE    the file to write (default: mandelbrot.png)";

#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) workers: usize,
    pub(crate) out: PathBuf,
}

impl Args {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args =
            Self { width: 2_400, height: 1_600, workers: 2, out: PathBuf::from("mandelbrot.png") };
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} needs a value"));
            match &*word {
                "--width" => args.width = number(&word, &value?, 20_000)?,
                "--height" => args.height = number(&word, &value?, 20_000)?,
                "--workers" => args.workers = number(&word, &value?, 4_096)?,
                "--out" => args.out = value?.into(),
                _ => return Err(format!("unknown argument {word:?}")),
            }
        }
        Ok(args)
    }
}

fn number(name: &str, text: &str, most: usize) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| format!("{name}: {text:?} is not a number from 1 to {most}"))
}
