//! Sorting. Moirai's sorts are called outside, and rayon's in `install`.

use std::sync::OnceLock;
use std::time::Duration;

use moirai::par::ParSlice;
use rayon::slice::ParallelSliceMut;

use super::setup::{at_most, in_rayon, outside, time};
use crate::workload::group::{Case, Group, RAYON_ON_MOIRAI};

const NUMBERS: u64 = 10_000_000;

pub(super) fn groups() -> Vec<Group> {
    vec![
        Group {
            name: "fork_sort_unstable_10m",
            about: "sort 10 million u64 in place, without keeping the order of equal ones",
            unit: "element",
            units: NUMBERS,
            rounds: 4,
            reach: None,
            figures: vec![at_most("rayon", 1.0), at_most("one thread alone", 1.0), RAYON_ON_MOIRAI],
            cases: vec![
                Case {
                    peer: "moirai",
                    run: || sort(|numbers| outside(|| ParSlice::par_sort_unstable(numbers))),
                },
                Case {
                    peer: "rayon",
                    run: || {
                        sort(|numbers| in_rayon(|| ParallelSliceMut::par_sort_unstable(numbers)))
                    },
                },
                Case {
                    peer: "one thread alone",
                    run: || sort(|numbers| time(|| numbers.sort_unstable())),
                },
            ],
        },
        Group {
            name: "fork_sort_10m",
            about: "sort 10 million u64, keeping the order of equal ones",
            unit: "element",
            units: NUMBERS,
            rounds: 4,
            reach: None,
            figures: vec![at_most("rayon", 1.0), at_most("one thread alone", 1.0), RAYON_ON_MOIRAI],
            cases: vec![
                Case {
                    peer: "moirai",
                    run: || sort(|numbers| outside(|| ParSlice::par_sort(numbers))),
                },
                Case {
                    peer: "rayon",
                    run: || sort(|numbers| in_rayon(|| ParallelSliceMut::par_sort(numbers))),
                },
                Case { peer: "one thread alone", run: || sort(|numbers| time(|| numbers.sort())) },
            ],
        },
    ]
}

/// Returns the time that a sort of numbers takes which look random. To copy them and to check the order is not part of the time.
fn sort(sort: impl FnOnce(&mut [u64]) -> Duration) -> Duration {
    static NUMBERS_ONCE: OnceLock<Vec<u64>> = OnceLock::new();
    let numbers = NUMBERS_ONCE.get_or_init(|| {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        (0..NUMBERS)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state
            })
            .collect()
    });
    let mut numbers = numbers.clone();
    let took = sort(&mut numbers);
    assert!(numbers.is_sorted());
    took
}
