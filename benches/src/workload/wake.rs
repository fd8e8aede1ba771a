//! From the wake-up of a task, in an executor that has been idle, to its poll.

use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::group::{Figure, Group, Workload, every_peer};
use crate::peer::Peer;

/// How long nothing happens before the wake-up.
const IDLE: Duration = Duration::from_millis(1);

/// The 99th percentile: late wake-ups count, too.
const LATE: Figure = Figure { percentile: 0.99, ..Figure::median("tokio", 0.90, 0.90) };

pub(super) fn groups() -> Vec<Group> {
    vec![Group {
        name: "wake_up_after_idle",
        about: "wake a task from a thread that is not a worker, after 1 ms in which nothing happened, until the task is polled",
        unit: "wake-up",
        units: 1,
        rounds: 700,
        reach: None,
        figures: vec![Figure::median("tokio", 0.90, 0.90), LATE],
        cases: every_peer::<WakeUp>(),
    }]
}

struct WakeUp;

impl Workload for WakeUp {
    fn run<P: Peer>() -> Duration {
        let (sender, receiver) = oneshot::channel::<Instant>();
        let task = P::spawn(async move { receiver.await.expect("the bench wakes").elapsed() });
        thread::sleep(IDLE);
        sender.send(Instant::now()).expect("the task waits");
        P::block_on(P::join(task))
    }
}
