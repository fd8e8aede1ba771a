//! One `join` of two pieces that take microseconds, and scopes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::setup::{at_most, chili, in_rayon, inside, keep, outside, spin, time};
use crate::peer::WORKERS;
use crate::workload::group::{Case, Group};

const JOBS: u64 = 10_000;

/// A group of joins of two pieces of so many microseconds, so many in a row.
macro_rules! joins {
    ($name:literal, $micros:literal, $joins:literal) => {
        Group {
            name: $name,
            about: concat!("one join of two pieces of ", $micros, " us, inside"),
            unit: "join",
            units: $joins,
            rounds: 25,
            reach: None,
            figures: vec![at_most("rayon", 1.05)],
            cases: vec![
                Case {
                    peer: "moirai",
                    run: || {
                        inside(|| {
                            repeat($joins, || {
                                keep(moirai::join(piece::<$micros>, piece::<$micros>))
                            })
                        })
                    },
                },
                Case {
                    peer: "moirai, from outside",
                    run: || {
                        outside(|| {
                            repeat($joins, || {
                                keep(moirai::join(piece::<$micros>, piece::<$micros>))
                            })
                        })
                    },
                },
                Case {
                    peer: "rayon",
                    run: || {
                        in_rayon(|| {
                            repeat($joins, || keep(rayon::join(piece::<$micros>, piece::<$micros>)))
                        })
                    },
                },
                Case {
                    peer: "chili",
                    run: || {
                        let scope = &mut chili(WORKERS).scope();
                        time(|| {
                            repeat($joins, || {
                                keep(scope.join(|_| piece::<$micros>(), |_| piece::<$micros>()));
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
            about: "a scope in which 10,000 closures are spawned, inside",
            unit: "closure",
            units: JOBS,
            rounds: 25,
            reach: None,
            figures: vec![at_most("rayon", 0.6)],
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

fn piece<const MICROS: u64>() {
    spin(Duration::from_micros(MICROS));
}

/// Next to nothing, and one in a thousand leaves a trace.
fn touch(count: &AtomicU64, job: u64) {
    if std::hint::black_box(job).is_multiple_of(1_000) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}
