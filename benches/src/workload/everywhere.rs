//! What all workers do at once. The number of tasks is the same for any number of workers, so the time of one falls as workers are
//! added, as long as they do not stand in each other's way.

use std::hint::black_box;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::countdown::{Ticket, countdown};
use super::group::{Group, Workload, every_peer};
use super::spawn::wait;
use crate::peer::{Peer, workers};

/// The number of tasks of all workers together, about: each has as many fans, and a fan is not divided.
const TASKS: usize = 64_000;
/// The number of tasks that are spawned before they are awaited.
const FAN: usize = 64;

pub(super) fn groups() -> Vec<Group> {
    let group = |name, about, cases| Group {
        name,
        about,
        unit: "task",
        units: TASKS as u64,
        rounds: 20,
        reach: None,
        figures: Vec::new(),
        cases,
    };
    vec![
        group(
            "everywhere_chained",
            "one chain for each worker, in which a task spawns the next, 64,000 tasks together",
            every_peer::<Chains>(),
        ),
        group(
            "everywhere_await",
            "one task for each worker, which spawns a task and awaits it, 64,000 times together",
            every_peer::<Fans<1, 0>>(),
        ),
        group(
            "everywhere_fan_out",
            "one task for each worker, which spawns 64 tasks and awaits them, until there were about 64,000",
            every_peer::<Fans<FAN, 0>>(),
        ),
        group(
            "everywhere_fan_out_1us",
            "the same with tasks that compute for about a microsecond",
            every_peer::<Fans<FAN, 1_000>>(),
        ),
    ]
}

/// The number of tasks of a worker. It need not divide the number of all.
fn share() -> usize {
    TASKS.div_ceil(workers())
}

struct Chains;

impl Workload for Chains {
    fn run<P: Peer>() -> Duration {
        fn link<P: Peer>(left: usize, done: Ticket) {
            if left == 0 {
                done.count();
            } else {
                P::detach(P::spawn_inside(async move { link::<P>(left - 1, done) }));
            }
        }
        let (tickets, done) = countdown(workers());
        let start = Instant::now();
        for ticket in tickets {
            P::detach(P::spawn(async move { link::<P>(share(), ticket) }));
        }
        done.wait();
        start.elapsed()
    }
}

/// Tasks that spawn `FAN` tasks and await them, each of which does so many steps.
struct Fans<const FAN: usize, const STEPS: u64>;

impl<const FAN: usize, const STEPS: u64> Workload for Fans<FAN, STEPS> {
    fn run<P: Peer>() -> Duration {
        let (sender, done) = sync_channel(workers());
        let start = Instant::now();
        for _ in 0..workers() {
            P::detach(P::spawn(fans::<P, FAN, STEPS>(sender.clone())));
        }
        for _ in 0..workers() {
            wait(&done);
        }
        start.elapsed()
    }
}

async fn fans<P: Peer, const FAN: usize, const STEPS: u64>(done: SyncSender<()>) {
    let mut handles = Vec::with_capacity(FAN);
    for _ in 0..share().div_ceil(FAN) {
        handles
            .extend((0..FAN).map(|number| P::spawn_inside(async move { compute(number, STEPS) })));
        for handle in handles.drain(..) {
            black_box(P::join(handle).await);
        }
    }
    done.send(()).expect("the bench waits for all");
}

/// A step takes about a nanosecond.
fn compute(start: usize, steps: u64) -> u64 {
    (0..steps).fold(start as u64, |number, step| black_box(number.wrapping_mul(31) ^ step))
}
