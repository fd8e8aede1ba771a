//! Reading records and counts.

use std::ops::ControlFlow;
use std::time::Duration;

use moirai_core::clock::Converter;
use moirai_core::shim::sync::atomic::Ordering;
use moirai_core::{CleanupStats, Lookup, TaskId, TaskStats, TaskStatus};

use super::counts::Totals;
use super::garbage::{self, Pin};
use super::page::PAGE_SLOTS;
use super::slot::{Record, Slot};
use super::state_word::StateWord;
use super::task_registry::Registry;

impl Registry {
    /// Returns the numbers of tasks since the registry was created. No task is counted as ended that is not counted as spawned.
    #[must_use]
    pub fn totals(&self) -> Totals {
        // The ends first: a task that is spawned meanwhile makes the number of active tasks greater by one, and not less.
        let [completed, cancelled, failed] = self.store.counts.sum_finished();
        let spawned = self.store.counts.sum_spawned();
        Totals { spawned, completed, failed, cancelled }
    }

    /// Returns what the registry holds now, and what has been evicted from it.
    ///
    /// It takes the lock of each log for a moment. The records of all classes are counted together. While automatic cleanup is on,
    /// the numbers of retained records do not exceed the limits of all classes, added up, by more than [`new`](Self::new) says.
    #[must_use]
    pub fn cleanup_stats(&self) -> CleanupStats {
        let totals = self.totals();
        // The evictions last: a record that is evicted meanwhile makes the number of retained ones less by one, and not greater.
        // (Their loads come after those of the ends because the latter are Acquire.)
        let evicted = self.store.counts.sum_evicted();
        let [by_age, by_count, by_request] = self.store.counts.sum_causes();
        let left = |ended: u64, evicted: u64| ended.saturating_sub(evicted) as usize;
        let ended = totals.completed + totals.cancelled + totals.failed;
        let oldest = (0..self.store.logs.len())
            .filter_map(|index| self.evictors[index].lock().oldest_end(&self.store, index))
            .min();
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
        // Ordering: Relaxed: only a figure to show.
        let last_sweep = self.store.counts.last_sweep.load(Ordering::Relaxed);
        stats.last_sweep = last_sweep.checked_sub(1).map(Duration::from_nanos);
        stats
    }

    /// Returns the status of a task, or `None` if there is no record with this id. It takes no lock.
    #[must_use]
    pub fn status(&self, id: TaskId) -> Option<TaskStatus> {
        let pin = garbage::pin();
        let word = self.store.directory.page_of(id.slot(), &pin)?.slot(id.slot()).word();
        if word.generation() == id.generation() { word.status() } else { None }
    }

    /// Returns a copy of the record of a task, or `None` if there is no record with this id. It takes no lock.
    #[must_use]
    pub fn stats(&self, id: TaskId) -> Option<TaskStats> {
        let record = {
            let pin = garbage::pin();
            let page = self.store.directory.page_of(id.slot(), &pin)?;
            page.slot(id.slot()).read(id.generation(), &pin)?
        };
        Some(task_stats(id, record, &self.clock.converter()))
    }

    /// Returns what is known of an id: a copy of the task's record, or else whether a task had this id. It takes no lock.
    ///
    /// The id of an evicted record is [`Lookup::Evicted`], forever. An id that was not given out yet, one of a slot that there
    /// never was, and one that [`refused_id`](Self::refused_id) has returned are [`Lookup::Unknown`].
    ///
    /// Two things the registry cannot know. One is whether an id comes from another registry. The other is how often each slot of a
    /// page that it has released was used: an id that was never given out counts as evicted if its slot is at the place of such a
    /// page, and another slot of that page has had the generation of the id.
    #[must_use]
    pub fn lookup(&self, id: TaskId) -> Lookup {
        let record = {
            let pin = garbage::pin();
            match self.store.directory.page_of(id.slot(), &pin) {
                Some(page) => {
                    let slot = page.slot(id.slot());
                    slot.read(id.generation(), &pin)
                        .ok_or_else(|| self.is_past(id, page.first_generation(), slot.word()))
                }
                None => Err(self.store.directory.had_generation(id.slot(), id.generation())),
            }
        };
        match record {
            Ok(record) => Lookup::Found(task_stats(id, record, &self.clock.converter())),
            Err(true) => Lookup::Evicted,
            Err(false) => Lookup::Unknown,
        }
    }

