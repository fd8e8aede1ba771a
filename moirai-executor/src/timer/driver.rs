//! Who hands out what is due: a thread for the system's time, whoever moves the clock for a manual one.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once, OnceLock};
use std::task::Waker;
use std::time::{Duration, Instant};

use moirai_core::clock::{ListenerKey, ManualClock};
use parking_lot::{Condvar, Mutex};

use super::queue::{TimerKey, TimerQueue, Wakeup};
use crate::panics;

/// Nanoseconds in a tick of the system's time, as a power of two: 0.26 ms.
const TICK_BITS: u32 = 18;

/// How long the thread waits for another deadline before it ends.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// How many wheels the system's time has.
const SHARDS: usize = 8;

/// Which time counts: the system's, or that of a manual clock.
#[derive(Clone)]
pub(crate) enum TimeSource {
    System,
    Manual(Arc<Driver>),
}

impl TimeSource {
    /// The moment now.
    pub(crate) fn now(&self) -> Instant {
        match self {
            Self::System => Instant::now(),
            Self::Manual(driver) => driver.now(),
        }
    }

    pub(crate) fn driver(&self) -> &Driver {
        match self {
            Self::System => Driver::system(),
            Self::Manual(driver) => driver,
        }
    }
}

/// Wakes those who wait for a moment.
pub(crate) struct Driver {
    /// The moment of tick zero.
    origin: Instant,
    queue: TimerQueue<Waker>,
    time: Time,
}

enum Time {
    System(TimerThread),
    Manual { controller: Arc<ManualClock>, listener: OnceLock<ListenerKey> },
}

/// The thread that serves the system's time.
#[derive(Default)]
struct TimerThread {
    state: Mutex<ThreadState>,
    wakeup: Condvar,
}

#[derive(Default)]
struct ThreadState {
    woken: bool,
    running: bool,
}

static SYSTEM: OnceLock<Driver> = OnceLock::new();

/// Wakes somebody. It is user code: contained, so that one bad waker does not stop every deadline of the process.
fn wake(waker: Waker) {
    if let Some(message) = panics::contain(|| waker.wake()) {
        tracing::error!(target: "moirai", panic = &*message, "a waker panicked");
    }
}

impl Driver {
    /// Wakes some of those whose moment has come by the system's time, on a thread that is busy anyway: when every processor
    /// is, the timer's own thread has to wait for one.
    pub(crate) fn fire_due() {
        if let Some(system) = SYSTEM.get() {
            let now = system.tick_now();
            if system.queue.may_be_due(now) {
                let _ = system.queue.fire_some(now, wake);
            }
        }
    }

