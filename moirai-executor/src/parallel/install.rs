//! A closure that runs on a worker, for a caller that waits.

use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::{mem, ptr, thread};

use moirai_core::TaskKind;
use parking_lot::Mutex;

use crate::executor::HybridExecutor;
use crate::fork_join::frame::{Frame, WaitingFrame};
use crate::fork_join::latch::{Latch, park_until_set};
use crate::fork_join::wait::{WaitState, wait_step};
use crate::panics::{self, AbortOnUnwind};
use crate::parallel::jobs_ended::{CountedJob, JobsEnded};
use crate::runtime::context::Context;
use crate::runtime::enter_fork_join::{as_part_of, forking, root_frame};
use crate::runtime::handoff::blocking;
use crate::runtime::shared::{Shared, Waited};
use crate::runtime::wait_id::WaitId;
use crate::spawn::check::NeverFails;
use crate::spawn::options::{OnWorker, SpawnOptions};
use crate::spawn::start::spawn_closure;

impl HybridExecutor {
    /// Calls `f` on a worker of this executor, and returns its result; see [`Moirai::install`].
    ///
    /// [`Moirai::install`]: https://docs.rs/moirai/latest/moirai/struct.Moirai.html#method.install
    ///
    /// # Panics
    ///
    /// If `f` does. If the executor has shut down.
    #[track_caller]
    pub fn install<F, R>(&self, f: F) -> R
    where
        F: FnOnce() -> R + Send,
        R: Send,
    {
        let shared = self.shared();
        let inside = Context::with_core_of(shared, |_| ()).is_some();
        if inside || !shared.mode.has_threads() {
            return f();
        }
        let outcome = Mutex::new(None);
        let keep = || {
            let result = catch_unwind(AssertUnwindSafe(f));
            *outcome.lock() = Some(result);
        };
        install_on(shared, Location::caller(), Box::new(keep));
        let outcome: Option<thread::Result<R>> = outcome.into_inner();
        match outcome {
            Some(Ok(result)) => result,
            Some(Err(payload)) => resume_unwind(payload),
            None => panic!("the executor has shut down, and runs no more closures"),
        }
    }

    /// Spawns a parallel closure, as a part of what a worker of this executor waits for, if the caller is a part of that: then that worker
    /// runs it. Otherwise any worker does, as with `spawn_parallel`.
    ///
    /// A worker can wait for something in another executor. If that spawns a closure here and waits for it, and all workers wait, nobody
    /// else would run it.
    #[track_caller]
    pub fn spawn_for_waiting<F>(&self, f: F)
    where
        F: FnOnce() + Send + 'static,
    {
        let options = options_for(self.shared(), Location::caller());
        if options.are_plain() {
            drop(spawn_closure::<_, _, NeverFails>(self.shared(), f, options));
        } else {
            // What it spawns itself is a part of the same wait.
            let below = move || run_below_current(f);
            drop(spawn_closure::<_, _, NeverFails>(self.shared(), below, options));
        }
    }
}

/// Calls `f`, the work of the task that the thread runs, below the wait in which the thread is, if it is in one.
fn run_below_current(f: impl FnOnce()) {
    Context::with(|context| match context {
        Some(context) if context.local_jobs().frame().is_some() => {
            let frame = context.local_jobs().frame();
            // SAFETY: the frame belongs to a caller further up on this thread's stack.
            let waiting = unsafe { WaitingFrame::new(frame.get()) };
            waiting.within(frame, context.innermost_task(), f);
        }
        _ => f(),
    });
}

/// Returns the options of a closure that the worker runs which waits for what the caller is a part of, if there is one.
fn options_for(shared: &Shared, location: &'static Location<'static>) -> SpawnOptions {
    let mut options = SpawnOptions::at(TaskKind::Parallel, location);
    if !shared.mailboxes.has_waits() {
        return options;
    }
    let waiting = shared.mailboxes.waiting_for(|wait| {
        let is_part = |context: &Context| {
            context.local_jobs().frame().is_below(wait.identity()).then_some(())
        };
        Context::find(is_part).is_some()
    });
    if let Some((worker, wait)) = waiting {
        options.rare.get_or_insert_default().worker =
            Some(OnWorker { worker, waited: Waited::By(wait) });
    }
    options
}

/// Runs `f` on a worker of `target`, and returns when it has ended or was dropped.
fn install_on(
    target: &Shared,
    location: &'static Location<'static>,
    f: Box<dyn FnOnce() + Send + '_>,
) {
    // SAFETY: only the lifetime changes. Nothing unwinds below before the closure was dropped, which is waited for.
    let f: Box<dyn FnOnce() + Send> = unsafe { mem::transmute(f) };
    let latch = JobsEnded::default();
    let identity = ptr::from_ref(&latch).cast();
    let install = |waiting: Option<WaitingFrame>| {
        let job = Installed { waiting, f, counted: latch.job() };
        let options = options_for(target, location);
        let spawn = || drop(spawn_closure::<_, _, NeverFails>(target, move || job.run(), options));
        let _ = panics::contain(spawn);
    };
    let guard = AbortOnUnwind;
    Context::with(|context| match context {
        Some(context) if context.worker().is_some() => forking(context, |local_jobs, own| {
            // SAFETY: the thread's frame belongs to a caller further up on its stack.
            let frame = unsafe { Frame::waiting(local_jobs.frame().get(), identity) };
            let worker = context.worker();
            // Without its core, the thread has left its place to another one.
            let worker = worker.filter(|_| own.keeps_indices());
            if let Some(worker) = worker {
                own.mailboxes.begin_wait(worker, WaitId::new(identity));
            }
            // SAFETY: the job holds it, and this function waits for the drop of the job.
            install(Some(unsafe { WaitingFrame::new(&raw const frame) }));
            // What is posted for this wait runs below its frame.
            local_jobs.frame().within(&raw const frame, || {
                let mut wait = WaitState::new();
                while !latch.is_set() {
                    wait_step(local_jobs, own, &latch, identity, &mut wait);
                }
            });
            if let Some(worker) = worker {
                own.mailboxes.end_wait(worker, |post| post.end_wait(WaitId::new(identity)));
            }
        }),
        // A thread that is no worker runs no part of the work, because that may ask which worker it is.
        Some(context) => {
            let frame = match context.local_jobs().frame() {
                // SAFETY: as above.
                current if current.is_some() => unsafe { Frame::waiting(current.get(), identity) },
                _ => root_frame(context),
            };
            // SAFETY: as above.
            install(Some(unsafe { WaitingFrame::new(&raw const frame) }));
            blocking(|| park_until_set(&latch));
        }
        None => {
            install(None);
            blocking(|| park_until_set(&latch));
        }
    });
    guard.disarm();
}

/// A closure that a caller waits for. The last field is what the caller waits for.
struct Installed {
    /// The frame of the caller, if it is inside of other work.
    waiting: Option<WaitingFrame>,
    f: Box<dyn FnOnce() + Send>,
    counted: CountedJob,
}

impl Installed {
    fn run(self) {
        let Self { waiting, f, counted } = self;
        Context::with(|context| match (context, waiting) {
            // Its fork-join work, and what that installs elsewhere, is a part of what the caller waits for, and stops with it.
            (Some(context), Some(waiting)) => as_part_of(waiting, context, f),
            _ => f(),
        });
        drop(counted);
    }
}
