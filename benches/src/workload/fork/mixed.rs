//! Fork-join work beside async tasks.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use moirai::par::{Par, ParSlice};

use super::setup::{at_most, inside};
use crate::peer::Ours;
use crate::workload::group::{Case, Group};

/// The number of async tasks, which wake each other in pairs.
const TASKS: usize = 1_000;

pub(super) fn groups() -> Vec<Group> {
    vec![Group {
        name: "fork_beside_async",
        about: "a recursion, a sort and a loop inside, while 1,000 async tasks play ping-pong",
        unit: "run",
        units: 1,
        rounds: 12,
        reach: None,
        figures: vec![at_most("moirai alone", 1.15)],
        cases: vec![
            Case { peer: "moirai", run: || beside_ping_pong(|| inside(work)) },
            Case { peer: "moirai alone", run: || inside(work) },
        ],
    }]
}

fn work() {
    fn fibonacci(n: u32) -> u64 {
        if n < 2 {
            return n.into();
        }
        let (a, b) = moirai::join(|| fibonacci(n - 1), || fibonacci(n - 2));
        a + b
    }
    black_box(fibonacci(30));
    let mut numbers: Vec<u64> = (0..1_000_000).map(|n: u64| n.wrapping_mul(0x9e37_79b9)).collect();
    numbers.par_sort_unstable();
    use moirai::par::ParRef;
    black_box(numbers.par().map(|n| n ^ 7).sum::<u64>());
}

/// Runs `f` while the tasks play ping-pong, and returns the time of `f`.
fn beside_ping_pong(f: impl FnOnce() -> Duration) -> Duration {
    let stop = Arc::new(AtomicBool::new(false));
    let executor = Ours::executor();
    let tasks: Vec<_> = (0..TASKS / 2)
        .flat_map(|_| {
            let (ping, pinged) = async_channel::bounded::<()>(1);
            let (pong, ponged) = async_channel::bounded::<()>(1);
            let stop = Arc::clone(&stop);
            let first = executor.spawn_async(async move {
                while !stop.load(Ordering::Relaxed) {
                    let sent = ping.send(()).await;
                    if sent.is_err() || ponged.recv().await.is_err() {
                        return;
                    }
                }
            });
            let second = executor.spawn_async(async move {
                while pinged.recv().await.is_ok() && pong.send(()).await.is_ok() {}
            });
            [first, second]
        })
        .collect();
    let took = f();
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        executor.block_on(task).expect("it does not panic");
    }
    took
}
