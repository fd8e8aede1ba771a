//! Loops over data. Moirai's are called outside, and rayon's in `install`.

use std::hint::black_box;
use std::sync::OnceLock;

use moirai::par::{Par, ParRef, ParSlice};
use rayon::prelude::*;

use super::setup::{at_most, in_rayon, keep, outside, time};
use crate::workload::group::{Case, Group, RAYON_ON_MOIRAI};

const NUMBERS: u64 = 10_000_000;
const BODIES: usize = 1_000;
const SIDE: usize = 512;

pub(super) fn groups() -> Vec<Group> {
    vec![
        Group {
            name: "fork_sum_1m",
            about: "sum 1 million u64 with a parallel iterator",
            unit: "element",
            units: NUMBERS / 10,
            rounds: 25,
            reach: None,
            figures: vec![at_most("rayon", 1.05), RAYON_ON_MOIRAI],
            cases: sums::<{ NUMBERS / 10 }>(),
        },
        Group {
            name: "fork_sum_10m",
            about: "sum 10 million u64 with a parallel iterator",
            unit: "element",
            units: NUMBERS,
            rounds: 20,
            reach: None,
            figures: vec![at_most("rayon", 1.05), RAYON_ON_MOIRAI],
            cases: sums::<NUMBERS>(),
        },
        Group {
            name: "fork_map_collect_10m",
            about: "map 10 million u64 into a new vector, in their order",
            unit: "element",
            units: NUMBERS,
            rounds: 12,
            reach: None,
            figures: vec![at_most("rayon", 1.05), RAYON_ON_MOIRAI],
            cases: vec![
                Case {
                    peer: "moirai",
                    run: || {
                        let numbers = numbers();
                        outside(|| keep(numbers.par_map(mapped)))
                    },
                },
                Case {
                    peer: "moirai, parallel iterator",
                    run: || {
                        let numbers = numbers();
                        outside(|| keep(numbers.par().map(mapped).collect::<Vec<u64>>()))
                    },
                },
                Case {
                    peer: "rayon",
                    run: || {
                        let numbers = numbers();
                        in_rayon(|| {
                            keep(numbers.par_iter().map(mapped).collect::<Vec<u64>>());
                        })
                    },
                },
                Case {
                    peer: "one thread alone",
                    run: || {
                        let numbers = numbers();
                        time(|| keep(numbers.iter().map(mapped).collect::<Vec<u64>>()))
                    },
                },
            ],
        },
        Group {
            name: "fork_nbody_1k",
            about: "compute the forces between 1,000 bodies",
            unit: "body",
            units: BODIES as u64,
            rounds: 25,
            reach: None,
            figures: vec![at_most("rayon", 1.05), RAYON_ON_MOIRAI],
            cases: vec![
                Case {
                    peer: "moirai",
                    run: || {
                        let bodies = bodies();
                        let mut forces = vec![[0.0; 3]; BODIES];
                        outside(|| {
                            forces.par_for_each_chunk_mut(1, |body, force| {
                                force[0] = pull(bodies, body)
                            });
                            black_box(&forces);
                        })
                    },
                },
                Case {
                    peer: "rayon",
                    run: || {
                        let bodies = bodies();
                        let mut forces = vec![[0.0; 3]; BODIES];
                        in_rayon(|| {
                            forces
                                .par_iter_mut()
                                .enumerate()
                                .for_each(|(body, force)| *force = pull(bodies, body));
                            black_box(&forces);
                        })
                    },
                },
                Case {
                    peer: "one thread alone",
                    run: || {
                        let bodies = bodies();
                        let mut forces = vec![[0.0; 3]; BODIES];
                        time(|| {
                            for (body, force) in forces.iter_mut().enumerate() {
                                *force = pull(bodies, body);
                            }
                            black_box(&forces);
                        })
                    },
                },
            ],
        },
        Group {
            name: "fork_matmul_512",
            about: "multiply two matrices of 512 by 512, row by row",
            unit: "row",
            units: SIDE as u64,
            rounds: 12,
            reach: None,
            figures: vec![at_most("rayon", 1.05), RAYON_ON_MOIRAI],
            cases: vec![
                Case {
                    peer: "moirai",
                    run: || {
                        let matrix = matrix();
                        let mut product = vec![0.0; SIDE * SIDE];
                        outside(|| {
                            product.par_for_each_chunk_mut(SIDE, |row, out| {
                                multiply(matrix, row, out)
                            });
                            black_box(&product);
                        })
                    },
                },
                Case {
                    peer: "rayon",
                    run: || {
                        let matrix = matrix();
                        let mut product = vec![0.0; SIDE * SIDE];
                        in_rayon(|| {
                            product
                                .par_chunks_mut(SIDE)
                                .enumerate()
                                .for_each(|(row, out)| multiply(matrix, row, out));
                            black_box(&product);
                        })
                    },
                },
                Case {
                    peer: "one thread alone",
                    run: || {
                        let matrix = matrix();
                        let mut product = vec![0.0; SIDE * SIDE];
                        time(|| {
                            for (row, out) in product.chunks_mut(SIDE).enumerate() {
                                multiply(matrix, row, out);
                            }
                            black_box(&product);
                        })
                    },
                },
            ],
        },
    ]
}

