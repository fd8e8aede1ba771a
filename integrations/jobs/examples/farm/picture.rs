//! One picture: a part of the Mandelbrot set.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::Path;

use serde::{Deserialize, Serialize};

const WIDTH: usize = 240;
const HEIGHT: usize = 180;
const LIMIT: u16 = 400;

/// Which part to draw.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Picture {
    pub(crate) number: u32,
    x: f64,
    y: f64,
    scale: f64,
}

impl Picture {
    /// The n-th picture of a walk along the edge of the set, where there is most to compute.
    pub(crate) fn new(number: u32) -> Self {
        let angle = f64::from(number) * 0.006;
        let (x, y) = (
            0.5 * angle.cos() - 0.25 * (2.0 * angle).cos(),
            0.5 * angle.sin() - 0.25 * (2.0 * angle).sin(),
        );
        Self { number, x, y, scale: 0.02 }
    }

    /// Draws it, rows side by side on the executor's workers.
    pub(crate) fn draw(&self) -> Vec<u8> {
        let mut pixels = vec![0; WIDTH * HEIGHT];
        self.rows(&mut pixels, 0);
        pixels
    }

    fn rows(&self, pixels: &mut [u8], first: usize) {
        let rows = pixels.len() / WIDTH;
        if rows > 8 {
            let (top, bottom) = pixels.split_at_mut(rows / 2 * WIDTH);
            moirai::join(|| self.rows(top, first), || self.rows(bottom, first + rows / 2));
            return;
        }
        for (index, pixel) in pixels.iter_mut().enumerate() {
            let (column, row) = (index % WIDTH, first + index / WIDTH);
            *pixel = self.steps(column, row);
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a picture has a few hundred rows")]
    fn steps(&self, column: usize, row: usize) -> u8 {
        let x = self.x + self.scale * (column as f64 / WIDTH as f64 - 0.5);
        let y = self.y + self.scale * (row as f64 / HEIGHT as f64 - 0.5);
        let (mut a, mut b, mut steps) = (0.0, 0.0, 0);
        while steps < LIMIT && a * a + b * b < 4.0 {
            (a, b) = (a * a - b * b + x, 2.0 * a * b + y);
            steps += 1;
        }
        u8::try_from(steps % 256).unwrap_or(0)
    }

    /// Writes it. A picture that is there already is replaced by the same one at once, so it does not matter how often this is done.
    pub(crate) fn save(&self, folder: &Path, pixels: &[u8]) -> io::Result<()> {
        let draft = folder.join(format!("{}.{}.draft", self.number, std::process::id()));
        let mut encoder =
            png::Encoder::new(BufWriter::new(File::create(&draft)?), WIDTH as u32, HEIGHT as u32);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.write_header()?.write_image_data(pixels)?;
        fs::rename(draft, folder.join(format!("{}.png", self.number)))
    }
}