    fn system() -> &'static Self {
        SYSTEM.get_or_init(|| Self {
            origin: Instant::now(),
            queue: TimerQueue::new(SHARDS),
            time: Time::System(TimerThread::default()),
        })
    }

    /// For the time of a manual clock.
    pub(crate) fn manual(controller: Arc<ManualClock>) -> Arc<Self> {
        // So that the clock shows the present moment when it shows what it shows now.
        let shown = Duration::from_nanos(controller.nanos());
        let now = Instant::now();
        let driver = Arc::new(Self {
            origin: now.checked_sub(shown).unwrap_or(now),
            queue: TimerQueue::new(1),
            time: Time::Manual { controller: Arc::clone(&controller), listener: OnceLock::new() },
        });
        let told = Arc::downgrade(&driver);
        let key = controller.listen(move || {
            if let Some(driver) = told.upgrade() {
                driver.fire();
            }
        });
        if let Time::Manual { listener, .. } = &driver.time {
            // The first and only one.
            let _ = listener.set(key);
        }
        driver
    }

    /// The clock's controller, if it is a manual one.
    pub(crate) fn controller(&self) -> Option<&Arc<ManualClock>> {
        match &self.time {
            Time::System(_) => None,
            Time::Manual { controller, .. } => Some(controller),
        }
    }

    fn now(&self) -> Instant {
        match &self.time {
            Time::System(_) => Instant::now(),
            Time::Manual { controller, .. } => {
                let shown = Duration::from_nanos(controller.nanos());
                self.origin.checked_add(shown).unwrap_or(self.origin)
            }
        }
    }

    /// The tick at whose beginning a moment has come.
    fn tick_of(&self, moment: Instant) -> u64 {
        let nanos = moment.saturating_duration_since(self.origin).as_nanos();
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        match &self.time {
            Time::System(_) => nanos.div_ceil(1 << TICK_BITS),
            Time::Manual { .. } => nanos,
        }
    }

    /// The tick that has begun last.
    fn tick_now(&self) -> u64 {
        match &self.time {
            Time::System(_) => {
                let nanos = self.origin.elapsed().as_nanos();
                u64::try_from(nanos).unwrap_or(u64::MAX) >> TICK_BITS
            }
            Time::Manual { controller, .. } => controller.nanos(),
        }
    }

    /// Has the waker woken at the deadline. It comes back if the deadline has passed.
    pub(crate) fn insert(&self, deadline: Instant, waker: Waker) -> Result<TimerKey, Waker> {
        let tick = self.tick_of(deadline);
        match &self.time {
            Time::System(timer_thread) => {
                // The caller has looked at the clock, and the thread looks again before it sleeps.
                let (key, wakeup) = self.queue.insert(shard_of_thread(), tick, waker, || false)?;
                if wakeup == Wakeup::Ring && !self.wake_thread(timer_thread) {
                    // Nobody would wake the task: it looks again of its own accord.
                    if let Some(waker) = self.queue.remove(key) {
                        waker.wake();
                    }
                }
                Ok(key)
            }
            Time::Manual { controller, .. } => {
                // An advance moves the clock, then takes the lock: so it finds the waker, or is seen here.
                let is_due = || controller.nanos() >= tick;
                self.queue.insert(0, tick, waker, is_due).map(|(key, _)| key)
            }
        }
    }

    /// Has another waker woken; false if the first was woken already.
    pub(crate) fn update(&self, key: TimerKey, waker: &Waker) -> bool {
        match self.queue.with(key, |present| present.will_wake(waker)) {
            Some(true) => true,
            Some(false) => self.queue.replace(key, waker.clone()).is_ok(),
            None => false,
        }
    }

    /// Forgets a deadline.
    pub(crate) fn remove(&self, key: TimerKey) {
        // User code, and no lock is held.
        drop(self.queue.remove(key));
    }

    /// The tick of the earliest deadline, or one before it at which there is something to be sorted.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.queue.set_next_wake()
    }

    /// Wakes those whose deadline has come.
    fn fire(&self) {
        self.queue.fire(self.tick_now(), wake);
    }

    /// Wakes the thread, or starts it. False if it cannot be started.
    fn wake_thread(&self, timer_thread: &TimerThread) -> bool {
        let mut state = timer_thread.state.lock();
        state.woken = true;
        if state.running {
            timer_thread.wakeup.notify_one();
            return true;
        }
        let started =
            std::thread::Builder::new().name("moirai-timer".into()).spawn(|| Self::system().run());
        match started {
            Ok(_) => state.running = true,
            Err(error) => {
                drop(state);
                static TOLD: Once = Once::new();
                TOLD.call_once(|| {
                    tracing::warn!(target: "moirai", %error, "the timer's thread could not be started: who waits for a moment polls");
                });
                return false;
            }
        }
        true
    }

    /// The body of the thread.
    fn run(&self) {
        let Time::System(timer_thread) = &self.time else { return };
        loop {
            timer_thread.state.lock().woken = false;
            self.fire();
            let next = self.queue.set_next_wake();
            let mut state = timer_thread.state.lock();
            if state.woken {
                continue;
            }
            let left = next.map_or(KEEP_ALIVE, |tick| {
                let nanos = u128::from(tick) << TICK_BITS;
                let due = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
                due.saturating_sub(self.origin.elapsed())
            });
            let timed_out = timer_thread.wakeup.wait_for(&mut state, left).timed_out();
            if next.is_none() && timed_out && !state.woken {
                // The next_wake says that whoever adds a deadline rings, and so finds that nobody runs.
                state.running = false;
                return;
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if let Time::Manual { controller, listener } = &mut self.time
            && let Some(key) = listener.take()
        {
            controller.ignore(key);
        }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("pending", &self.queue.len()).finish_non_exhaustive()
    }
}

impl fmt::Debug for TimeSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "System",
            Self::Manual(_) => "Manual",
        })
    }
}

/// A number that differs between threads.
fn shard_of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        // Ordering: Relaxed: only to be spread.
        static SHARD: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    SHARD.try_with(|shard| *shard).unwrap_or(0)
}
