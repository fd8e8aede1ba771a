//! Ending an executor.
//!
//! `Open → Draining → Cancelling → Stopped`, and never back.
//!
//! 1. **The door** is shut; see [`door`](crate::runtime::lifecycle).
//! 2. **Draining** waits until the books show no active task.
//! 3. **Cancelling** asks every active task to stop, and moves queued blocking tasks to the workers, which run none of them: a
//!    task that is taken up in this phase is cancelled instead. Destructors so run on workers. The asking is repeated while
//!    tasks are active, which catches what was spawned by a worker that had looked at the phase too early.
//! 4. **Stopped**: a worker that finds nothing to do closes its seat. The last one ends what may have become ready since, and
//!    from then on whoever makes a task ready ends it himself.

use std::time::{Duration, Instant};

use moirai_core::ShutdownReport;

use crate::runtime::context::Context;
use crate::runtime::handoff::blocking;
use crate::runtime::lifecycle::Phase;
use crate::runtime::schedule::queue_from_outside;
use crate::runtime::shared::Shared;
use crate::runtime::shutdown_state::How;
use crate::task::Asker;

/// How long `shutdown_timeout` waits beyond its deadline for what it has cancelled to end.
const MARGIN: Duration = Duration::from_millis(40);

/// How long dropping the last owner waits for polls in progress.
const DROP_GRACE: Duration = Duration::from_secs(1);

/// How often a shutdown looks again, in case it was not told.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

impl Shared {
    /// Shuts down. See the [module](self).
    pub(crate) fn shut_down(&self, how: How) -> ShutdownReport {
        let start = Instant::now();
        self.shut_the_door();
        if how != How::Drop && Context::is_inside(self) {
            // The caller's own task is active, and would wait for itself: somebody else sees it through.
            self.shut_down_elsewhere(how);
            return self.report(start);
        }
        if how == How::Drop && Context::is_inside_any() {
            self.door.advance(Phase::Cancelling);
            self.cancel_active(None);
            self.stop(start);
            return self.report(start);
        }
        // The thread may be a worker of another executor.
        blocking(|| self.shut_down_and_wait(how, start));
        self.report(start)
    }

    fn shut_down_and_wait(&self, how: How, start: Instant) {
        // A deadline beyond what the clock can express is none.
        let deadline = match how {
            How::Drain => None,
            How::Timeout(timeout) => start.checked_add(timeout),
            How::Drop => Some(start),
        };
        let grace = if how == How::Drop { DROP_GRACE } else { MARGIN };
        let mut end = deadline.and_then(|deadline| deadline.checked_add(grace));
        if how == How::Drop || !self.wait_idle(deadline, || {}) {
            self.door.advance(Phase::Cancelling);
            let now = Instant::now();
            end = Some(now + grace);
            // Who drops the last owner has set no time.
            let asked = self.cancel_active(end.filter(|_| how != How::Drop));
            if !asked {
                // There are more tasks than can be asked in the time: somebody else asks the rest, and stops the executor.
                return self.shut_down_elsewhere(How::Drop);
            }
            self.wait_idle(end, || _ = self.cancel_active(end));
        }
        let end = end.unwrap_or_else(|| Instant::now() + DROP_GRACE);
        self.stop(end);
        // Threads end as soon as they have nothing to do; one that is stuck is not waited for.
        let _ = self.seats.wait_ended(Some(end)) && self.blocking.wait_ended(Some(end));
    }

    /// Rule 1.
    pub(crate) fn shut_the_door(&self) {
        if self.door.advance(Phase::Draining) && self.sim.is_none() {
            tracing::info!(target: "moirai", active = self.active(), "shutting down");
            self.plugins.call("on_shutdown", |plugin| plugin.on_shutdown());
        }
        self.admission.close();
        self.registry.close_barrier();
    }

    fn shut_down_elsewhere(&self, how: How) {
        if let Some(sim) = &self.sim {
            if sim.shut_down(how) {
                self.cancel_all();
            }
            return;
        }
        let name = format!("{}-shutdown", self.config.thread_name_prefix);
        let started = self.start_thread(name, move |shared| drop(shared.shut_down(how)));
        if let Err(error) = started {
            tracing::warn!(target: "moirai", %error, "a shutdown from inside a task goes no further: no thread for it");
        }
    }

    /// Lets nobody in any more, and asks all tasks to stop.
    pub(crate) fn cancel_all(&self) {
        self.shut_the_door();
        let _ = self.door.advance(Phase::Cancelling);
        self.registry.each_active(|id| {
            if let Some(task) = self.task_ref(id) {
                task.cancel(Asker::Shutdown);
            }
            true
        });
    }

    /// Waits until no task is active, or the deadline; says whether none is. Calls `again` at each further look.
    fn wait_idle(&self, deadline: Option<Instant>, again: impl Fn()) -> bool {
        loop {
            if self.active() == 0 {
                return true;
            }
            let left = deadline.map_or(LOOK_AGAIN, |deadline| {
                deadline.saturating_duration_since(Instant::now()).min(LOOK_AGAIN)
            });
            if left.is_zero() {
                return false;
            }
            let _ = self.closing.progress.wait_for(&mut self.closing.cancelled.lock(), left);
            again();
        }
    }

    /// Rule 3. Says whether every task was asked before `end`.
    fn cancel_active(&self, end: Option<Instant>) -> bool {
        for task in self.blocking.take_all() {
            let priority = task.priority();
            queue_from_outside(self, task, priority);
        }
        let mut asked = 0_u32;
        self.registry.each_active(|id| {
            if let Some(task) = self.task_ref(id) {
                task.cancel(Asker::Shutdown);
            }
            asked = asked.wrapping_add(1);
            !asked.is_multiple_of(64) || end.is_none_or(|end| Instant::now() < end)
        })
    }

    /// Rule 4. Waits for the progress thread at most until `end`.
    pub(crate) fn stop(&self, end: Instant) {
        let first = self.door.advance(Phase::Stopped);
        self.sleepers.wake_all();
        self.seats.close();
        self.blocking.close();
        self.progress.stop(end);
        self.registry.alarm().stop();
        let listener = self.cleanup.lock().take();
        drop(listener);
        if first && self.sim.is_none() {
            tracing::info!(target: "moirai", active = self.active(), "stopped");
        }
    }

    fn active(&self) -> u64 {
        let totals = self.registry.totals();
        totals.spawned - (totals.completed + totals.failed + totals.cancelled)
    }

    fn report(&self, start: Instant) -> ShutdownReport {
        let totals = self.registry.totals();
        let mut report = ShutdownReport::default();
        report.spawned = totals.spawned;
        report.completed = totals.completed;
        report.failed = totals.failed;
        report.cancelled = totals.cancelled;
        report.still_active =
            totals.spawned - (totals.completed + totals.failed + totals.cancelled);
        report.refused = self.admission.refused();
        report.cancelled_tasks.clone_from(&self.closing.cancelled.lock());
        if report.still_active > 0 {
            self.registry.each_active(|id| {
                let stats = self.registry.stats(id).filter(|stats| stats.status.is_active());
                report.unfinished.extend(stats);
                report.unfinished.len() < ShutdownReport::MAX_LISTED
            });
        }
        report.elapsed = start.elapsed();
        report
    }
}
