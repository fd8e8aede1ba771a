//! The progress thread.

use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use moirai_core::{Scheduler, Stall, TaskId};

use crate::panics;
use crate::runtime::schedule::queue_from_outside;
use crate::runtime::shared::Shared;
use crate::watchdog::Progress;
use crate::watchdog::activity::Sight;
use crate::watchdog::cpu_clock::CpuTime;
use crate::watchdog::stalls::{Judged, Watched};

/// How often the thread looks. Work waits for at most two of them.
const TICK: Duration = Duration::from_millis(8);

/// How many tasks of one stuck worker are put elsewhere at one look.
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

impl Shared {
    /// Starts the progress thread.
    pub(crate) fn start_progress(&self, name: String) -> io::Result<()> {
        if !self.progress.on {
            return Ok(());
        }
        self.progress.state.lock().running = true;
        let started = self.start_thread(name, |shared| {
            let _ended = Ended(&shared.progress);
            // What may panic is the code of a scheduler, or of a `tracing` subscriber.
            while let Some(message) = panics::contain(|| shared.watch_progress()) {
                tracing::error!(target: "moirai", panic = &*message, "the progress thread panicked, and goes on");
            }
        });
        if started.is_err() {
            self.progress.state.lock().running = false;
        }
        started
    }

    /// The body of the progress thread.
    fn watch_progress(&self) {
        let progress = &self.progress;
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
                    self.look_for_progress(&mut seen);
                    state = progress.state.lock();
                    if seen.idle >= 2 {
                        state.armed = !progress.arming.disarm(|| self.nobody_is_busy());
                        seen.idle = 0;
                    }
                }
            } else {
                progress.changed.wait(&mut state);
            }
        }
    }

    fn nobody_is_busy(&self) -> bool {
        let lanes = &self.progress.lanes;
        self.sleepers.idle() == lanes.workers() && lanes.rescuers_rest()
    }

    /// One look.
    fn look_for_progress(&self, seen: &mut Seen) {
        let progress = &self.progress;
        let found = self.look_at_lanes(seen);
        // Ordering: Relaxed: only compared.
        let rescued = progress.rescued.load(Ordering::Relaxed);
        let rescuing = std::mem::replace(&mut seen.rescued, rescued) != rescued;
        if self.nobody_is_busy() {
            seen.idle += 1;
            progress.reserve.report(false, 0);
            return;
        }
        seen.idle = 0;
        let pieces = found.blocked > 0 && self.board.has_pieces();
        let waits = pieces || self.scheduler.len() > 0;
        if self.sleepers.idle() > 0 {
            progress.reserve.report(false, 0);
            if waits {
                self.sleepers.notify();
            }
            return;
        }
        let stuck = progress.rescues && (found.moved == 0 || found.blocked > 0);
        progress.reserve.report(stuck, found.blocked);
        let helped =
            if found.moved == 0 { rescuing } else { progress.reserve.awake() >= found.blocked };
        if stuck && waits && !helped {
            self.ask_for_a_rescuer();
        }
    }

    /// Looks at every lane, and does for each what its being stuck asks for.
    fn look_at_lanes(&self, seen: &mut Seen) -> Found {
        let lanes = &self.progress.lanes;
        let now = Instant::now();
        let mut found = Found::default();
        for (index, seen) in seen.lanes.iter_mut().enumerate() {
            let lane = lanes.lane(index);
            let sight = lane.sight();
            if sight != seen.sight {
                found.moved += usize::from(index < lanes.workers());
                *seen = SeenLane { sight, since: now, cpu: None, judged: Judged::NotYet };
                self.stall_over(index);
                continue;
            }
            if !sight.is_busy() {
                continue;
            }
            if index < lanes.workers() {
                self.reclaim(index);
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
                && self.progress.watchdog.may_be_stall(now.saturating_duration_since(seen.since))
            {
                seen.judged = self.judge(index, task, seen.since, computes);
            }
        }
        found
    }

    /// Puts what is queued at a stuck worker where all look.
    fn reclaim(&self, worker: usize) {
        for _ in 0..RECLAIM {
            let Some(task) = self.scheduler.reclaim(worker) else {
                return;
            };
            let priority = task.priority();
            queue_from_outside(self, task, priority);
        }
    }
}

impl Shared {
    /// The stalls that go on now.
    pub(crate) fn stalled(&self) -> Vec<Stall> {
        let stalls = self.progress.watchdog.stalls.lock();
        stalls.iter().flatten().map(Watched::now).collect()
    }

    /// Judges a poll that may be a stall, and reports it.
    pub(super) fn judge(
        &self,
        lane: usize,
        task: TaskId,
        since: Instant,
        computes: Option<bool>,
    ) -> Judged {
        let watchdog = &self.progress.watchdog;
        let Some(stats) = self.registry.stats(task) else {
            return Judged::NotYet;
        };
        let Some(budget) = watchdog.budget(stats.kind) else {
            return Judged::Done;
        };
        if since.elapsed() < budget {
            return Judged::NotYet;
        }
        let worker = Some(lane).filter(|lane| *lane < self.progress.lanes.workers());
        let mut stall = Stall::new(task, stats.kind, stats.location, worker);
        stall.name = stats.name;
        stall.computes = computes;
        let watched = Watched { stall, since };
        let now = watched.now();
        watchdog.stalls.lock()[lane] = Some(watched);
        self.log(
            &now,
            "a task keeps its worker from others; it should give way, or be a blocking task",
        );
        self.plugins.call("on_stall", |plugin| plugin.on_stall(&now));
        Judged::Done
    }

    /// The lane has gone on: its stall is over, if there was one.
    pub(super) fn stall_over(&self, lane: usize) {
        let Some(watched) = self.progress.watchdog.stalls.lock()[lane].take() else {
            return;
        };
        let stall = watched.now();
        self.log(&stall, "a task that kept its worker has gone on");
        self.plugins.call("on_stall_over", |plugin| plugin.on_stall_over(&stall));
    }

    fn log(&self, stall: &Stall, message: &str) {
        let Some(left_out) = self.progress.watchdog.lines.lock().allow(Instant::now()) else {
            return;
        };
        tracing::warn!(
            target: "moirai",
            id = stall.id.get(),
            name = stall.name.as_deref(),
            kind = %stall.kind,
            location = %stall.location,
            worker = stall.worker,
            age = ?stall.age,
            computes = stall.computes,
            left_out,
            "{message}",
        );
    }
}
