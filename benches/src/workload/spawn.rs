//! Starting tasks: many from outside, many from inside of a task, one after the other, each awaited, and a chain in which each task
//! spawns the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::group::{Case, Figure, Group, Workload, every_peer};
use crate::peer::Peer;

pub(super) fn groups() -> Vec<Group> {
    vec![
        Group {
            name: "spawn_outside_10k",
            about: "spawn 10,000 tasks from a thread that is not a worker, until the last has run",
            unit: "task",
            units: 10_000,
            rounds: 40,
            reach: None,
            figures: vec![Figure::median("tokio", 0.38, 0.50)],
            cases: outside_10k(),
        },
        Group {
            name: "spawn_inside_10k",
            about: "spawn 10,000 tasks from a task, until the last has run",
            unit: "task",
            units: 10_000,
            rounds: 40,
            reach: None,
            figures: vec![Figure::median("tokio", 0.33, 0.50)],
            cases: every_peer::<Inside<10_000>>(),
        },
        Group {
            name: "spawn_await_1k",
            about: "spawn a task and await it, 1,000 times, from a task",
            unit: "task",
            units: 1_000,
            rounds: 60,
            reach: None,
            figures: vec![Figure::median("tokio", 0.55, 0.65)],
            cases: every_peer::<AwaitEach<1_000>>(),
        },
        Group {
            name: "chained_spawn_1k",
            about: "a task that spawns a task that spawns a task, 1,000 times",
            unit: "task",
            units: 1_000,
            rounds: 60,
            reach: None,
            figures: vec![Figure::median("tokio", 0.50, 0.60)],
            cases: every_peer::<Chained<1_000>>(),
        },
        // This is the last group, because it leaves the allocator's memory fragmented.
        Group {
            name: "spawn_outside_1m",
            about: "spawn 1,000,000 tasks from a thread that is not a worker, until the last has run",
            unit: "task",
            units: 1_000_000,
            rounds: 4,
            reach: None,
            figures: vec![Figure::median("tokio", 0.38, 0.50)],
            cases: every_peer::<Outside<1_000_000>>(),
        },
    ]
}

fn outside_10k() -> Vec<Case> {
    let cases = every_peer::<Outside<10_000>>();
    #[cfg(feature = "origin")]
    let cases = {
        use crate::peer::Origin;
        let run =
            || from_outside(10_000, |countdown| Origin::spawn(async move { countdown.count() }));
        cases.into_iter().chain([Case { peer: Origin::NAME, run }]).collect()
    };
    cases
}

/// Counts tasks down, and sends a message when the last has run.
#[derive(Clone)]
pub(super) struct Countdown {
    left: Arc<AtomicUsize>,
    done: SyncSender<()>,
}

impl Countdown {
    pub(super) fn new(tasks: usize) -> (Self, Receiver<()>) {
        let (done, receiver) = sync_channel(1);
        (Self { left: Arc::new(AtomicUsize::new(tasks)), done }, receiver)
    }

    pub(super) fn count(&self) {
        // Ordering: AcqRel pairs with itself: the Acquire of the last task's `fetch_sub` sees the Release of all others, so all of
        // them have run when the message is sent.
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.send(()).expect("the bench waits for the last task");
        }
    }
}

pub(super) fn wait(done: &Receiver<()>) {
    done.recv().expect("the last task sends a message");
}

/// Spawns tasks on a thread that is not a worker, and returns the time from the first spawn until the last task has run.
pub(super) fn from_outside(tasks: usize, spawn: impl Fn(Countdown)) -> Duration {
    let (countdown, done) = Countdown::new(tasks);
    let start = Instant::now();
    for _ in 0..tasks {
        spawn(countdown.clone());
    }
    wait(&done);
    start.elapsed()
}

pub(super) struct Outside<const N: usize>;

impl<const N: usize> Workload for Outside<N> {
    fn run<P: Peer>() -> Duration {
        from_outside(N, |countdown| P::detach(P::spawn(async move { countdown.count() })))
    }
}

pub(super) struct Inside<const N: usize>;

impl<const N: usize> Workload for Inside<N> {
    fn run<P: Peer>() -> Duration {
        let (countdown, done) = Countdown::new(N);
        let start = Instant::now();
        P::detach(P::spawn(async move {
            for _ in 0..N {
                let countdown = countdown.clone();
                P::detach(P::spawn_inside(async move { countdown.count() }));
            }
        }));
        wait(&done);
        start.elapsed()
    }
}

struct AwaitEach<const N: usize>;

impl<const N: usize> Workload for AwaitEach<N> {
    fn run<P: Peer>() -> Duration {
        let task = P::spawn(async {
            let start = Instant::now();
            for number in 0..N {
                let result = P::join(P::spawn_inside(async move { number })).await;
                assert_eq!(result, number);
            }
            start.elapsed()
        });
        P::block_on(P::join(task))
    }
}

struct Chained<const N: usize>;

impl<const N: usize> Workload for Chained<N> {
    fn run<P: Peer>() -> Duration {
        fn link<P: Peer>(left: usize, done: SyncSender<()>) {
            if left == 0 {
                done.send(()).expect("the bench waits for the last task");
            } else {
                P::detach(P::spawn_inside(async move { link::<P>(left - 1, done) }));
            }
        }
        let (sender, done) = sync_channel(1);
        let start = Instant::now();
        P::detach(P::spawn(async move { link::<P>(N, sender) }));
        wait(&done);
        start.elapsed()
    }
}