    /// Returns whether a task had an id which is not that of a record now (rule 14). `first` is the generation with which the page
    /// began, and `word` the word of the slot, loaded after the record was not found.
    fn is_past(&self, id: TaskId, first: u32, word: StateWord) -> bool {
        if id.generation() < first {
            // One of the pages that were here before, if any.
            return self.store.directory.had_generation(id.slot(), id.generation());
        }
        // A slot whose generations are used up has the generation zero, and had all others.
        word.generation() == 0 || id.generation() < word.generation()
    }

    /// Returns a copy of every record, active and retained, ordered by slot.
    ///
    /// It takes no lock, and copies one record after the other: a task that is registered or evicted meanwhile may be there or not.
    #[must_use]
    pub fn snapshot(&self) -> Vec<TaskStats> {
        let mut records = Vec::new();
        for page in 0..self.store.directory.end() {
            self.read_page(page, &mut records);
        }
        let now = self.clock.converter();
        records.into_iter().map(|(id, record)| task_stats(id, record, &now)).collect()
    }

    /// Calls `f` with a copy of every record, active and retained, ordered by slot, until `f` breaks.
    ///
    /// It copies the records of one page at a time, at most 1,024, so that the memory that it takes does not depend on their number. No
    /// lock is held and no epoch pinned while `f` runs, so it may call any method of the registry. Otherwise it is as
    /// [`snapshot`](Self::snapshot).
    pub fn each_record(&self, mut f: impl FnMut(TaskStats) -> ControlFlow<()>) -> ControlFlow<()> {
        let mut records = Vec::new();
        for page in 0..self.store.directory.end() {
            self.read_page(page, &mut records);
            let now = self.clock.converter();
            for (id, record) in records.drain(..) {
                f(task_stats(id, record, &now))?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Adds copies of the records of one page.
    fn read_page(&self, page: u32, records: &mut Vec<(TaskId, Record)>) {
        self.each_in(page, |id, _, slot, pin| {
            if let Some(record) = slot.read(id.generation(), pin) {
                records.push((id, record));
            }
        });
    }

    /// Calls `f` with the id of each active task, until `f` returns `false`. Returns whether it never did.
    ///
    /// A task that is registered meanwhile may be left out, and one that `f` is called for may have ended by then. No lock is held
    /// and no epoch pinned while `f` runs, so it may call any method of the registry.
    pub fn each_active(&self, mut f: impl FnMut(TaskId) -> bool) -> bool {
        let mut ids = Vec::new();
        (0..self.store.directory.end()).all(|page| {
            self.each_in(page, |id, status, _, _| {
                if status.is_active() {
                    ids.push(id);
                }
            });
            ids.drain(..).all(&mut f)
        })
    }

    /// Calls `f` with the id, status and slot of every record of one page. It pins an epoch for the page only, so that a long list
    /// does not hold up reclamation.
    pub(super) fn each_in(&self, page: u32, mut f: impl FnMut(TaskId, TaskStatus, &Slot, &Pin)) {
        let number = page;
        let pin = garbage::pin();
        let Some(page) = self.store.directory.page(number, &pin) else {
            return;
        };
        for (index, slot) in page.slots().iter().enumerate() {
            let word = slot.word();
            let Some(status) = word.status() else {
                continue;
            };
            let index = number * PAGE_SLOTS as u32 + index as u32;
            if let Some(id) = TaskId::from_parts(word.generation(), index) {
                f(id, status, slot, &pin);
            }
        }
    }
}

/// Converts a record into the form in which users see it.
fn task_stats(id: TaskId, record: Record, now: &Converter) -> TaskStats {
    let word = record.word;
    let spawned_at = now.timestamp(record.spawned);
    let mut stats =
        TaskStats::queued(id, word.kind(), word.priority(), spawned_at, record.location);
    if let Some(status) = word.status() {
        stats.status = status;
    }
    stats.name = record.name;
    // The time of the start and the error are written before the word with the status that they belong to: until then they are left
    // out.
    let started = record.started.filter(|_| stats.status != TaskStatus::Queued);
    stats.started_at = started.map(|ticks| now.timestamp(ticks));
    stats.finished_at = stats.status.is_terminal().then(|| now.timestamp(record.finished));
    stats.polls = record.polls;
    stats.busy = now.duration(record.busy);
    stats.worker = word.worker();
    stats.error = record.error.filter(|_| stats.status.is_terminal());
    stats.cancelled_by = word.cause();
    if let Some(details) = record.details {
        let told = details.told();
        stats.parent = details.parent();
        stats.tags = details.tags().clone();
        stats.progress = told.progress;
        stats.note = told.note;
    }
    stats.observed_at = now.now();
    stats
}
