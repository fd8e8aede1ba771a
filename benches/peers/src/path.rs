//! Paths: what a task can go through, repeated so often that an instruction counter sees nothing else.
//!
//! Under `valgrind --tool=callgrind` the instructions of a run with three times as many repetitions, less those of the run, are what
//! twice that many repetitions take. What would make the counts differ from run to run is kept out of them:
//!
//! - Moirai's clock is calibrated for some time when it starts, in a loop. The counter leaves out what comes before [`counted`].
//! - One worker runs all tasks, and the thread that is not a worker sleeps meanwhile.
//! - No other thread runs tasks while the worker is blocked on purpose, until all have been spawned.
//!
//! `.ci/instructions` counts, and compares with what was recorded.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::scheduled::{Alone, Scheduled};
use crate::{Peer, Tokio};

/// Moirai, in which a path is run by the worker alone.
type Ours = Scheduled<Alone>;

/// One path.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// The name, which is also used on the command line.
    pub name: &'static str,
    /// What is repeated.
    pub about: &'static str,
    /// Repeats it with Moirai.
    pub ours: fn(usize),
    /// Repeats it with tokio, if tokio has it.
    pub tokio: Option<fn(usize)>,
}

/// Repeats a path, after a few repetitions that start its executor and fill what it keeps for reuse.
///
/// A counter that begins anew whenever [`counted`] is entered sees only the repetitions.
pub fn repeat(path: fn(usize), times: usize) {
    counted(path, 2_000);
    counted(path, times);
}

/// A function of its own, so that `--zero-before` of callgrind can name it.
#[inline(never)]
pub fn counted(path: fn(usize), times: usize) {
    path(times);
}

/// All paths.
pub const PATHS: [Path; 9] = [
    Path {
        name: "chain",
        about: "a task spawns the next one",
        ours: chain::<Ours>,
        tokio: Some(chain::<Tokio>),
    },
    Path {
        name: "inside",
        about: "a task spawns many others",
        ours: inside::<Ours>,
        tokio: Some(inside::<Tokio>),
    },
    Path {
        name: "outside",
        about: "a thread that is not a worker spawns many tasks",
        ours: outside::<Ours>,
        tokio: Some(outside::<Tokio>),
    },
    Path {
        name: "closure",
        about: "a thread that is not a worker spawns many closures",
        ours: closures,
        tokio: None,
    },
    Path {
        name: "await",
        about: "a task spawns another one and awaits it",
        ours: await_each::<Ours>,
        tokio: Some(await_each::<Tokio>),
    },
    Path {
        name: "join_all",
        about: "a task spawns 1,000 others and then awaits them",
        ours: join_all::<Ours>,
        tokio: Some(join_all::<Tokio>),
    },
    Path {
        name: "ping_pong",
        about: "two tasks send each other a message",
        ours: ping_pong::<Ours>,
        tokio: Some(ping_pong::<Tokio>),
    },
    Path {
        name: "yield",
        about: "a task lets others run",
        ours: yields::<Ours>,
        tokio: Some(yields::<Tokio>),
    },
    Path {
        name: "outermost_join",
        about: "a worker calls two closures by `join`, and no other thread is free",
        ours: outermost_joins,
        tokio: None,
    },
];

/// Runs a future as a task, and waits for it without a wake-up in between.
fn run<P: Peer>(task: impl Future<Output = ()> + Send + 'static) {
    let (sender, done) = sync_channel(1);
    P::detach(P::spawn(async move {
        task.await;
        sender.send(()).expect("the caller waits");
    }));
    wait(&done);
}

fn wait(done: &Receiver<()>) {
    done.recv().expect("the last task sends a message");
}

fn chain<P: Peer>(times: usize) {
    fn link<P: Peer>(left: usize, done: SyncSender<()>) {
        if left == 0 {
            done.send(()).expect("the caller waits");
        } else {
            P::detach(P::spawn_inside(async move { link::<P>(left - 1, done) }));
        }
    }
    let (sender, done) = sync_channel(1);
    P::detach(P::spawn(async move { link::<P>(times, sender) }));
    wait(&done);
}

/// Counts tasks down. Leaked, because a reference count is not what is measured.
struct Countdown {
    left: AtomicUsize,
    done: SyncSender<()>,
}

impl Countdown {
    fn new(tasks: usize) -> (&'static Self, Receiver<()>) {
        let (done, receiver) = sync_channel(1);
        (Box::leak(Box::new(Self { left: AtomicUsize::new(tasks), done })), receiver)
    }

    fn count(&self) {
        // Ordering: AcqRel pairs with itself: all tasks have run when the message is sent.
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.send(()).expect("the caller waits");
        }
    }
}

fn inside<P: Peer>(times: usize) {
    let (countdown, done) = Countdown::new(times);
    run::<P>(async move {
        for _ in 0..times {
            P::detach(P::spawn_inside(async move { countdown.count() }));
        }
    });
    wait(&done);
}

/// Keeps the worker busy until all has been spawned, so that it never sleeps in between.
struct Gate(Arc<std::sync::Barrier>);

impl Gate {
    fn close<P: Peer>() -> Self {
        let barrier = Arc::new(std::sync::Barrier::new(2));
        let inside = Arc::clone(&barrier);
        let (sender, closed) = sync_channel(1);
        P::detach(P::spawn(async move {
            sender.send(()).expect("the caller waits");
            inside.wait();
        }));
        wait(&closed);
        Self(barrier)
    }

    fn open(self) {
        self.0.wait();
    }
}

fn outside<P: Peer>(times: usize) {
    let (countdown, done) = Countdown::new(times);
    let gate = Gate::close::<P>();
    for _ in 0..times {
        P::detach(P::spawn(async move { countdown.count() }));
    }
    gate.open();
    wait(&done);
}

fn closures(times: usize) {
    let (countdown, done) = Countdown::new(times);
    let gate = Gate::close::<Ours>();
    for _ in 0..times {
        drop(Ours::executor().spawn_parallel(move || countdown.count()));
    }
    gate.open();
    wait(&done);
}

fn await_each<P: Peer>(times: usize) {
    run::<P>(async move {
        for number in 0..times {
            let result = P::join(P::spawn_inside(async move { number })).await;
            assert_eq!(result, number);
        }
    });
}

fn join_all<P: Peer>(times: usize) {
    run::<P>(async move {
        for _ in 0..times / 1_000 {
            let handles: Vec<_> =
                (0..1_000_usize).map(|number| P::spawn_inside(async move { number })).collect();
            for (number, handle) in handles.into_iter().enumerate() {
                assert_eq!(P::join(handle).await, number);
            }
        }
    });
}

fn ping_pong<P: Peer>(times: usize) {
    run::<P>(async move {
        for _ in 0..times {
            let (ping, pinged) = tokio::sync::oneshot::channel();
            let (pong, ponged) = tokio::sync::oneshot::channel();
            P::detach(P::spawn_inside(async move {
                pinged.await.expect("the partner pings");
                pong.send(()).expect("the partner waits for the answer");
            }));
            ping.send(()).expect("the partner waits for the ping");
            ponged.await.expect("the partner answers");
        }
    });
}

fn yields<P: Peer>(times: usize) {
    run::<P>(async move {
        for _ in 0..times {
            P::yield_now().await;
        }
    });
}

fn outermost_joins(times: usize) {
    run::<Ours>(async move {
        for number in 0..times {
            black_box(moirai::join(|| black_box(number), || black_box(number)));
        }
    });
}
