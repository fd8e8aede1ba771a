//! Timers, and tasks that go on while every worker is stuck. The only peer is tokio, with its time driver.

use std::future::Future;
use std::hint::{black_box, spin_loop};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

use super::group::{Case, Figure, Group};
use crate::peer::{Ours, Peer, Tokio, workers};

/// The number of timers that are pending all the time.
const PENDING: usize = 1_000_000;
/// The number of timers that are added and cancelled in a run.
const TIMERS: usize = 100_000;
/// The number of tasks that sleep again and again under load.
const SLEEPERS: usize = 200;
/// How often each of them sleeps.
const SLEEPS: usize = 10;
/// How long the workers are stuck.
const STUCK: Duration = Duration::from_millis(200);

pub(super) fn groups() -> Vec<Group> {
    vec![
        Group {
            name: "timer_add",
            about: "create a timer and poll it once, while a million others are pending",
            unit: "timer",
            units: TIMERS as u64,
            rounds: 12,
            reach: Some(150.0),
            figures: vec![Figure::median("tokio", 1.0, 1.0)],
            cases: vec![
                Case { peer: "moirai", run: || add_and_cancel::<Ours>(false).0 },
                Case { peer: "tokio", run: || add_and_cancel::<Tokio>(false).0 },
            ],
        },
        Group {
            name: "timer_cancel",
            about: "drop such a timer, in the order in which they were created",
            unit: "timer",
            units: TIMERS as u64,
            rounds: 12,
            reach: Some(150.0),
            figures: vec![Figure::median("tokio", 1.0, 1.0)],
            cases: vec![
                Case { peer: "moirai", run: || add_and_cancel::<Ours>(false).1 },
                Case { peer: "tokio", run: || add_and_cancel::<Tokio>(false).1 },
            ],
        },
        Group {
            name: "timer_shuffled",
            about: "drop such a timer, in a shuffled order",
            unit: "timer",
            units: TIMERS as u64,
            rounds: 12,
            reach: None,
            figures: vec![Figure::median("tokio", 1.0, 1.0)],
            cases: vec![
                Case { peer: "moirai", run: || add_and_cancel::<Ours>(true).1 },
                Case { peer: "tokio", run: || add_and_cancel::<Tokio>(true).1 },
            ],
        },
        Group {
            name: "timer_late",
            about: "how late sleeps of 1 to 20 ms end while the workers run tasks that yield every 20 µs: 99th percentile of 2,000 sleeps",
            unit: "run",
            units: 1,
            rounds: 10,
            reach: Some(2_000_000.0),
            figures: vec![Figure::median("tokio", 1.0, 1.0)],
            cases: vec![
                Case { peer: "moirai", run: late::<Ours> },
                Case { peer: "tokio", run: late::<Tokio> },
            ],
        },
        Group {
            name: "stuck_echo",
            about: "all workers sleep for 200 ms in tasks that do not announce it: the longest time until a task receives a message sent meanwhile",
            unit: "run",
            units: 1,
            rounds: 6,
            reach: Some(50_000_000.0),
            figures: vec![Figure::median("tokio", 0.25, 0.25)],
            cases: vec![
                Case { peer: "moirai", run: echo_while_stuck::<Ours> },
                Case { peer: "tokio", run: echo_while_stuck::<Tokio> },
            ],
        },
    ]
}

/// An executor with timers.
trait Timed: Peer {
    type Sleep: Future<Output = ()> + Send;

    /// Returns a future that waits.
    fn sleep(duration: Duration) -> Self::Sleep;

    /// Calls `f` where timers can be created.
    fn inside<R>(f: impl FnOnce() -> R) -> R;

    /// Spawns a task in which timers can be created.
    fn go(future: impl Future<Output = ()> + Send + 'static);
}

impl Timed for Ours {
    type Sleep = moirai::time::Sleep;

    fn sleep(duration: Duration) -> Self::Sleep {
        moirai::time::sleep(duration)
    }

    fn inside<R>(f: impl FnOnce() -> R) -> R {
        f()
    }

    fn go(future: impl Future<Output = ()> + Send + 'static) {
        Self::detach(Self::spawn(future));
    }
}

/// Returns a tokio runtime with a time driver.
fn timed_tokio() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(workers()).enable_time().build().expect("the runtime starts")
    })
}

impl Timed for Tokio {
    type Sleep = tokio::time::Sleep;

