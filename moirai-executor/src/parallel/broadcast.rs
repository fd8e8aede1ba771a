//! A closure that every worker runs once.

use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::{mem, ptr, thread};

use moirai_core::{ExecutorControl, TaskKind};
use parking_lot::Mutex;

use crate::executor::HybridExecutor;
use crate::fork_join::frame::{CurrentFrame, Frame, WaitingFrame};
use crate::fork_join::latch::Latch;
use crate::fork_join::local_jobs::LocalJobs;
use crate::fork_join::wait::{WaitState, wait_step};
use crate::panics::{self, AbortOnUnwind};
use crate::parallel::jobs_ended::{CountedJob, JobsEnded};
use crate::runtime::context::Context;
use crate::runtime::enter_fork_join::{as_part_of, on};
use crate::runtime::shared::{Shared, Waited};
use crate::spawn::check::NeverFails;
use crate::spawn::options::{OnWorker, SpawnOptions};
use crate::spawn::start::spawn_closure;

/// What the shares of a broadcast have returned, by worker; `None` for one that was not run.
type Outcomes<R> = [Mutex<Option<thread::Result<R>>>];

impl HybridExecutor {
    /// Calls `f` on every worker, with the worker's index, and returns all results in the order of the workers; see
    /// [`Moirai::broadcast`].
    ///
    /// [`Moirai::broadcast`]: https://docs.rs/moirai/latest/moirai/struct.Moirai.html#method.broadcast
    ///
    /// # Panics
    ///
    /// If `f` panics, once it has ended everywhere: with the payload of the first worker. If the executor has shut down.
    #[track_caller]
    pub fn broadcast<F, R>(&self, f: F) -> Vec<R>
    where
        F: Fn(usize) -> R + Sync,
        R: Send,
    {
        let location = Location::caller();
        let outcomes: Vec<_> = (0..self.worker_count()).map(|_| Mutex::new(None)).collect();
        let run = |worker: usize| {
            let outcome = catch_unwind(AssertUnwindSafe(|| f(worker)));
            *outcomes[worker].lock() = Some(outcome);
        };
        on(self.shared(), |local_jobs, shared| {
            run_shares(local_jobs, shared, location, &run);
            results(local_jobs.frame(), &outcomes)
        })
    }
}

/// Returns the results of all shares, or panics as the first that has panicked.
fn results<R>(at: &CurrentFrame, outcomes: &Outcomes<R>) -> Vec<R> {
    let mut results = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        match outcome.lock().take() {
            Some(Ok(result)) => results.push(result),
            Some(Err(payload)) => {
                at.drop_left(results);
                resume_unwind(payload)
            }
            None => panic!("the executor has shut down, and runs no more closures"),
        }
    }
    results
}

/// Has every worker call `run` with its index, and returns when all have, or their shares were dropped.
fn run_shares(
    local_jobs: &LocalJobs,
    shared: &Shared,
    location: &'static Location<'static>,
    run: &(dyn Fn(usize) + Sync),
) {
    let workers = 0..shared.config.worker_threads;
    if !shared.mode.has_threads() {
        // In a simulation there is one thread, and it is no worker meanwhile.
        return workers.for_each(run);
    }
    let latch = JobsEnded::default();
    let identity = ptr::from_ref(&latch).cast();
    // SAFETY: the thread's frame belongs to a caller further up on its stack.
    let frame = unsafe { Frame::waiting(local_jobs.frame().get(), identity) };
    // SAFETY: the shares hold it, and this function waits for the drop of all of them.
    let waiting = unsafe { WaitingFrame::new(&raw const frame) };
    // SAFETY: only the lifetime changes. The shares hold it, as above, and nothing unwinds before they were dropped.
    let erased: &'static (dyn Fn(usize) + Sync) = unsafe { mem::transmute(run) };
    let here = Context::with_core_of(shared, |core| core.index);
    let guard = AbortOnUnwind;
    for worker in workers.filter(|&worker| here != Some(worker)) {
        let share = Share { waiting, run: erased, worker, counted: latch.job() };
        let mut options = SpawnOptions::at(TaskKind::Parallel, location);
        options.rare.get_or_insert_default().worker =
            Some(OnWorker { worker, waited: Waited::Broadcast });
        let spawn =
            || drop(spawn_closure::<_, _, NeverFails>(shared, move || share.run(), options));
        let _ = panics::contain(spawn);
    }
    if let Some(here) = here {
        local_jobs.frame().within(&raw const frame, || run(here));
    }
    let mut wait = WaitState::new();
    while !latch.is_set() {
        wait_step(local_jobs, shared, &latch, identity, &mut wait);
    }
    guard.disarm();
}

/// One worker's share of a broadcast. The last field is what the broadcast waits for.
struct Share {
    waiting: WaitingFrame,
    run: &'static (dyn Fn(usize) + Sync),
    worker: usize,
    counted: CountedJob,
}

impl Share {
    fn run(self) {
        let Self { waiting, run, worker, counted } = self;
        Context::with(|context| match context {
            // Its fork-join work is below the broadcast, so that whoever waits for the broadcast may run it, and stops with the caller.
            Some(context) => as_part_of(waiting, context, || run(worker)),
            None => run(worker),
        });
        drop(counted);
    }
}
