//! The drivers of timers, which wake the wakers that are due: for the system's time on a thread, for a manual clock on the thread
//! that advances it.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once, OnceLock};
use std::task::Waker;
use std::time::{Duration, Instant};

use moirai_core::clock::{ListenerKey, ManualClock};
use parking_lot::{Condvar, Mutex};

use super::queue::{TimerKey, TimerQueue, Wakeup};
use crate::panics::{self, log};

/// The length of a tick of the system's time in nanoseconds, as a power of two: 0.26 ms.
const TICK_BITS: u32 = 18;

/// How long the timer thread waits for another deadline before it ends.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// The number of wheels for the system's time.
const SHARDS: usize = 8;

/// The time that applies: the system's, or that of a manual clock.
#[derive(Clone)]
pub(crate) enum TimeSource {
    System,
    Manual(Arc<Driver>),
}

impl TimeSource {
    /// Returns the present moment.
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

/// Wakes wakers at their deadlines, by the time of one source.
pub(crate) struct Driver {
    /// The moment of tick 0.
    origin: Instant,
    queue: TimerQueue<Waker>,
    time: Time,
}

enum Time {
    System(TimerThread),
    Manual { controller: Arc<ManualClock>, listener: OnceLock<ListenerKey> },
}

/// The shared state of the thread that serves the system's time.
struct TimerThread {
    state: Mutex<ThreadState>,
    wakeup: Condvar,
    /// Starts the thread.
    start: fn() -> io::Result<()>,
}

impl TimerThread {
    fn new(start: fn() -> io::Result<()>) -> Self {
        Self { state: Mutex::default(), wakeup: Condvar::new(), start }
    }
}

#[derive(Default)]
struct ThreadState {
    woken: bool,
    running: bool,
}

static SYSTEM: OnceLock<Driver> = OnceLock::new();

/// Wakes a waker. This is user code, whose panics are caught: one bad waker must not stop all timers of the process.
fn wake(waker: Waker) {
    if let Some(message) = panics::contain(|| waker.wake()) {
        log!(error, panic = &*message, "a waker panicked");
    }
}

impl Driver {
    /// Wakes some of the wakers that are due by the system's time.
    ///
    /// Called by workers that are busy anyway: when every processor is busy, the timer thread has to wait for one.
    pub(crate) fn fire_due() {
        if let Some(system) = SYSTEM.get() {
            let now = system.tick_now();
            if system.queue.may_be_due(now) {
                let _ = system.queue.fire_some(now, wake);
            }
        }
    }

    fn system() -> &'static Self {
        SYSTEM.get_or_init(|| {
            Self::on_thread(|| {
                let thread = std::thread::Builder::new().name("moirai-timer".into());
                thread.spawn(|| Self::system().run()).map(drop)
            })
        })
    }

    fn on_thread(start: fn() -> io::Result<()>) -> Self {
        Self {
            origin: Instant::now(),
            queue: TimerQueue::new(SHARDS),
            time: Time::System(TimerThread::new(start)),
        }
    }

    /// Makes a driver for the time of a manual clock.
    pub(crate) fn manual(controller: Arc<ManualClock>) -> Arc<Self> {
        // The origin is chosen so that the clock's present reading stands for the present moment.
        let shown = Duration::from_nanos(controller.nanos());
        let now = Instant::now();
        let driver = Arc::new(Self {
            origin: now.checked_sub(shown).unwrap_or(now),
            queue: TimerQueue::new(1),
            time: Time::Manual { controller: Arc::clone(&controller), listener: OnceLock::new() },
        });
        let weak = Arc::downgrade(&driver);
        let key = controller.listen(move || {
            if let Some(driver) = weak.upgrade() {
                driver.fire();
            }
        });
        if let Time::Manual { listener, .. } = &driver.time {
            // This cannot fail, because no key has been set before.
            let _ = listener.set(key);
        }
        driver
    }

    /// Returns the manual clock of which this is the driver; `None` for the system's time.
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

    /// Returns the first tick at whose beginning `moment` has come.
    fn tick_of(&self, moment: Instant) -> u64 {
        let nanos = moment.saturating_duration_since(self.origin).as_nanos();
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        match &self.time {
            Time::System(_) => nanos.div_ceil(1 << TICK_BITS),
            Time::Manual { .. } => nanos,
        }
    }

    /// Returns the present tick: the last that has begun.
    fn tick_now(&self) -> u64 {
        match &self.time {
            Time::System(_) => {
                let nanos = self.origin.elapsed().as_nanos();
                u64::try_from(nanos).unwrap_or(u64::MAX) >> TICK_BITS
            }
            Time::Manual { controller, .. } => controller.nanos(),
        }
    }

