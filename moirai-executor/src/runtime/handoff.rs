//! Blocking on a worker: its core goes to another thread meanwhile.

use std::ptr;

use crate::runtime::context::Context;
use crate::runtime::shared::{Shared, WorkerCore};
use crate::runtime::thread_pool::Refused;
use crate::runtime::worker;

/// Calls `f`, which blocks. All cores of the thread are handed on before, and taken back after if nobody sits there yet.
pub(crate) fn blocking<R>(f: impl FnOnce() -> R) -> R {
    let handed_off = HandedOff::all();
    let result = f();
    drop(handed_off);
    result
}

/// The cores that this thread has handed on: each context's, with the core's index. Dropping it asks for them back.
pub(crate) struct HandedOff(Vec<(*const Context, usize)>);

impl HandedOff {
    pub(crate) fn all() -> Self {
        let mut handed_off = Vec::new();
        let _: Option<()> = Context::find(|context| {
            if let Some(core) = context.take_core() {
                let index = core.index;
                match hand_off_core(context.shared(), core) {
                    Ok(()) => handed_off.push((ptr::from_ref(context), index)),
                    // No thread is to be had: the worker blocks in its core.
                    Err(core) => context.put_core(core),
                }
            }
            None
        });
        Self(handed_off)
    }
}

impl Drop for HandedOff {
    fn drop(&mut self) {
        for &(context, index) in &self.0 {
            // SAFETY: the contexts were entered before this was made, by callers of this thread that are still there.
            let context = unsafe { &*context };
            if let Some(core) = reclaim_core(context.shared(), index) {
                context.put_core(core);
            }
        }
    }
}

/// Gives a core to another thread, because the caller is about to block. It comes back if no thread is to be had.
fn hand_off_core(shared: &Shared, core: Box<WorkerCore>) -> Result<(), Box<WorkerCore>> {
    if !shared.mode.has_threads() {
        return Err(core);
    }
    // Said while the core is still the caller's: recorders count on one writer a worker.
    shared.notify_recorder("core_handed_off", |recorder| recorder.core_handed_off(core.index));
    let submitted = shared.cores.submit(core, |number| {
        let name = format!("{}-spare-{number}", shared.config.thread_name_prefix);
        shared.start_thread(name, |shared| worker::run(shared, None))
    });
    submitted.map_err(|(Refused::Full(core) | Refused::Never(core))| {
        // What is in its private slot is for others to take now: they look there when they find nothing else.
        shared.sleepers.notify();
        core
    })
}

/// Takes back a core that was handed on, if nobody has sat down yet.
fn reclaim_core(shared: &Shared, index: usize) -> Option<Box<WorkerCore>> {
    shared.cores.take_back(|core| core.index == index)
}
