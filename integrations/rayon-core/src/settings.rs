//! What a pool has that an executor has not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::abort;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use moirai::ExecutorPlugin;

use crate::erase::Payload;
use crate::fifo::Fifos;

/// Is called with the payload of a panic that nobody waits for.
pub(crate) type PanicHandler = dyn Fn(Payload) + Send + Sync;

/// Is called with the index of a worker, on its thread.
pub(crate) type WorkerHandler = dyn Fn(usize) + Send + Sync;

/// What a pool hangs on its executor.
pub(crate) struct Settings {
    /// Tells pools apart in what they print.
    pub(crate) id: usize,
    pub(crate) panic_handler: Option<Box<PanicHandler>>,
    pub(crate) fifos: Fifos,
}

impl Settings {
    pub(crate) fn new(workers: usize, panic_handler: Option<Box<PanicHandler>>) -> Self {
        static IDS: AtomicUsize = AtomicUsize::new(1);
        // Ordering: Relaxed: the numbers need only differ.
        let id = IDS.fetch_add(1, Ordering::Relaxed);
        Self { id, panic_handler, fifos: Fifos::new(workers) }
    }

    /// Calls what nobody waits for. A panic goes to the handler; without one it ends the process, as rayon says.
    pub(crate) fn contain(&self, f: impl FnOnce()) {
        let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else { return };
        match &self.panic_handler {
            Some(handler) => {
                if catch_unwind(AssertUnwindSafe(|| handler(payload))).is_err() {
                    abort();
                }
            }
            None => {
                eprintln!("Rayon: detected unexpected panic; aborting");
                abort();
            }
        }
    }
}

/// Calls the handlers of a pool for the start and the end of each worker.
pub(crate) struct Handlers {
    pub(crate) start: Option<Box<WorkerHandler>>,
    pub(crate) exit: Option<Box<WorkerHandler>>,
    pub(crate) settings: Arc<Settings>,
}

impl ExecutorPlugin for Handlers {
    fn on_worker_start(&self, worker: usize) {
        if let Some(start) = &self.start {
            self.settings.contain(|| start(worker));
        }
    }

    fn on_worker_stop(&self, worker: usize) {
        if let Some(exit) = &self.exit {
            self.settings.contain(|| exit(worker));
        }
    }
}