    fn sleep(duration: Duration) -> Self::Sleep {
        tokio::time::sleep(duration)
    }

    fn inside<R>(f: impl FnOnce() -> R) -> R {
        let _guard = timed_tokio().enter();
        f()
    }

    fn go(future: impl Future<Output = ()> + Send + 'static) {
        drop(timed_tokio().spawn(future));
    }
}

/// Returns a number for each `i` that is far from those of its neighbours.
fn spread(i: usize) -> u64 {
    (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20
}

/// Returns a timer that has been polled once, and does not fire during the benchmark.
fn made<P: Timed>(i: usize) -> Pin<Box<P::Sleep>> {
    // Between a minute and an hour, so that none fires during a run.
    let millis = 60_000 + spread(i) % 3_540_000;
    let mut sleep = Box::pin(P::sleep(Duration::from_millis(millis)));
    let pending = sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending();
    assert!(black_box(pending), "a minute has not passed");
    sleep
}

/// Returns how long it takes to add `TIMERS` timers, and to cancel them.
fn add_and_cancel<P: Timed>(shuffled: bool) -> (Duration, Duration) {
    P::start();
    P::inside(|| {
        // Each peer has its million pending timers from its first run on. They are never dropped.
        static STARTED: Mutex<Vec<&str>> = Mutex::new(Vec::new());
        let mut started = STARTED.lock().expect("no thread panics while it holds the lock");
        if !started.contains(&P::NAME) {
            started.push(P::NAME);
            std::mem::forget((0..PENDING).map(made::<P>).collect::<Vec<_>>());
        }
        drop(started);
        let mut timers = Vec::with_capacity(TIMERS);
        let start = Instant::now();
        timers.extend((0..TIMERS).map(made::<P>));
        let added = start.elapsed();
        let mut order: Vec<_> = (0..TIMERS).collect();
        if shuffled {
            order.sort_unstable_by_key(|i| spread(*i));
        }
        let mut timers: Vec<_> = timers.into_iter().map(Some).collect();
        let start = Instant::now();
        for i in order {
            timers[i] = None;
        }
        (added, start.elapsed())
    })
}

/// Returns the 99th percentile of how late sleeps end under load.
fn late<P: Timed>() -> Duration {
    P::start();
    let stop = Arc::new(AtomicBool::new(false));
    for _ in 0..4 * workers() {
        let stop = Arc::clone(&stop);
        P::go(async move {
            while !stop.load(Ordering::Relaxed) {
                let start = Instant::now();
                while start.elapsed() < Duration::from_micros(20) {
                    spin_loop();
                }
                P::yield_now().await;
            }
        });
    }
    let (sender, lates) = sync_channel(SLEEPERS * SLEEPS);
    for sleeper in 0..SLEEPERS {
        let sender = sender.clone();
        P::go(async move {
            for i in 0..SLEEPS {
                let duration = Duration::from_micros(1_000 + spread(sleeper * SLEEPS + i) % 19_000);
                let start = Instant::now();
                P::sleep(duration).await;
                let late = start.elapsed().saturating_sub(duration);
                sender.send(late).expect("the bench waits for every sleep");
            }
        });
    }
    let mut lates: Vec<_> = lates.iter().take(SLEEPERS * SLEEPS).collect();
    stop.store(true, Ordering::Relaxed);
    lates.sort_unstable();
    lates[lates.len() * 99 / 100]
}

/// Returns the longest time from the sending of a message until a task receives it, while all workers are stuck.
fn echo_while_stuck<P: Timed>() -> Duration {
    P::start();
    let (requests, received) = async_channel::unbounded::<Instant>();
    let (worst, result) = sync_channel(1);
    P::go(async move {
        let mut longest = Duration::ZERO;
        while let Ok(sent) = received.recv().await {
            longest = longest.max(sent.elapsed());
        }
        worst.send(longest).expect("the bench waits");
    });
    let (ended, ends) = sync_channel(workers());
    for _ in 0..workers() {
        let ended = ended.clone();
        P::go(async move {
            std::thread::sleep(STUCK);
            ended.send(()).expect("the bench waits");
        });
    }
    let start = Instant::now();
    while start.elapsed() < STUCK {
        requests.send_blocking(Instant::now()).expect("the echo task receives");
        std::thread::sleep(Duration::from_millis(2));
    }
    drop(requests);
    ends.iter().take(workers()).for_each(drop);
    result.recv().expect("the echo task ends")
}
