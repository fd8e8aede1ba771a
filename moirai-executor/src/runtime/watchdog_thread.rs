//! The progress thread.

use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use moirai_core::Scheduler;

use crate::panics;
use crate::runtime::compensation::ask_for_a_rescuer;
use crate::runtime::schedule::queue_from_outside;
use crate::runtime::shared::Shared;
use crate::runtime::stall_report::{judge, stall_over};
use crate::watchdog::Progress;
use crate::watchdog::activity::Sight;
use crate::watchdog::cpu_clock::CpuTime;
use crate::watchdog::stalls::Judged;

/// ShutdownMode often the thread looks. Work waits for at most two of them.
const TICK: Duration = Duration::from_millis(8);

/// ShutdownMode many tasks of one stuck worker are put elsewhere at one look.
const RECLAIM: usize = 256;

/// A thread was blocked if it was on a processor for less than this part of the time.
const BLOCKED: u32 = 8;

/// Says that the progress thread has ended, however it does.
struct Ended<'a>(&'a Progress);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.state.lock().running = false;
        self.0.changed.notify_all();
    }
}

/// What the progress thread has seen up to its last look.
struct Seen {
    lanes: Vec<SeenLane>,
    rescued: usize,
    /// Looks in a row at which nobody was in anything.
    idle: usize,
}

/// What it has seen of one lane.
#[derive(Clone, Copy)]
struct SeenLane {
    sight: Sight,
    /// The first look at which it was so.
    since: Instant,
    /// At the last look, once it was the same twice.
    cpu: Option<(CpuTime, Instant)>,
    judged: Judged,
}

/// What a look has found.
#[derive(Default)]
struct Found {
    /// Workers that have gone on.
    moved: usize,
    /// Threads that are stuck, and not on a processor.
    blocked: usize,
}

/// Starts the progress thread.
pub(crate) fn start_progress(shared: &Shared, name: String) -> io::Result<()> {
    if !shared.progress.on {
        return Ok(());
    }
    shared.progress.state.lock().running = true;
    let started = shared.start_thread(name, |shared| {
        let _ended = Ended(&shared.progress);
        // What may panic is the code of a scheduler, or of a `tracing` subscriber.
        while let Some(message) = panics::contain(|| watch_progress(&shared)) {
            tracing::error!(target: "moirai", panic = &*message, "the progress thread panicked, and goes on");
        }
    });
    if started.is_err() {
        shared.progress.state.lock().running = false;
    }
    started
}

/// The body of the progress thread.
fn watch_progress(shared: &Shared) {
    let progress = &shared.progress;
    let unseen = SeenLane {
        sight: Sight::default(),
        since: Instant::now(),
        cpu: None,
        judged: Judged::NotYet,
    };
    let mut seen = Seen { lanes: vec![unseen; progress.lanes.len()], rescued: 0, idle: 0 };
    let mut state = progress.state.lock();
    while !state.stop {
        if state.armed {
            let _ = progress.changed.wait_for(&mut state, TICK);
            if !state.stop {
                drop(state);
                look_for_progress(shared, &mut seen);
                state = progress.state.lock();
                if seen.idle >= 2 {
                    state.armed = !progress.arming.disarm(|| nobody_is_busy(shared));
                    seen.idle = 0;
                }
            }
        } else {
            progress.changed.wait(&mut state);
        }
    }
}

fn nobody_is_busy(shared: &Shared) -> bool {
    let lanes = &shared.progress.lanes;
    shared.sleepers.idle() == lanes.workers() && lanes.rescuers_rest()
}

/// One look.
fn look_for_progress(shared: &Shared, seen: &mut Seen) {
    let progress = &shared.progress;
    let found = look_at_lanes(shared, seen);
    // Ordering: Relaxed: only compared.
    let rescued = progress.rescued.load(Ordering::Relaxed);
    let rescuing = std::mem::replace(&mut seen.rescued, rescued) != rescued;
    if nobody_is_busy(shared) {
        seen.idle += 1;
        progress.reserve.report(false, 0);
        return;
    }
    seen.idle = 0;
    let pieces = found.blocked > 0 && shared.shared_jobs.has_jobs();
    let waits = pieces || shared.scheduler.len() > 0;
    if shared.sleepers.idle() > 0 {
        progress.reserve.report(false, 0);
        if waits {
            shared.sleepers.notify();
        }
        return;
    }
    let stuck = progress.rescues && (found.moved == 0 || found.blocked > 0);
    progress.reserve.report(stuck, found.blocked);
    let helped =
        if found.moved == 0 { rescuing } else { progress.reserve.awake() >= found.blocked };
    if stuck && waits && !helped {
        ask_for_a_rescuer(shared);
    }
}

/// Looks at every lane, and does for each what its being stuck asks for.
fn look_at_lanes(shared: &Shared, seen: &mut Seen) -> Found {
    let lanes = &shared.progress.lanes;
    let now = Instant::now();
    let mut found = Found::default();
    for (index, seen) in seen.lanes.iter_mut().enumerate() {
        let lane = lanes.lane(index);
        let sight = lane.sight();
        if sight != seen.sight {
            found.moved += usize::from(index < lanes.workers());
            *seen = SeenLane { sight, since: now, cpu: None, judged: Judged::NotYet };
            stall_over(shared, index);
            continue;
        }
        if !sight.is_busy() {
            continue;
        }
        if index < lanes.workers() {
            reclaim(shared, index);
        }
        let cpu = lane.cpu_time();
        let computes = seen.cpu.zip(cpu).map(|((before, then), cpu)| {
            let least = now.saturating_duration_since(then) / BLOCKED;
            cpu.saturating_sub(before) >= least || !lane.sleeps()
        });
        seen.cpu = cpu.map(|cpu| (cpu, now));
        found.blocked += usize::from(computes == Some(false));
        if seen.judged == Judged::NotYet
            && let Some(task) = sight.task()
            && shared.progress.watchdog.may_be_stall(now.saturating_duration_since(seen.since))
        {
            seen.judged = judge(shared, index, task, seen.since, computes);
        }
    }
    found
}

/// Puts what is queued at a stuck worker where all look.
fn reclaim(shared: &Shared, worker: usize) {
    for _ in 0..RECLAIM {
        let Some(task) = shared.scheduler.reclaim(worker) else {
            return;
        };
        let priority = task.priority();
        queue_from_outside(shared, task, priority);
    }
}
