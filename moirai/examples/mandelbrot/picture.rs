//! The picture, and how it is rendered.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

use moirai::par::ParSlice;

const ITERATIONS: u32 = 600;

/// Shades of grey, row by row.
#[derive(PartialEq, Eq)]
pub(crate) struct Picture {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Picture {
    pub(crate) fn new((width, height): (usize, usize)) -> Self {
        Self { width, height, pixels: vec![0; width * height] }
    }

    /// Renders on the calling thread. Calls `row_done` after each row.
    pub(crate) fn render_alone(&mut self, row_done: impl Fn()) {
        let size = (self.width, self.height);
        for (row, pixels) in self.pixels.chunks_mut(self.width).enumerate() {
            render_row(size, row, pixels);
            row_done();
        }
    }

    /// Renders in parallel. Calls `row_done` after each row. The times of the rows differ widely.
    pub(crate) fn render(&mut self, row_done: impl Fn() + Sync) {
        let size = (self.width, self.height);
        self.pixels.par_for_each_chunk_mut(self.width, |row, pixels| {
            render_row(size, row, pixels);
            row_done();
        });
    }

    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let wide = |length: usize| u32::try_from(length).map_err(io::Error::other);
        let file = BufWriter::new(File::create(path)?);
        let mut encoder = png::Encoder::new(file, wide(self.width)?, wide(self.height)?);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.pixels)?;
        Ok(writer.finish()?)
    }
}

fn render_row((width, height): (usize, usize), row: usize, pixels: &mut [u8]) {
    let scale = 3.0 / width as f64;
    let y = (row as f64 - height as f64 / 2.0) * scale;
    for (column, pixel) in pixels.iter_mut().enumerate() {
        let x = column as f64 * scale - 2.2;
        let steps = escape(x, y);
        *pixel = if steps == ITERATIONS { 0 } else { 255 - (steps * 4 % 256) as u8 };
    }
}

/// Returns the number of steps after which a point leaves the circle of radius two, or `ITERATIONS` if it stays inside for so long.
fn escape(x: f64, y: f64) -> u32 {
    let (mut re, mut im) = (0.0, 0.0);
    for step in 0..ITERATIONS {
        let (re2, im2) = (re * re, im * im);
        if re2 + im2 > 4.0 {
            return step;
        }
        im = 2.0 * re * im + y;
        re = re2 - im2 + x;
    }
    ITERATIONS
}
