//! Waiting for results.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::group::{Figure, Group, Workload, every_peer};
use crate::peer::Peer;

pub(super) fn groups() -> Vec<Group> {
    vec![
        Group {
            name: "join_inside_10k",
            about: "spawn 10,000 tasks from a task, then await all results",
            unit: "task",
            units: 10_000,
            rounds: 40,
            reach: None,
            figures: vec![Figure::median("tokio", 0.35, 0.50)],
            cases: every_peer::<Inside<10_000>>(),
        },
        Group {
            name: "join_outside_10k",
            about: "spawn 10,000 tasks from a thread that is not a worker, then wait there for all results",
            unit: "task",
            units: 10_000,
            rounds: 40,
            reach: None,
            figures: vec![Figure::median("tokio", 0.35, 0.50)],
            cases: every_peer::<Outside<10_000>>(),
        },
        Group {
            name: "join_one_outside",
            about: "spawn one task from a thread that is not a worker, and wait there for its result",
            unit: "task",
            units: 100,
            rounds: 60,
            reach: None,
            figures: vec![Figure::median("tokio", 0.35, 0.35)],
            cases: every_peer::<One>(),
        },
    ]
}

async fn spawn_and_join<P: Peer>(tasks: usize, spawn: fn(usize) -> P::Handle<usize>) -> usize {
    let handles: Vec<_> = (0..tasks).map(spawn).collect();
    let mut sum = 0;
    for handle in handles {
        sum += P::join(handle).await;
    }
    sum
}

struct Inside<const N: usize>;

impl<const N: usize> Workload for Inside<N> {
    fn run<P: Peer>() -> Duration {
        let task = P::spawn(async {
            let start = Instant::now();
            let sum = spawn_and_join::<P>(N, |number| P::spawn_inside(async move { number }));
            assert_eq!(sum.await, N * (N - 1) / 2);
            start.elapsed()
        });
        P::block_on(P::join(task))
    }
}

struct Outside<const N: usize>;

impl<const N: usize> Workload for Outside<N> {
    fn run<P: Peer>() -> Duration {
        let start = Instant::now();
        let sum = spawn_and_join::<P>(N, |number| P::spawn(async move { number }));
        assert_eq!(P::block_on(sum), N * (N - 1) / 2);
        start.elapsed()
    }
}

struct One;

impl Workload for One {
    fn run<P: Peer>() -> Duration {
        let start = Instant::now();
        for number in 0..100 {
            let task = P::spawn(async move { black_box(number) });
            assert_eq!(P::join_outside(task), number);
        }
        start.elapsed()
    }
}