    /// Has the waker woken at the deadline, unless its timer is removed before.
    ///
    /// # Errors
    ///
    /// The waker, if the deadline has passed. This can only be with a manual clock.
    pub(crate) fn insert(&self, deadline: Instant, waker: Waker) -> Result<TimerKey, Waker> {
        let tick = self.tick_of(deadline);
        match &self.time {
            Time::System(timer_thread) => {
                // Nothing is due here: the caller has looked at the clock, and the timer thread looks again before it sleeps.
                let (key, wakeup) = self.queue.insert(shard_of_thread(), tick, waker, || false)?;
                if wakeup == Wakeup::Needed && !Self::wake_thread(timer_thread) {
                    // No thread would wake the tasks that wait, so they are woken now, and look at the clock by themselves.
                    self.queue.give_up(wake);
                }
                Ok(key)
            }
            Time::Manual { controller, .. } => {
                // An advance moves the clock and then takes the lock: either it finds the waker, or this sees the clock moved.
                let is_due = || controller.nanos() >= tick;
                self.queue.insert(0, tick, waker, is_due).map(|(key, _)| key)
            }
        }
    }

    /// Replaces the waker of a timer. Returns `false` if the timer has fired already.
    pub(crate) fn update(&self, key: TimerKey, waker: &Waker) -> bool {
        match self.queue.with(key, |present| present.will_wake(waker)) {
            Some(true) => true,
            Some(false) => self.queue.replace(key, waker.clone()).is_ok(),
            None => false,
        }
    }

    /// Removes a timer, if it has not fired.
    pub(crate) fn remove(&self, key: TimerKey) {
        // Dropping the waker is user code, and no lock is held.
        drop(self.queue.remove(key));
    }

    /// Returns the number of timers that have not fired.
    pub(crate) fn pending(&self) -> usize {
        self.queue.len()
    }

    /// Returns the number of timers of the system's time that have not fired.
    pub(crate) fn system_pending() -> usize {
        SYSTEM.get().map_or(0, Self::pending)
    }

    /// Returns the tick of the earliest deadline, or an earlier one at which timers are to be moved down in the wheel.
    pub(crate) fn next_due(&self) -> Option<u64> {
        self.queue.set_next_wake()
    }

    /// Wakes the wakers whose deadlines have come.
    fn fire(&self) {
        self.queue.fire(self.tick_now(), wake);
    }

    /// Wakes the timer thread, or starts it. Returns `false` if it cannot be started.
    fn wake_thread(timer_thread: &TimerThread) -> bool {
        let mut state = timer_thread.state.lock();
        state.woken = true;
        if state.running {
            timer_thread.wakeup.notify_one();
            return true;
        }
        match (timer_thread.start)() {
            Ok(()) => state.running = true,
            Err(error) => {
                drop(state);
                static LOGGED: Once = Once::new();
                LOGGED.call_once(|| {
                    log!(warn, %error, "the timer thread could not be started: tasks that wait for a deadline poll the clock until it can");
                });
                return false;
            }
        }
        true
    }

    /// The body of the timer thread.
    fn run(&self) {
        let Time::System(timer_thread) = &self.time else { return };
        // Wakers are contained where they are called. A panic that was overlooked there must not stop all timers of the process.
        while let Some(message) = panics::contain(|| self.serve(timer_thread)) {
            log!(error, panic = &*message, "the timer thread panicked, and goes on");
        }
    }

    /// Wakes wakers at their deadlines, until there has been none for a while.
    fn serve(&self, timer_thread: &TimerThread) {
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
                // `next_wake` is `AWAKE` now, so a thread that adds a deadline wakes this one, and then sees that it is not
                // running.
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

/// Returns a number that differs between threads, to choose a wheel.
fn shard_of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        // Ordering: Relaxed: the numbers only have to be spread.
        static SHARD: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    SHARD.try_with(|shard| *shard).unwrap_or(0)
}

#[cfg(all(test, not(moirai_loom)))]
mod tests {
    use super::*;
    use std::task::Wake;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_timer_thread_that_cannot_be_started_is_tried_again_at_every_deadline() {
        static TRIED: AtomicUsize = AtomicUsize::new(0);
        let driver = Driver::on_thread(|| {
            let tried = TRIED.fetch_add(1, Ordering::Relaxed);
            if tried < 2 { Err(io::Error::other("refused")) } else { Ok(()) }
        });
        let woken = Arc::new(Woken::default());
        let hour = Duration::from_secs(3_600);
        // Each deadline is later than those before, and so is not the earliest.
        for tries in 1..=2 {
            driver.insert(Instant::now() + hour * tries, Arc::clone(&woken).into()).unwrap();
            assert_eq!(TRIED.load(Ordering::Relaxed), tries as usize);
            assert_eq!(woken.0.load(Ordering::Relaxed), tries as usize, "its task looks again");
        }
        driver.insert(Instant::now() + hour * 3, Arc::clone(&woken).into()).unwrap();
        assert_eq!((TRIED.load(Ordering::Relaxed), driver.queue.len()), (3, 1));
        driver.insert(Instant::now() + hour * 4, Arc::clone(&woken).into()).unwrap();
        assert_eq!((TRIED.load(Ordering::Relaxed), driver.queue.len()), (3, 2));
    }
}
