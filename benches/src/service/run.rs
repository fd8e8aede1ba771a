//! One run: a schedule, served in one way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::rows::{Row, Service};
use super::schedule::{Kind, Plan};
use super::work::Work;
use crate::memory::cpu_nanos;

/// How long after the last arrival the last task may end.
const PATIENCE: Duration = Duration::from_secs(20);

/// The share of a run at its beginning that is not counted: threads start, and caches are cold.
const WARM_UP: f64 = 0.1;

/// The latencies of one run, in milliseconds.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    /// From the time at which a request was to arrive to its end.
    pub requests: Vec<f64>,
    /// From the time at which a ping was to arrive to its run.
    pub pings: Vec<f64>,
    /// From the time at which something was to arrive to the time when it had been spawned.
    pub driver: Vec<f64>,
    /// How often a worker of Moirai has handed its core off to another thread, because it had to wait inside of a task.
    pub handed_off: u64,
    /// The CPU time that the process used from the first arrival to the last end, divided by the time that this took: the number of
    /// processors that were busy.
    pub busy: f64,
}

/// Where the tasks of one kind leave their latencies, in nanoseconds, each at its number.
struct Board {
    nanos: Box<[AtomicU64]>,
    done: AtomicUsize,
    /// The thread that waits for the last of them: the one that has made this.
    waiter: Thread,
}

impl Board {
    fn new(tasks: usize) -> Arc<Self> {
        let nanos = (0..tasks).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self { nanos, done: AtomicUsize::new(0), waiter: thread::current() })
    }

    fn note(&self, number: usize, latency: Duration) {
        // Ordering: Relaxed: the count below publishes it.
        self.nanos[number].store(latency.as_nanos() as u64, Ordering::Relaxed);
        // Ordering: Release pairs with the Acquire load in `wait`: the latency is there.
        if self.done.fetch_add(1, Ordering::Release) + 1 == self.nanos.len() {
            self.waiter.unpark();
        }
    }

    /// Waits until all tasks have ended, but not beyond `deadline`. Returns how many have not.
    fn wait(&self, deadline: Instant) -> usize {
        loop {
            // Ordering: Acquire pairs with the Release addition in `note`.
            let missing = self.nanos.len() - self.done.load(Ordering::Acquire);
            let left = deadline.saturating_duration_since(Instant::now());
            if missing == 0 || left.is_zero() {
                return missing;
            }
            thread::park_timeout(left);
        }
    }

    /// Returns the latencies in milliseconds, without those of the warm-up.
    fn millis(&self) -> Vec<f64> {
        let skipped = (self.nanos.len() as f64 * WARM_UP) as usize;
        let counted = self.nanos.iter().skip(skipped);
        // Ordering: Relaxed: `wait` has acquired them.
        counted.map(|nanos| nanos.load(Ordering::Relaxed) as f64 / 1e6).collect()
    }
}

/// Serves the arrivals of `plan` in the way of `row`. The calling thread is not the driver, which is started for the run.
///
/// # Errors
///
/// A message, if some tasks do not end.
///
/// # Panics
///
/// If the driver's thread cannot be started.
pub fn run(row: Row, work: Work, workers: usize, plan: &Plan) -> Result<Latencies, String> {
    let arrivals = plan.arrivals();
    let count = |kind| arrivals.iter().filter(|arrival| arrival.kind == kind).count();
    let requests = Board::new(count(Kind::Request));
    let pings = Board::new(count(Kind::Ping));
    let service = Service::start(row, work, workers);
    let drive = || {
        // By default the system lets a sleep end 50 µs late. Where this cannot be changed, the driver's lateness shows it.
        #[cfg(target_os = "linux")]
        let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
        let mut lateness = Vec::with_capacity(arrivals.len());
        let start = Instant::now() + Duration::from_millis(5);
        for arrival in &arrivals {
            let at = start + arrival.at;
            let left = at.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                thread::sleep(left);
            }
            let board = match arrival.kind {
                Kind::Request => &requests,
                Kind::Ping => &pings,
            };
            let (board, number) = (Arc::clone(board), arrival.number);
            service.serve(arrival.kind, move || board.note(number, at.elapsed()));
            lateness.push(at.elapsed().as_secs_f64() * 1e3);
        }
        lateness
    };
    let (begun, cpu_before) = (Instant::now(), cpu_nanos());
    let driver = thread::scope(|scope| {
        let thread = thread::Builder::new().name("driver".to_owned()).spawn_scoped(scope, drive);
        thread.expect("the driver starts").join().expect("the driver does not panic")
    });
    let deadline = Instant::now() + PATIENCE;
    let missing = requests.wait(deadline) + pings.wait(deadline);
    if missing > 0 {
        return Err(format!("{row}: {missing} tasks have not ended"));
    }
    let busy = (cpu_nanos() - cpu_before) as f64 / begun.elapsed().as_nanos() as f64;
    let handed_off = service.handed_off();
    Ok(Latencies { requests: requests.millis(), pings: pings.millis(), driver, handed_off, busy })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_arrival_is_served_and_counted_but_those_of_the_warm_up() {
        let plan = Plan {
            mean_gap: Duration::from_millis(2),
            ping_every: Duration::from_millis(2),
            length: Duration::from_millis(100),
            seed: 1,
        };
        let requests = plan.arrivals().iter().filter(|at| at.kind == Kind::Request).count();
        let work = Work::calibrated(1);
        for row in Row::all(&[super::super::rows::Queueing::Default]) {
            let latencies = run(row, work, 2, &plan).unwrap();
            assert_eq!(latencies.pings.len(), 45, "{row}");
            assert_eq!(latencies.requests.len(), requests - requests / 10, "{row}");
            assert_eq!(latencies.driver.len(), requests + 50, "{row}");
            // A request waits for 3 ms, whatever happens.
            assert!(latencies.requests.iter().all(|&millis| millis >= 3.0), "{row}");
        }
    }
}
