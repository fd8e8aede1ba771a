//! What a pipeline of thumbnails does, by the crates `image` and `rayon`: the pictures are worked on in parallel, and inside of that are
//! loops over pixels, and EXR files, for each of which `exr` starts a pool of its own.

use std::error::Error;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage, Rgba32FImage, RgbaImage};
use rayon::prelude::*;

const USAGE: &str = "usage: pictures OUT [--only-drawings]";
const PICTURES: u32 = 16;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Draws a picture that no two numbers have in common: waves, discs, and noise, so that filters and encoders have something to do.
fn draw(number: u32) -> RgbImage {
    let (width, height) = (640 + number * 17, 480 + number * 11);
    RgbImage::from_par_fn(width, height, |x, y| {
        let wave = |a: u32, b: u32| ((x * a + y * b) / (number + 3) % 256) as u8;
        let (dx, dy) = (x.abs_diff(width / 2), y.abs_diff(height / 2));
        let mut noise = (x * 73_856_093) ^ (y * 19_349_663) ^ (number * 83_492_791);
        noise = (noise ^ (noise >> 13)).wrapping_mul(0x5bd1_e995) >> 28;
        if (dx * dx + dy * dy) / 4_000 % 2 == 0 {
            Rgb([wave(3, 1), wave(1, 2), wave(2, 5)])
        } else {
            Rgb([40 + noise as u8, 90, 200 - (x / 4 % 64) as u8])
        }
    })
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Result<Vec<u8>> {
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format)?;
    Ok(file.into_inner())
}

/// A thumbnail as JPEG, and what that file looks like.
fn thumbnail(drawing: &[u8], out: &Path, number: u32) -> Result<()> {
    let picture = image::load_from_memory_with_format(drawing, ImageFormat::Png)?;
    let small = picture.resize(160, 160, FilterType::Lanczos3);
    let file = encoded(&DynamicImage::ImageRgb8(small.to_rgb8()), ImageFormat::Jpeg)?;
    let seen = image::load_from_memory_with_format(&file, ImageFormat::Jpeg)?;
    fs::write(out.join(format!("thumbnail-{number:02}.jpeg")), &file)?;
    fs::write(out.join(format!("seen-{number:02}.png")), encoded(&seen, ImageFormat::Png)?)?;
    Ok(())
}

/// The picture, blurred where it is dark, by a loop over the pixels of both.
fn glow(drawing: &[u8], out: &Path, number: u32) -> Result<()> {
    let picture = image::load_from_memory_with_format(drawing, ImageFormat::Png)?.to_rgba8();
    let mut glowing: RgbaImage = imageops::blur(&picture, 3.0);
    glowing.par_pixels_mut().zip(picture.par_pixels()).for_each(|(new, old)| {
        let light = old.0[..3].iter().map(|&channel| u32::from(channel)).sum::<u32>() / 3;
        for (new, &old) in new.0.iter_mut().zip(&old.0) {
            *new = ((u32::from(*new) * (255 - light) + u32::from(old) * light) / 255) as u8;
        }
    });
    let file = encoded(&DynamicImage::ImageRgba8(glowing), ImageFormat::Png)?;
    fs::write(out.join(format!("glow-{number:02}.png")), file)?;
    Ok(())
}

/// The picture as EXR, which is compressed and decompressed block by block in a pool. The file is not among the outputs: it has the
/// blocks in the order in which they were done, which is not the same twice, with any pool.
fn light(drawing: &[u8], out: &Path, number: u32) -> Result<()> {
    let mut picture = image::load_from_memory_with_format(drawing, ImageFormat::Png)?.to_rgba32f();
    picture.par_pixels_mut().for_each(|pixel| {
        for channel in &mut pixel.0[..3] {
            *channel *= *channel;
        }
    });
    let file = encoded(&DynamicImage::ImageRgba32F(picture.clone()), ImageFormat::OpenExr)?;
    let again = image::load_from_memory_with_format(&file, ImageFormat::OpenExr)?;
    let again: Rgba32FImage = again.into_rgba32f();
    if again != picture {
        return Err(format!("EXR has changed picture {number}").into());
    }
    let again = DynamicImage::ImageRgb16(DynamicImage::ImageRgba32F(again).to_rgb16());
    fs::write(out.join(format!("light-{number:02}.png")), encoded(&again, ImageFormat::Png)?)?;
    Ok(())
}

fn run(out: &Path, only_drawings: bool) -> Result<()> {
    println!("threads: {}", rayon::current_num_threads());
    fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
    let drawings: Vec<(u32, Vec<u8>)> = (0..PICTURES)
        .into_par_iter()
        .map(|number| {
            let file = encoded(&DynamicImage::ImageRgb8(draw(number)), ImageFormat::Png)?;
            fs::write(out.join(format!("drawing-{number:02}.png")), &file)?;
            Ok((number, file))
        })
        .collect::<Result<_>>()?;
    if only_drawings {
        return Ok(());
    }
    drawings.par_iter().try_for_each(|(number, drawing)| {
        let (small, large) =
            rayon::join(|| thumbnail(drawing, out, *number), || glow(drawing, out, *number));
        small.and(large)
    })?;
    // In parallel, so that workers wait for pools; then one by one, from a thread that is no worker.
    let (inside, outside) = drawings.split_at(drawings.len() / 2);
    inside.par_iter().try_for_each(|(number, drawing)| light(drawing, out, *number))?;
    outside.iter().try_for_each(|(number, drawing)| light(drawing, out, *number))
}

fn main() {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let drawings = arguments.iter().position(|argument| argument == "--only-drawings");
    let only_drawings = drawings.map(|place| arguments.remove(place)).is_some();
    let [out] = &arguments[..] else {
        eprintln!("{USAGE}");
        std::process::exit(2);
    };
    if let Err(error) = run(&PathBuf::from(out), only_drawings) {
        eprintln!("{error}");
        std::process::exit(1);
    }
}
