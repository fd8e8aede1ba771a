//! Reading.

use std::time::Duration;

use moirai_core::clock::Converter;
use moirai_core::shim::sync::atomic::Ordering;
use moirai_core::{CleanupStats, TaskId, TaskStats, TaskStatus};

use super::counts::Totals;
use super::page::PAGE_SLOTS;
use super::reclaim;
use super::slot::Record;
use super::task_registry::Registry;

impl Registry {
    /// Tasks since the start. They balance: no task is counted as ended that is not counted as spawned.
    #[must_use]
    pub fn totals(&self) -> Totals {
        // Ends first: a spawn that is counted meanwhile makes one more active, and not one less.
        let [completed, cancelled, failed] = self.store.counts.sum_finished();
        let spawned = self.store.counts.sum_spawned();
        Totals { spawned, completed, failed, cancelled }
    }

    /// What the registry holds now, and what has been dropped from it.
    #[must_use]
    pub fn cleanup_stats(&self) -> CleanupStats {
        let totals = self.totals();
        // Evictions last: a record that goes meanwhile makes one less retained, and not one more.
        let evicted: [u64; 3] =
            std::array::from_fn(|status| self.store.counts.evicted[status].load(Ordering::Acquire));
        let [by_age, by_count, by_request] =
            std::array::from_fn(|cause| self.store.counts.causes[cause].load(Ordering::Acquire));
        let left = |ended: u64, evicted: u64| ended.saturating_sub(evicted) as usize;
        let ended = totals.completed + totals.cancelled + totals.failed;
        let oldest = self.evictor.lock().oldest_end(&self.store);
        let now = self.clock.converter();
        let mut stats = CleanupStats::default();
        stats.active_tasks = left(totals.spawned, ended);
        stats.completed_tasks = left(totals.completed, evicted[0]);
        stats.cancelled_tasks = left(totals.cancelled, evicted[1]);
        stats.failed_tasks = left(totals.failed, evicted[2]);
        stats.total_tasks =
            stats.active_tasks + stats.completed_tasks + stats.cancelled_tasks + stats.failed_tasks;
        stats.oldest_completed_task_age =
            oldest.map(|ended| now.now().saturating_since(now.timestamp(ended)));
        stats.memory_bytes = self.bytes();
        stats.evicted_by_age = by_age;
        stats.evicted_by_count = by_count;
        stats.evicted_by_request = by_request;
        // Ordering: Relaxed: a number.
        let last_sweep = self.store.counts.last_sweep.load(Ordering::Relaxed);
        stats.last_sweep = last_sweep.checked_sub(1).map(Duration::from_nanos);
        stats
    }

    /// Where the task stands.
    #[must_use]
    pub fn status(&self, id: TaskId) -> Option<TaskStatus> {
        let _pin = reclaim::pin();
        let word = self.store.directory.page_of(id.slot())?.slot(id.slot()).word();
        if word.generation() == id.generation() { word.status() } else { None }
    }

    /// The task's record.
    #[must_use]
    pub fn stats(&self, id: TaskId) -> Option<TaskStats> {
        let record = {
            let _pin = reclaim::pin();
            self.store.directory.page_of(id.slot())?.slot(id.slot()).read(id.generation())?
        };
        Some(task_stats(id, record, &self.clock.converter()))
    }

    /// All records.
    #[must_use]
    pub fn snapshot(&self) -> Vec<TaskStats> {
        let mut records = Vec::new();
        for page in 0..self.store.directory.end() {
            self.each_in(page, |id, _, slot| {
                if let Some(record) = slot.read(id.generation()) {
                    records.push((id, record));
                }
            });
        }
        let now = self.clock.converter();
        records.into_iter().map(|(id, record)| task_stats(id, record, &now)).collect()
    }

    /// Calls `f` with the id of each active task, until it returns false; says whether it never did. It may be called back into.
    pub fn each_active(&self, mut f: impl FnMut(TaskId) -> bool) -> bool {
        let mut ids = Vec::new();
        (0..self.store.directory.end()).all(|page| {
            self.each_in(page, |id, status, _| {
                if status.is_active() {
                    ids.push(id);
                }
            });
            ids.drain(..).all(&mut f)
        })
    }

    /// Looks at one page: at a page at a time, so that reclamation is not held up by a long list.
    fn each_in(&self, page: u32, mut f: impl FnMut(TaskId, TaskStatus, &super::slot::Slot)) {
        let number = page;
        let _pin = reclaim::pin();
        let Some(page) = self.store.directory.page(number) else {
            return;
        };
        for (index, slot) in page.slots().iter().enumerate() {
            let word = slot.word();
            let Some(status) = word.status() else {
                continue;
            };
            let index = number * PAGE_SLOTS as u32 + index as u32;
            if let Some(id) = TaskId::from_parts(word.generation(), index) {
                f(id, status, slot);
            }
        }
    }
}

fn task_stats(id: TaskId, record: Record, now: &Converter) -> TaskStats {
    let word = record.word;
    let spawned_at = now.timestamp(record.spawned);
    let mut stats =
        TaskStats::queued(id, word.kind(), word.priority(), spawned_at, record.location);
    if let Some(status) = word.status() {
        stats.status = status;
    }
    stats.name = record.name;
    // These are written before the word that says so: not yet true while it does not.
    let started = record.started.filter(|_| stats.status != TaskStatus::Queued);
    stats.started_at = started.map(|ticks| now.timestamp(ticks));
    stats.finished_at = stats.status.is_terminal().then(|| now.timestamp(record.finished));
    stats.polls = record.polls;
    stats.busy = now.duration(record.busy);
    stats.worker = word.worker();
    stats.error = record.error.filter(|_| stats.status.is_terminal());
    stats.observed_at = now.now();
    stats
}
