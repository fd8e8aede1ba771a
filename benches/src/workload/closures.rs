//! Closures on thread pools: Moirai's parallel tasks beside rayon, Forte, and a pool that consists of a channel and two threads.
//! The peers forget a closure as soon as it has run, except for the registry's `moirai-executor`.

use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Sender, unbounded};

use super::countdown::Ticket;
use super::group::{Case, Figure, Group, RAYON_ON_MOIRAI};
use super::spawn::from_outside;
use crate::peer::{Ours, workers};

const CLOSURES: usize = 10_000;

pub(super) fn groups() -> Vec<Group> {
    vec![Group {
        name: "closures_outside_10k",
        about: "spawn 10,000 closures from a thread that is not a worker, until the last has run",
        unit: "closure",
        units: CLOSURES as u64,
        rounds: 40,
        reach: None,
        figures: vec![
            Figure::median("rayon", 1.0, 1.0),
            Figure::median("crossbeam-channel pool", 1.0, 1.0),
            RAYON_ON_MOIRAI,
        ],
        cases: vec![
            Case {
                peer: "moirai",
                run: || {
                    wave(|ticket| drop(Ours::executor().spawn_parallel(move || ticket.count())))
                },
            },
            Case { peer: "rayon", run: || wave(|ticket| rayon().spawn(move || ticket.count())) },
            Case { peer: "crossbeam-channel pool", run: channel_pool_wave },
            #[cfg(feature = "origin")]
            Case {
                peer: crate::peer::Origin::NAME,
                run: || wave(|ticket| crate::peer::Origin::spawn_closure(move || ticket.count())),
            },
            #[cfg(feature = "forte")]
            Case {
                peer: "forte",
                run: || {
                    use crate::peer::{Forte, Peer};
                    Forte::start();
                    wave(|ticket| Forte::pool().spawn(move |_: &forte::Worker| ticket.count()))
                },
            },
        ],
    }]
}

/// Runs the closures on the pool that consists of a channel and some threads.
pub(super) fn channel_pool_wave() -> Duration {
    wave(|ticket| {
        let closure: Closure = Box::new(move || ticket.count());
        channel_pool().send(closure).expect("the pool's threads never end");
    })
}

/// Spawns all closures, and returns the time from the first spawn until the last closure has run.
pub(super) fn wave(spawn: impl Fn(Ticket)) -> Duration {
    from_outside(CLOSURES, spawn)
}

fn rayon() -> &'static rayon::ThreadPool {
    static POOL: OnceLock<rayon::ThreadPool> = OnceLock::new();
    POOL.get_or_init(|| {
        rayon::ThreadPoolBuilder::new().num_threads(workers()).build().expect("the pool starts")
    })
}

pub(super) type Closure = Box<dyn FnOnce() + Send>;

fn channel_pool() -> &'static Sender<Closure> {
    static POOL: OnceLock<Sender<Closure>> = OnceLock::new();
    POOL.get_or_init(|| {
        let (sender, receiver) = unbounded::<Closure>();
        for _ in 0..workers() {
            let receiver = receiver.clone();
            thread::spawn(move || receiver.iter().for_each(|closure| closure()));
        }
        sender
    })
}
