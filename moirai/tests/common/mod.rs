//! What the tests share: watchdogs, gates, drop and wake counters, and a look at the process's threads.

// Each test file is a crate of its own and uses a part of this.
#![allow(dead_code)]

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, Once, PoisonError};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use moirai::{CleanupConfig, Moirai, MoiraiBuilder, TaskHandle};

pub(crate) mod threads;

/// How long one step of a test may take: far longer than it should on the slowest machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A duration after which everything is too old.
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// Ends the process with a message when a test hangs, since a hung test cannot fail by itself.
#[must_use = "the watchdog goes when this is dropped"]
pub(crate) struct Watchdog(Arc<Watched>);

struct Watched {
    /// Until when all is well, and what is being done; `None` when the test is over.
    state: Mutex<Option<(Instant, String)>>,
    over: Condvar,
}

impl Watched {
    fn watch(&self, test: &str) {
        let mut state = self.state.lock().unwrap();
        while let Some((deadline, doing)) = &*state {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // Not by `eprintln!`, which the test harness would keep for itself.
                let _ = writeln!(std::io::stderr(), "watchdog: {test} hangs: {doing}");
                std::process::abort();
            }
            state = self.over.wait_timeout(state, left).unwrap().0;
        }
    }
}

impl Watchdog {
    /// Starts the time anew, and says what is being done.
    pub(crate) fn feed(&self, doing: impl Into<String>) {
        *self.0.state.lock().unwrap() = Some((Instant::now() + PATIENCE, doing.into()));
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // A test that fails drops this while it unwinds.
        *self.0.state.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.0.over.notify_all();
    }
}

/// Watches the calling test.
pub(crate) fn watchdog() -> Watchdog {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let watched = Arc::new(Watched { state: Mutex::new(None), over: Condvar::new() });
    let watchdog = Watchdog(Arc::clone(&watched));
    watchdog.feed("no step named");
    std::thread::spawn(move || watched.watch(&test));
    watchdog
}

/// Waits until the condition holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    // Sooner than the watchdog, which cannot say as much.
    let deadline = Instant::now() + PATIENCE / 2;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        // Looks again soon, without taking the processor from those who are to make it true.
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// A gate that closures and futures can wait at, independent of the crate under test.
#[derive(Clone)]
pub(crate) struct Gate {
    sender: async_channel::Sender<()>,
    receiver: async_channel::Receiver<()>,
}

impl Gate {
    /// A gate that is shut.
    pub(crate) fn new() -> Self {
        let (sender, receiver) = async_channel::bounded(1);
        Self { sender, receiver }
    }

    /// Lets everybody through, now and later.
    pub(crate) fn open(&self) {
        self.sender.close();
    }

    /// Whether it is open.
    pub(crate) fn is_open(&self) -> bool {
        self.sender.is_closed()
    }

    /// Blocks the thread until the gate is open.
    pub(crate) fn wait(&self) {
        let _ = self.receiver.recv_blocking();
    }

    /// Waits until the gate is open.
    pub(crate) async fn passed(&self) {
        let _ = self.receiver.recv().await;
    }
}

/// Calls a closure when it is dropped.
pub(crate) struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    pub(crate) fn new(f: F) -> Self {
        Self(Some(f))
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(f) = self.0.take() {
            f();
        }
    }
}

/// A counter that many can hold.
#[derive(Clone, Default)]
pub(crate) struct Counter(Arc<AtomicUsize>);

impl Counter {
    pub(crate) fn add(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Something that adds one when it is dropped.
    pub(crate) fn on_drop(&self) -> OnDrop<impl FnOnce() + Send + use<>> {
        let counter = self.clone();
        OnDrop::new(move || {
            counter.add();
        })
    }
}

/// A waker that counts how often it was woken.
#[derive(Default)]
pub(crate) struct CountingWaker(AtomicUsize);

impl CountingWaker {
    pub(crate) fn new() -> (Arc<Self>, Waker) {
        let counting = Arc::new(Self::default());
        (Arc::clone(&counting), Waker::from(counting))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// What panics on purpose says, so that it need not be printed.
pub(crate) const PURPOSE: &str = "on purpose";

/// Keeps panics whose message contains [`PURPOSE`] off the terminal. Their hooks run all the same.
pub(crate) fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let expected = info.payload_as_str().is_some_and(|message| message.contains(PURPOSE));
            if !expected {
                print(info);
            }
        }));
    });
}

/// An executor with this many workers.
pub(crate) fn workers(workers: usize) -> Moirai {
    Moirai::builder().worker_threads(workers).build().unwrap()
}

/// Sets up an executor with this many workers whose threads can be told from those of other tests. The system shows 15
/// bytes of a thread's name, so a prefix should be shorter.
pub(crate) fn named(prefix: &str, workers: usize) -> MoiraiBuilder {
    assert!(prefix.len() <= 12, "{prefix:?} fills the name of a thread");
    Moirai::builder().worker_threads(workers).thread_name_prefix(prefix)
}

/// Limits on the records, everything else by default.
pub(crate) fn keep(limit: usize, retention: Duration) -> CleanupConfig {
    CleanupConfig {
        task_retention_duration: retention,
        max_retained_tasks: limit,
        ..CleanupConfig::default()
    }
}

/// An executor whose only worker is held at a gate, with nobody to take its seat: what is spawned stays queued.
pub(crate) struct Held {
    pub(crate) executor: Moirai,
    pub(crate) gate: Gate,
    pub(crate) holder: TaskHandle<()>,
}

/// Holds the only worker of the executor that `builder` makes.
pub(crate) fn hold(builder: MoiraiBuilder) -> Held {
    let executor =
        builder.worker_threads(1).spare_threads(0).compensation_threads(0).build().unwrap();
    let (gate, started) = (Gate::new(), Gate::new());
    let holder = {
        let (gate, started) = (gate.clone(), started.clone());
        executor.spawn_parallel(move || {
            started.open();
            gate.wait();
        })
    };
    started.wait();
    Held { executor, gate, holder }
}

/// Asserts that the executor still runs tasks of each kind.
#[track_caller]
pub(crate) fn assert_runs(executor: &Moirai) {
    assert_eq!(executor.spawn_async(async { 1 }).join().unwrap(), 1);
    assert_eq!(executor.spawn_parallel(|| 2).join().unwrap(), 2);
    assert_eq!(executor.spawn_blocking(|| 3).join().unwrap(), 3);
}
