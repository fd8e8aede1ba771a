//! Blocking on a worker, whose core another thread takes over meanwhile.

use std::ptr;

use moirai_core::ThreadKind;

use crate::runtime::context::Context;
use crate::runtime::shared::{Shared, WorkerCore};
use crate::runtime::thread_pool::Refused;
use crate::runtime::threads::thread_name;
use crate::runtime::worker;

/// Calls `f`, which waits for other tasks. Hands off all cores of the thread before, and takes back after those that no other thread
/// has taken yet, or waits for them if the executor's threads keep their indices. A thread of the blocking pool gives up its place
/// there meanwhile.
pub(crate) fn blocking<R>(f: impl FnOnce() -> R) -> R {
    let handed_off = HandedOff::all();
    let result = f();
    drop(handed_off);
    result
}

/// Calls `f`, which blocks for whatever reason. Like [`blocking`], but keeps a place in the blocking pool, whose limit is that of
/// threads that block.
pub(crate) fn blocking_in_place<R>(f: impl FnOnce() -> R) -> R {
    let handed_off = HandedOff::cores();
    let result = f();
    drop(handed_off);
    result
}

/// What this thread has given up in its contexts because it blocks. Dropping it takes back what it can: a core only if no other thread
/// has taken it, or the executor's threads keep their indices.
pub(crate) struct HandedOff(Vec<GivenUp>);

/// What was given up in one context.
struct GivenUp {
    context: *const Context,
    /// The index of the core that was handed off.
    core: Option<usize>,
    /// Whether the thread claims the core.
    claims: bool,
    /// Whether the thread counted as an external thread of fork-join.
    was_external: bool,
    /// Whether the thread had a place in the blocking pool.
    had_place: bool,
}

impl HandedOff {
    pub(crate) fn all() -> Self {
        Self::new(true)
    }

    fn cores() -> Self {
        Self::new(false)
    }

    fn new(gives_place: bool) -> Self {
        let mut handed_off = Vec::new();
        let _: Option<()> = Context::find(|context| {
            let was_external = context.local_jobs().blocks(&**context.shared());
            let claims = context.shared().keeps_indices();
            let core = context.take_core().and_then(|core| {
                let index = core.index;
                if claims {
                    context.shared().claims.lend(index);
                }
                // If no thread can take the core over, the worker blocks while it holds it.
                let refused = hand_off_core(context.shared(), core).err();
                refused.map_or(Some(index), |core| {
                    if claims {
                        context.shared().claims.keep(index);
                    }
                    context.put_core(core);
                    None
                })
            });
            let had_place = gives_place && context.in_blocking_pool.replace(false);
            if had_place {
                let shared = context.shared();
                if shared.blocking.waits(|number| worker::start_blocking(shared, number)) {
                    shared.watchdog.busy();
                }
            }
            if core.is_some() || was_external || had_place {
                context.blocks.update(|blocks| blocks + 1);
                let context = ptr::from_ref(context);
                handed_off.push(GivenUp { context, core, claims, was_external, had_place });
            }
            None
        });
        Self(handed_off)
    }
}

impl Drop for HandedOff {
    fn drop(&mut self) {
        for given_up in &self.0 {
            // SAFETY: the contexts were entered before this was created, by callers further up on this thread's stack; one that was
            // entered for good is not left while it counts a block.
            let context = unsafe { &*given_up.context };
            debug_assert!(context.is_entered(), "a context outlives what it has handed off");
            context.blocks.update(|blocks| blocks - 1);
            if given_up.had_place {
                context.shared().blocking.goes_on();
                context.in_blocking_pool.set(true);
            }
            if given_up.was_external {
                context.local_jobs().count_as_external(&**context.shared());
            }
            let reclaim = |index| match given_up.claims {
                true => Some(claim_core(context.shared(), index)),
                false => reclaim_core(context.shared(), index),
            };
            if let Some(core) = given_up.core.and_then(reclaim) {
                context.put_core(core);
            }
        }
    }
}

/// Hands off a core to another thread, because the caller is about to block. Returns the core if no thread can take it.
pub(crate) fn hand_off_core(shared: &Shared, core: Box<WorkerCore>) -> Result<(), Box<WorkerCore>> {
    if !shared.mode.has_threads() {
        return Err(core);
    }
    // A thread that has claimed the core needs no other thread.
    let core = match shared.claims.is_claimed(core.index) {
        true => match shared.claims.give_back(core.index, core) {
            Ok(()) => return Ok(()),
            Err(core) => core,
        },
        false => core,
    };
    // The recorder is called while the core is still the caller's, because recorders rely on one writer for each worker.
    shared.notify_recorder("core_handed_off", |recorder| recorder.core_handed_off(core.index));
    let submitted = shared.cores.submit(core, |number| {
        let name = thread_name(shared, ThreadKind::Spare, number);
        shared.start_thread(name, move |shared| {
            worker::run(shared, ThreadKind::Spare, number, None);
        })
    });
    submitted.map_err(|(Refused::Full(core) | Refused::Closed(core) | Refused::NoThread(core))| {
        // The task in the core's private slot is for other workers to take now: they look there when they find nothing else.
        shared.sleepers.notify();
        core
    })
}

/// Takes back a core that was handed off, if no other thread has taken it yet.
fn reclaim_core(shared: &Shared, index: usize) -> Option<Box<WorkerCore>> {
    shared.cores.take_back(|core| core.index == index)
}

/// Waits for a core that was lent, and takes it.
fn claim_core(shared: &Shared, worker: usize) -> Box<WorkerCore> {
    let notify = || {
        shared.sleepers.notify_worker(worker);
        shared.mailboxes.wake_waiter(worker);
    };
    shared.claims.claim(worker, notify, || reclaim_core(shared, worker))
}
