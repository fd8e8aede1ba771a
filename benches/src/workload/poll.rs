//! Tasks that are polled again and again.

use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::countdown::countdown;
use super::group::{Figure, Group, Workload, every_peer};
use super::spawn::wait;
use crate::peer::Peer;

const YIELDERS: usize = 200;
const YIELDS: usize = 1_000;
const PAIRS: usize = 1_000;

pub(super) fn groups() -> Vec<Group> {
    vec![
        Group {
            name: "yield_many",
            about: "200 tasks that yield 1,000 times each",
            unit: "yield",
            units: (YIELDERS * YIELDS) as u64,
            rounds: 20,
            reach: None,
            figures: vec![Figure::median("tokio", 0.90, 0.90)],
            cases: every_peer::<YieldMany>(),
        },
        Group {
            name: "ping_pong",
            about: "1,000 tasks that each spawn a partner, send it a message and await its answer",
            unit: "pair",
            units: PAIRS as u64,
            rounds: 60,
            reach: None,
            figures: vec![Figure::median("tokio", 0.60, 0.60)],
            cases: every_peer::<PingPong>(),
        },
    ]
}

pub(super) struct YieldMany;

impl Workload for YieldMany {
    fn run<P: Peer>() -> Duration {
        let (sender, done) = sync_channel(YIELDERS);
        let start = Instant::now();
        for _ in 0..YIELDERS {
            let sender = sender.clone();
            P::detach(P::spawn(async move {
                for _ in 0..YIELDS {
                    P::yield_now().await;
                }
                sender.send(()).expect("the bench waits for every task");
            }));
        }
        for _ in 0..YIELDERS {
            wait(&done);
        }
        start.elapsed()
    }
}

/// The channel is tokio's for all peers: it works in any executor.
pub(super) struct PingPong;

impl Workload for PingPong {
    fn run<P: Peer>() -> Duration {
        let (tickets, done) = countdown(PAIRS);
        let start = Instant::now();
        P::detach(P::spawn(async move {
            for ticket in tickets {
                P::detach(P::spawn_inside(async move {
                    let (ping, pinged) = oneshot::channel();
                    let (pong, ponged) = oneshot::channel();
                    P::detach(P::spawn_inside(async move {
                        pinged.await.expect("the partner pings");
                        pong.send(()).expect("the partner waits for the answer");
                    }));
                    ping.send(()).expect("the partner waits for the ping");
                    ponged.await.expect("the partner answers");
                    ticket.count();
                }));
            }
        }));
        done.wait();
        start.elapsed()
    }
}
