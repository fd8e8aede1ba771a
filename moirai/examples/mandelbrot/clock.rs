//! An async task that ticks. A thread with a timer wakes it, as an I/O driver would.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use moirai::{Moirai, TaskError, TaskHandle};

/// The time between two ticks.
pub(crate) const PERIOD: Duration = Duration::from_millis(20);

/// How often the clock has ticked, and the longest time between two ticks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ticks {
    pub(crate) count: u32,
    pub(crate) worst_gap: Duration,
}

pub(crate) struct Clock {
    timer: JoinHandle<()>,
    stop: Arc<AtomicBool>,
    task: TaskHandle<Ticks>,
}

/// Starts the clock.
pub(crate) fn start(executor: &Moirai) -> Clock {
    let (sender, receiver) = async_channel::bounded::<()>(1);
    let stop = Arc::new(AtomicBool::new(false));
    let timer = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            while !stop.load(Ordering::Relaxed) {
                std::thread::sleep(PERIOD);
                // A tick that the task has not taken yet is not sent a second time.
                let _ = sender.try_send(());
            }
        }
    });
    let task = executor.task().name("clock").spawn_async(async move {
        let mut ticks = Ticks::default();
        let mut last = Instant::now();
        while receiver.recv().await.is_ok() {
            ticks.count += 1;
            ticks.worst_gap = ticks.worst_gap.max(last.elapsed());
            last = Instant::now();
        }
        ticks
    });
    Clock { timer, stop, task }
}

impl Clock {
    /// Stops the clock, and returns what it has counted.
    pub(crate) fn stop(self, executor: &Moirai) -> Result<Ticks, TaskError> {
        self.stop.store(true, Ordering::Relaxed);
        if self.timer.join().is_err() {
            eprintln!("the timer has panicked");
        }
        executor.block_on(self.task)
    }
}
