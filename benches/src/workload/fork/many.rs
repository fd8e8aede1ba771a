//! Many small calls, one after the other or inside of each other.

use std::hint::black_box;
use std::sync::OnceLock;
use std::time::Duration;

use moirai::par::{Par, ParRef};
use rayon::prelude::*;

use super::setup::{at_most, heavy, in_rayon, inside, keep, rayon, time};
use crate::peer::{Ours, workers};
use crate::workload::group::{Case, Group, RAYON_ON_MOIRAI};

const INSTALLS: u64 = 1_000;
const ROWS: u64 = 1_000;
/// The number of elements in a row.
const COLUMNS: u64 = 64;

pub(super) fn groups() -> Vec<Group> {
    vec![
        Group {
            name: "fork_install_1k",
            about: "call a closure that does nothing on a worker, from a thread that is not one, 1,000 times",
            unit: "call",
            units: INSTALLS,
            rounds: 25,
            reach: None,
            figures: vec![at_most("rayon", 1.0), RAYON_ON_MOIRAI],
            cases: vec![
                Case {
                    peer: "moirai",
                    run: || {
                        let executor = Ours::executor();
                        installs(|n| executor.install(|| black_box(n)))
                    },
                },
                Case {
                    peer: "rayon",
                    run: || {
                        let pool = rayon(workers());
                        installs(|n| pool.install(|| black_box(n)))
                    },
                },
            ],
        },
        Group {
            name: "fork_nested_1k",
            about: "map and sum 1,000 rows of 64 elements, with a parallel iterator over the rows and one in each row, inside",
            unit: "row",
            units: ROWS,
            rounds: 25,
            reach: None,
            figures: vec![at_most("rayon", 1.0), RAYON_ON_MOIRAI],
            cases: vec![
                Case {
                    peer: "moirai",
                    run: || {
                        let rows = rows();
                        inside(|| {
                            let sum = |row: &Row| row.par().map(|n| heavy(*n)).sum::<u64>();
                            keep(rows.par().map(sum).sum::<u64>());
                        })
                    },
                },
                Case {
                    peer: "rayon",
                    run: || {
                        let rows = rows();
                        in_rayon(|| {
                            let sum = |row: &Row| row.par_iter().map(|n| heavy(*n)).sum::<u64>();
                            keep(rows.par_iter().map(sum).sum::<u64>());
                        })
                    },
                },
                Case {
                    peer: "one thread alone",
                    run: || {
                        let rows = rows();
                        let sum = |row: &Row| row.iter().map(|n| heavy(*n)).sum::<u64>();
                        time(|| keep(rows.iter().map(sum).sum::<u64>()))
                    },
                },
            ],
        },
    ]
}

fn installs(install: impl Fn(u64) -> u64) -> Duration {
    time(|| {
        for n in 0..INSTALLS {
            assert_eq!(install(n), n);
        }
    })
}

type Row = Vec<u64>;

fn rows() -> &'static Vec<Row> {
    static ROWS_ONCE: OnceLock<Vec<Row>> = OnceLock::new();
    ROWS_ONCE.get_or_init(|| (0..ROWS).map(|row| (row..row + COLUMNS).collect()).collect())
}
