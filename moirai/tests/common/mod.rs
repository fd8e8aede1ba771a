//! Helpers of these tests: watchdogs, gates, counters of drops and of wake-ups, and a view of the process's threads.

// Each test file is a crate of its own, which uses only some of the helpers.
#![allow(dead_code)]

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, Once, PoisonError};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use moirai::{CleanupConfig, Moirai, MoiraiBuilder, ShutdownReport, TaskHandle};

#[cfg(feature = "page")]
pub(crate) mod page_client;
pub(crate) mod queues;
pub(crate) mod threads;

/// The time that one step of a test may take: far longer than it needs on the slowest machine.
pub(crate) const STEP_TIMEOUT: Duration = Duration::from_secs(60);

/// Longer than any test runs.
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// Aborts the process with a message when a test hangs, because a test that hangs cannot fail by itself.
#[must_use = "the watchdog stops when this is dropped"]
pub(crate) struct Watchdog(Arc<Watched>);

struct Watched {
    /// The deadline of the current step, and what the step does; `None` when the test is over.
    state: Mutex<Option<(Instant, String)>>,
    over: Condvar,
}

impl Watched {
    fn watch(&self, test: &str) {
        let mut state = self.state.lock().unwrap();
        while let Some((deadline, doing)) = &*state {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // The test harness would capture the output of `eprintln!`.
                let _ = writeln!(std::io::stderr(), "watchdog: {test} hangs: {doing}");
                std::process::abort();
            }
            state = self.over.wait_timeout(state, left).unwrap().0;
        }
    }
}

impl Watchdog {
    /// Begins a new step, with the whole time before it. `doing` describes the step in the message if it hangs.
    pub(crate) fn feed(&self, doing: impl Into<String>) {
        *self.0.state.lock().unwrap() = Some((Instant::now() + STEP_TIMEOUT, doing.into()));
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // A test that fails drops the watchdog while it unwinds.
        *self.0.state.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.0.over.notify_all();
    }
}

/// Returns a watchdog for the calling test.
pub(crate) fn watchdog() -> Watchdog {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let watched = Arc::new(Watched { state: Mutex::new(None), over: Condvar::new() });
    let watchdog = Watchdog(Arc::clone(&watched));
    watchdog.feed("no step named");
    let watch = move || watched.watch(&test);
    std::thread::Builder::new().name("watchdog".to_owned()).spawn(watch).unwrap();
    watchdog
}

/// Waits until the condition holds. Panics with a message that contains `what` if that takes longer than half of [`STEP_TIMEOUT`].
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    // Sooner than the watchdog, whose message does not name the condition.
    let deadline = Instant::now() + STEP_TIMEOUT / 2;
    while !condition() {
        assert!(Instant::now() < deadline, "gave up waiting until {what}");
        // Looks again soon, but leaves the processor to the threads that are to make the condition true.
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Asserts that the numbers of a report add up.
#[track_caller]
pub(crate) fn assert_adds_up(report: &ShutdownReport) {
    let ended = report.completed + report.failed + report.cancelled;
    assert_eq!(report.spawned, ended + report.still_active, "{report}");
}

/// A gate at which closures and futures can wait. It uses nothing of the crate under test.
#[derive(Clone)]
pub(crate) struct Gate {
    sender: async_channel::Sender<()>,
    receiver: async_channel::Receiver<()>,
}

impl Gate {
    /// Returns a closed gate.
    pub(crate) fn new() -> Self {
        let (sender, receiver) = async_channel::bounded(1);
        Self { sender, receiver }
    }

    /// Opens the gate for good: every wait at it ends, now and later.
    pub(crate) fn open(&self) {
        self.sender.close();
    }

    /// Returns whether the gate is open.
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

/// Returns a Fibonacci number, with a join for each two numbers that it adds.
pub(crate) fn fibonacci(n: u32) -> u64 {
    if n < 2 {
        return n.into();
    }
    let (a, b) = moirai::join(|| fibonacci(n - 1), || fibonacci(n - 2));
    a + b
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

/// A counter whose clones count together.
#[derive(Clone, Default)]
pub(crate) struct Counter(Arc<AtomicUsize>);

impl Counter {
    /// Adds one, and returns the sum.
    pub(crate) fn add(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Returns a value that adds one when it is dropped.
    pub(crate) fn on_drop(&self) -> OnDrop<impl FnOnce() + Send + use<>> {
        let counter = self.clone();
        OnDrop::new(move || {
            counter.add();
        })
    }
}

/// A waker that counts its wake-ups.
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

/// A text that the messages of intended panics contain, so that they need not be printed.
pub(crate) const ON_PURPOSE: &str = "on purpose";

/// Keeps panics whose message contains [`ON_PURPOSE`] off the terminal. Other panic hooks run for them all the same.
pub(crate) fn silence_expected_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let expected =
                info.payload_as_str().is_some_and(|message| message.contains(ON_PURPOSE));
            if !expected {
                print(info);
            }
        }));
    });
}

/// Returns an executor with this many workers.
pub(crate) fn workers(workers: usize) -> Moirai {
    Moirai::builder().worker_threads(workers).build().unwrap()
}

/// Returns a builder of an executor with this many workers, whose threads can be distinguished from those of other tests by their
/// names. The system shows 15 bytes of a thread's name, so a prefix should be shorter.
pub(crate) fn named(prefix: &str, workers: usize) -> MoiraiBuilder {
    assert!(prefix.len() <= 12, "{prefix:?} leaves too little of a thread's name");
    Moirai::builder().worker_threads(workers).thread_name_prefix(prefix)
}

/// Returns these limits on the retained records, with everything else at its default.
pub(crate) fn retain_at_most(limit: usize, retention: Duration) -> CleanupConfig {
    CleanupConfig {
        task_retention_duration: retention,
        max_retained_tasks: limit,
        ..CleanupConfig::default()
    }
}

/// An executor whose only worker is blocked at a gate. There is no thread to hand off its core to, so what is spawned stays queued.
pub(crate) struct Blocked {
    pub(crate) executor: Moirai,
    pub(crate) gate: Gate,
    pub(crate) blocker: TaskHandle<()>,
}

/// Blocks the only worker of the executor that `builder` builds.
pub(crate) fn block_only_worker(builder: MoiraiBuilder) -> Blocked {
    let executor =
        builder.worker_threads(1).spare_threads(0).compensation_threads(0).build().unwrap();
    let (gate, started) = (Gate::new(), Gate::new());
    let blocker = {
        let (gate, started) = (gate.clone(), started.clone());
        executor.spawn_parallel(move || {
            started.open();
            gate.wait();
        })
    };
    started.wait();
    Blocked { executor, gate, blocker }
}

/// Asserts that the executor still runs tasks of each kind.
#[track_caller]
pub(crate) fn assert_runs(executor: &Moirai) {
    assert_eq!(executor.spawn_async(async { 1 }).join().unwrap(), 1);
    assert_eq!(executor.spawn_parallel(|| 2).join().unwrap(), 2);
    assert_eq!(executor.spawn_blocking(|| 3).join().unwrap(), 3);
}