/// Returns the cases of a group that sums the first `N` of the numbers.
fn sums<const N: u64>() -> Vec<Case> {
    vec![
        Case {
            peer: "moirai",
            run: || {
                let numbers = first::<N>();
                outside(|| keep(numbers.par().copied().sum::<u64>()))
            },
        },
        Case {
            peer: "rayon",
            run: || {
                let numbers = first::<N>();
                in_rayon(|| keep(numbers.par_iter().copied().sum::<u64>()))
            },
        },
        Case {
            peer: "one thread alone",
            run: || {
                let numbers = first::<N>();
                time(|| keep(numbers.iter().copied().sum::<u64>()))
            },
        },
    ]
}

fn numbers() -> &'static Vec<u64> {
    first::<NUMBERS>()
}

/// Returns the first `N` numbers, which are either all or a tenth of them.
fn first<const N: u64>() -> &'static Vec<u64> {
    static NUMBERS_ONCE: [OnceLock<Vec<u64>>; 2] = [const { OnceLock::new() }; 2];
    NUMBERS_ONCE[usize::from(N == NUMBERS)].get_or_init(|| (0..N).collect())
}

fn mapped(n: &u64) -> u64 {
    n.wrapping_mul(3) ^ 7
}

fn bodies() -> &'static [[f64; 3]] {
    static BODIES_ONCE: OnceLock<Vec<[f64; 3]>> = OnceLock::new();
    BODIES_ONCE.get_or_init(|| {
        (0..BODIES).map(|n| [n as f64, (n * 7 % 101) as f64, (n * 13 % 97) as f64]).collect()
    })
}

/// Returns the force of all bodies on one of them.
fn pull(bodies: &[[f64; 3]], body: usize) -> [f64; 3] {
    let here = bodies[body];
    let mut force = [0.0; 3];
    for there in bodies {
        let way = [there[0] - here[0], there[1] - here[1], there[2] - here[2]];
        let square = way[0] * way[0] + way[1] * way[1] + way[2] * way[2] + 0.01;
        let strength = 1.0 / (square * square.sqrt());
        for axis in 0..3 {
            force[axis] += way[axis] * strength;
        }
    }
    force
}

fn matrix() -> &'static [f64] {
    static MATRIX: OnceLock<Vec<f64>> = OnceLock::new();
    MATRIX.get_or_init(|| (0..SIDE * SIDE).map(|n| (n % 17) as f64).collect())
}

/// Computes one row of the matrix multiplied by itself.
fn multiply(matrix: &[f64], row: usize, out: &mut [f64]) {
    for (column, factor) in matrix[row * SIDE..(row + 1) * SIDE].iter().enumerate() {
        let other = &matrix[column * SIDE..(column + 1) * SIDE];
        for (sum, value) in out.iter_mut().zip(other) {
            *sum += factor * value;
        }
    }
}
