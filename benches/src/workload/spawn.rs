//! Starting tasks: many from outside, many from inside of a task, one after the other, each awaited, and a chain in which each task
//! spawns the next.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::countdown::{Ticket, countdown};
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
        let run = || from_outside(10_000, |ticket| Origin::spawn(async move { ticket.count() }));
        cases.into_iter().chain([Case { peer: Origin::NAME, run }]).collect()
    };
    cases
}

pub(super) fn wait(done: &Receiver<()>) {
    done.recv().expect("the last task sends a message");
}

/// Spawns tasks on a thread that is not a worker, and returns the time from the first spawn until the last task has run.
pub(super) fn from_outside(tasks: usize, spawn: impl Fn(Ticket)) -> Duration {
    let (tickets, done) = countdown(tasks);
    let start = Instant::now();
    tickets.for_each(spawn);
    done.wait();
    start.elapsed()
}

pub(super) struct Outside<const N: usize>;

impl<const N: usize> Workload for Outside<N> {
    fn run<P: Peer>() -> Duration {
        from_outside(N, |ticket| P::detach(P::spawn(async move { ticket.count() })))
    }
}

pub(super) struct Inside<const N: usize>;

impl<const N: usize> Workload for Inside<N> {
    fn run<P: Peer>() -> Duration {
        let (tickets, done) = countdown(N);
        let start = Instant::now();
        P::detach(P::spawn(async move {
            for ticket in tickets {
                P::detach(P::spawn_inside(async move { ticket.count() }));
            }
        }));
        done.wait();
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
