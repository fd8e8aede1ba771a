//! Numerical loops by `ndarray`, with its feature `rayon`. No sum of floating-point numbers depends on how the work is divided: the
//! outputs are the same, bit by bit, on any number of threads.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use ndarray::parallel::prelude::*;
use ndarray::{Array1, Array2, ArrayD, Axis, ShapeBuilder, Zip, s};

const USAGE: &str = "usage: arrays OUT";

fn write(out: &Path, name: &str, array: &ArrayD<f64>) -> Result<(), Box<dyn Error>> {
    let bytes: Vec<u8> = array.iter().flat_map(|value| value.to_le_bytes()).collect();
    fs::write(out.join(name), bytes)?;
    Ok(())
}

/// Heat that spreads on a plate: many short loops, one after the other, as in a simulation.
fn heat(steps: usize) -> Array2<f64> {
    const SIDE: usize = 300;
    let mut now = Array2::from_shape_fn((SIDE, SIDE), |(row, column)| {
        if (row / 30 + column / 30) % 2 == 0 { 1.0 } else { 0.0 }
    });
    let mut next = now.clone();
    for _ in 0..steps {
        Zip::from(next.slice_mut(s![1..SIDE - 1, 1..SIDE - 1]))
            .and(now.windows((3, 3)))
            .par_for_each(|new, old| {
                let around = old[[0, 1]] + old[[1, 0]] + old[[1, 2]] + old[[2, 1]];
                *new = old[[1, 1]] + 0.2 * (around - 4.0 * old[[1, 1]]);
            });
        std::mem::swap(&mut now, &mut next);
    }
    now
}

/// Element by element, on arrays of different layouts.
fn elements() -> Array2<f64> {
    const SIDE: usize = 1_500;
    let mut first = Array2::from_shape_fn((SIDE, SIDE), |(row, column)| {
        row as f64 * 0.001 + column as f64 * 0.002
    });
    let mut second = Array2::from_elem((SIDE, SIDE).f(), 0.5);
    for _ in 0..10 {
        first.par_mapv_inplace(f64::sin);
        second.par_map_inplace(|value| *value = *value * 0.9 + 0.1);
        par_azip!((a in &mut first, &b in second.t()) *a = (*a * b).exp() - b);
    }
    let mut product = Zip::from(&first).and(&second).par_map_collect(|&a, &b| a.hypot(b));
    Zip::from(&first)
        .and(second.t())
        .par_map_assign_into(product.view_mut().reversed_axes(), |&a, &b| a - b / 3.0);
    product
}

/// The product of two matrices, row by row.
fn product() -> Array2<f64> {
    const SIDE: usize = 256;
    let left = Array2::from_shape_fn((SIDE, SIDE), |(row, column)| ((row * column) as f64).sqrt());
    let right =
        Array2::from_shape_fn((SIDE, SIDE), |(row, column)| 1.0 / (1 + row + column) as f64);
    let mut product = Array2::zeros((SIDE, SIDE));
    let rows = product.axis_iter_mut(Axis(0)).into_par_iter();
    rows.zip(left.axis_iter(Axis(0))).for_each(|(mut row, left)| row.assign(&left.dot(&right)));
    product
}

/// Means of columns, each added up by one task, and running sums of chunks.
fn columns(plate: &Array2<f64>) -> Array1<f64> {
    let means: Vec<f64> = plate
        .axis_iter(Axis(1))
        .into_par_iter()
        .map(|column| column.sum() / column.len() as f64)
        .collect();
    let mut means = Array1::from_vec(means);
    means.axis_chunks_iter_mut(Axis(0), 7).into_par_iter().for_each(|mut chunk| {
        chunk.accumulate_axis_inplace(Axis(0), |&before, value| *value += before);
    });
    means
}

/// Counts, which are the same in any order.
fn counts(plate: &Array2<f64>) -> String {
    let warm: u64 = plate
        .axis_iter(Axis(0))
        .into_par_iter()
        .map(|row| row.iter().filter(|&&value| value > 0.5).count() as u64)
        .sum();
    let bits = Zip::indexed(plate).par_fold(
        || 0_u64,
        |bits, (row, column), value| {
            bits ^ value.to_bits().rotate_left((row * 7 + column) as u32 % 64)
        },
        |left, right| left ^ right,
    );
    format!("warm {warm}\nbits {bits:016x}\n")
}

fn run(out: &Path) -> Result<(), Box<dyn Error>> {
    println!("threads: {}", rayon::current_num_threads());
    fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
    let plate = heat(2_000);
    write(out, "heat", &plate.clone().into_dyn())?;
    write(out, "elements", &elements().into_dyn())?;
    write(out, "product", &product().into_dyn())?;
    write(out, "columns", &columns(&plate).into_dyn())?;
    fs::write(out.join("counts"), counts(&plate))?;
    Ok(())
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [out] = &arguments[..] else {
        eprintln!("{USAGE}");
        std::process::exit(2);
    };
    if let Err(error) = run(&PathBuf::from(out)) {
        eprintln!("{error}");
        std::process::exit(1);
    }
}
