//! Threads without a seat that help out while the workers are stuck.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use moirai_core::Scheduler;
use moirai_core::TaskKind;

use crate::panics;
use crate::runtime::context::Context;
use crate::runtime::lifecycle::Phase;
use crate::runtime::schedule::queue_from_outside;
use crate::runtime::shared::Shared;
use crate::watchdog::compensation::{Idle, Start};

/// How often a rescuer looks for tasks that nobody tells it of.
const LOOK: Duration = Duration::from_millis(1);

/// How long a rescuer is kept that is not needed.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// How many parallel closures a rescuer passes over in one look.
const PASS_OVER: usize = 64;

impl Shared {
    /// Wakes a rescuer, or starts one.
    pub(super) fn ask_for_a_rescuer(&self) {
        let Some(Start { number, lane }) = self.progress.reserve.ask() else {
            return;
        };
        let name = format!("{}-rescue-{number}", self.config.thread_name_prefix);
        tracing::debug!(target: "moirai", "workers are stuck while tasks wait: a thread helps out");
        let started = self.start_thread(name, move |shared| {
            if let Some(message) = panics::contain(|| shared.rescue(lane)) {
                shared.progress.lanes.lane(lane).in_nothing();
                shared.progress.reserve.ended(lane);
                tracing::error!(target: "moirai", panic = &*message, "a rescuer panicked");
            }
        });
        if let Err(error) = started {
            self.progress.reserve.ended(lane);
            tracing::warn!(target: "moirai", %error, "a thread could not be started");
        }
    }

    /// The body of a rescuer.
    fn rescue(self: &Arc<Self>, lane: usize) {
        self.progress.lanes.lane(lane).enter();
        let context = Context::new(Arc::clone(self));
        context.enter(|| {
            loop {
                while self.rescue_one(&context, lane) {}
                if self.progress.reserve.idle(lane, LOOK, KEEP_ALIVE) == Idle::Retire {
                    break;
                }
            }
        });
    }

    /// Runs something that waits, and says whether there was anything.
    fn rescue_one(&self, context: &Context, lane: usize) -> bool {
        let progress = &self.progress;
        if !progress.reserve.is_stuck() || self.door.phase() == Phase::Stopped {
            return false;
        }
        let mut computing = None;
        let mut passed_over = Vec::new();
        let mut found = None;
        while passed_over.len() < PASS_OVER
            && let Some(task) = self.scheduler.take()
        {
            let polled = task.kind() == TaskKind::Async || self.door.phase() >= Phase::Cancelling;
            if !polled {
                computing = progress.reserve.may_compute();
            }
            if polled || computing.is_some() {
                found = Some(task);
                break;
            }
            passed_over.push(task);
        }
        for task in passed_over {
            let priority = task.priority();
            queue_from_outside(self, task, priority);
        }
        let lane = progress.lanes.lane(lane);
        if let Some(task) = found {
            self.count_rescued();
            context.ticks.set(self.clock.ticks());
            lane.step();
            lane.in_task(task.id());
            let panicked = panics::contain(|| context.run(task));
            lane.in_nothing();
            if let Some(message) = panicked {
                tracing::error!(target: "moirai", panic = &*message, "a rescuer panicked, and goes on");
            }
            return true;
        }
        if self.board.has_pieces()
            && let Some(_computing) = progress.reserve.may_compute()
            && let Some(piece) = self.board.take(self.sleepers.idle())
        {
            self.count_rescued();
            lane.step();
            lane.in_piece();
            context.hand().run(piece, self);
            lane.in_nothing();
            return true;
        }
        false
    }

    fn count_rescued(&self) {
        // Ordering: Relaxed: only compared.
        self.progress.rescued.fetch_add(1, Ordering::Relaxed);
    }
}
