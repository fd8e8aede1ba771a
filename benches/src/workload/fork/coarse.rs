//! One `join` of two closures that take microseconds, and scopes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::setup::{at_most, chili, in_rayon, inside, keep, outside, spin, time};
use crate::peer::workers;
use crate::workload::group::{Case, Group, RAYON_ON_MOIRAI};

const JOBS: u64 = 10_000;

/// A group in which a run is `$joins` joins, one after the other, of two closures of `$micros` microseconds each.
macro_rules! joins {
    ($name:literal, $micros:literal, $joins:literal) => {
        Group {
            name: $name,
            about: concat!("one join of two closures of ", $micros, " µs each, inside"),
            unit: "join",
            units: $joins,
            rounds: 25,
            reach: None,
            figures: vec![at_most("rayon", 1.05), RAYON_ON_MOIRAI],
            cases: vec![
                Case {
                    peer: "moirai",
                    run: || {
                        inside(|| {
                            repeat($joins, || keep(moirai::join(busy::<$micros>, busy::<$micros>)))
                        })
                    },
                },
                Case {
                    peer: "moirai, from outside",
                    run: || {
                        outside(|| {
                            repeat($joins, || keep(moirai::join(busy::<$micros>, busy::<$micros>)))
                        })
                    },
                },
                Case {
                    peer: "rayon",
                    run: || {
                        in_rayon(|| {
                            repeat($joins, || keep(rayon::join(busy::<$micros>, busy::<$micros>)))
                        })
                    },
                },
                Case {
                    peer: "chili",
                    run: || {
                        let scope = &mut chili(workers()).scope();
                        time(|| {
                            repeat($joins, || {
                                keep(scope.join(|_| busy::<$micros>(), |_| busy::<$micros>()));
                            });
                        })
                    },
                },
            ],
        }
    };
}

pub(super) fn groups() -> Vec<Group> {
    vec![
        joins!("fork_join_2us", 2, 1_000),
        joins!("fork_join_20us", 20, 100),
        joins!("fork_join_200us", 200, 20),
        Group {
            name: "fork_scope_10k",
            about: "a scope in which 10,000 closures are spawned that do next to nothing, inside",
            unit: "closure",
            units: JOBS,
            rounds: 25,
            reach: None,
            figures: vec![at_most("rayon", 0.6), RAYON_ON_MOIRAI],
            cases: vec![
                Case {
                    peer: "moirai",
                    run: || {
                        inside(|| {
                            let count = AtomicU64::new(0);
                            moirai::scope(|s| {
                                let count = &count;
                                (0..JOBS).for_each(|job| s.spawn(move |_| touch(count, job)));
                            });
                        })
                    },
                },
                Case {
                    peer: "rayon",
                    run: || {
                        in_rayon(|| {
                            let count = AtomicU64::new(0);
                            rayon::scope(|s| {
                                let count = &count;
                                (0..JOBS).for_each(|job| s.spawn(move |_| touch(count, job)));
                            });
                        })
                    },
                },
            ],
        },
    ]
}

fn repeat(times: u64, mut once: impl FnMut()) {
    (0..times).for_each(|_| once());
}

fn busy<const MICROS: u64>() {
    spin(Duration::from_micros(MICROS));
}

/// Does next to nothing. One job in a thousand writes to the count.
fn touch(count: &AtomicU64, job: u64) {
    if std::hint::black_box(job).is_multiple_of(1_000) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}
