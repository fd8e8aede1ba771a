//! Models of the lifecycle.

use super::*;
use moirai_core::shim::sync::{Arc, Mutex};
use moirai_core::shim::thread;

/// What the registry and the injector are to a spawner. The accesses to the queue are relaxed, as weak as a lock-free queue's may
/// be, so only the fences order them.
struct Executor {
    lifecycle: Lifecycle,
    writer: Mutex<usize>,
    queued: moirai_core::shim::sync::atomic::AtomicUsize,
    ended: moirai_core::shim::sync::atomic::AtomicUsize,
}

impl Executor {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            lifecycle: Lifecycle::new(),
            writer: Mutex::new(0),
            queued: Default::default(),
            ended: Default::default(),
        })
    }

    fn spawn(&self) -> bool {
        let admitted = {
            let mut writer = self.writer.lock();
            let open = !self.lifecycle.is_closed();
            *writer += usize::from(open);
            open
        };
        if admitted {
            self.queued.fetch_add(1, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            self.lifecycle.queued_behind_a_fence(|| self.end_queued());
        }
        admitted
    }

    fn end_queued(&self) {
        if self.queued.load(Ordering::Relaxed) > 0 {
            let taken = self.queued.swap(0, Ordering::Relaxed);
            self.ended.fetch_add(taken, Ordering::Relaxed);
        }
    }

    /// Closes the lifecycle, and returns the number of tasks whose records have begun by then.
    fn shut(&self) -> usize {
        self.lifecycle.advance(Phase::Stopped);
        *self.writer.lock()
    }
}

#[test]
fn loom_spawn_against_shutdown() {
    let mut builder = ::loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let executor = Executor::new();
        let spawners = [(); 2].map(|()| {
            let executor = Arc::clone(&executor);
            thread::spawn(move || usize::from(executor.spawn()))
        });
        let recorded = executor.shut();
        executor.lifecycle.last_core_closed(|| executor.end_queued());
        let admitted: usize = spawners.map(|spawner| spawner.join().unwrap()).iter().sum();
        // No task was admitted after the lifecycle was closed, and every task that was admitted has ended.
        assert_eq!(recorded, admitted);
        assert_eq!(executor.ended.load(Ordering::Relaxed), admitted);
    });
}
