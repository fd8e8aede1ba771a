//! Counting, and reading.

use std::ptr::NonNull;
use std::time::Duration;

use crossbeam_utils::CachePadded;
use moirai_core::clock::Converter;
use moirai_core::shim::sync::atomic::{AtomicIsize, AtomicU64, Ordering};
use moirai_core::{CleanupStats, TaskId, TaskStats, TaskStatus};

use crate::registry::annotations::Text;
use crate::registry::evictor::Cause;
use crate::registry::page::PAGE_SLOTS;
use crate::registry::slot::Record;
use crate::registry::{NewTask, Registry, reclaim};

/// Tasks since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Registered.
    pub spawned: u64,
    /// Returned a value.
    pub completed: u64,
    /// Panicked.
    pub failed: u64,
    /// Were cancelled.
    pub cancelled: u64,
}

/// Everything that is counted.
#[derive(Debug)]
pub(super) struct Counts {
    books: Box<[CachePadded<OfBooks>]>,
    /// By status; written under the evictor's lock.
    evicted: [AtomicU64; 3],
    /// By cause; written under the evictor's lock.
    causes: [AtomicU64; 3],
    /// Bytes of linked texts. Below zero for a moment when a record goes before its text was added up.
    texts: AtomicIsize,
    /// Nanoseconds, plus one; zero before the first.
    last_sweep: AtomicU64,
}

/// The counts of one set of books. One thread at a time writes them.
#[derive(Debug, Default)]
pub(super) struct OfBooks {
    spawned: AtomicU64,
    /// By status.
    finished: [AtomicU64; 3],
}

fn number(status: TaskStatus) -> usize {
    match status {
        TaskStatus::Cancelled => 1,
        TaskStatus::Failed => 2,
        _ => 0,
    }
}

/// Adds one to a count that has one writer at a time.
fn bump(count: &AtomicU64) {
    // Ordering: Relaxed: the writer's own. Release pairs with the Acquire of the readers: whatever was counted before by
    // others, and led to this, is seen by who sees this.
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Release);
}

impl OfBooks {
    #[inline]
    pub(super) fn spawned(&self) {
        bump(&self.spawned);
    }

    #[inline]
    pub(super) fn finished(&self, status: TaskStatus) {
        bump(&self.finished[number(status)]);
    }
}

impl Counts {
    pub(super) fn new(sets: usize) -> Self {
        Self {
            books: (0..sets).map(|_| CachePadded::default()).collect(),
            evicted: Default::default(),
            causes: Default::default(),
            texts: AtomicIsize::new(0),
            last_sweep: AtomicU64::new(0),
        }
    }

    #[inline]
    pub(super) fn of(&self, books: usize) -> &OfBooks {
        &self.books[books]
    }

    /// A record was dropped. Under the evictor's lock.
    pub(super) fn evicted(&self, status: TaskStatus, cause: Cause) {
        bump(&self.evicted[number(status)]);
        let cause = match cause {
            Cause::Age => 0,
            Cause::Count => 1,
            Cause::Request => 2,
        };
        bump(&self.causes[cause]);
    }

    /// A record begins with a text.
    pub(super) fn add_text(&self, new: &NewTask) {
        let text = Text {
            location: new.location,
            name: new.name.clone(),
            error: None,
            hints: new.hints.clone(),
        };
        self.text(text.bytes(), None);
    }

    /// Text of this many bytes was added, in place of what is retired.
    pub(super) fn text(&self, added: usize, retired: Option<NonNull<Text>>) {
        // SAFETY: unlinked, and not retired yet: whoever asks does so before.
        let gone = retired.map_or(0, |text| unsafe { text.as_ref() }.bytes());
        // Ordering: Relaxed: a count. Bytes of things in memory fit an `isize`.
        self.texts.fetch_add(added as isize - gone as isize, Ordering::Relaxed);
    }

    pub(super) fn swept(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX - 1);
        // Ordering: Relaxed: a number.
        self.last_sweep.store(nanos + 1, Ordering::Relaxed);
    }

    fn sum_finished(&self) -> [u64; 3] {
        std::array::from_fn(|status| {
            // Ordering: Acquire; see `bump`.
            self.books.iter().map(|of| of.finished[status].load(Ordering::Acquire)).sum()
        })
    }

    fn sum_spawned(&self) -> u64 {
        // Ordering: Acquire; see `bump`.
        self.books.iter().map(|of| of.spawned.load(Ordering::Acquire)).sum()
    }

    pub(super) fn bytes(&self) -> usize {
        let books = self.books.len() * size_of::<CachePadded<OfBooks>>();
        // Ordering: Relaxed: a count.
        books + usize::try_from(self.texts.load(Ordering::Relaxed)).unwrap_or(0)
    }
}

impl Registry {
    /// Tasks since the start. They balance: no task is counted as ended that is not counted as spawned.
    #[must_use]
    pub fn totals(&self) -> Totals {
        // Ends first: a spawn that is counted meanwhile makes one more active, and not one less.
        let [completed, cancelled, failed] = self.counts.sum_finished();
        let spawned = self.counts.sum_spawned();
        Totals { spawned, completed, failed, cancelled }
    }

    /// What the registry holds now, and what has been dropped from it.
    #[must_use]
    pub fn cleanup_stats(&self) -> CleanupStats {
        let totals = self.totals();
        // Evictions last: a record that goes meanwhile makes one less retained, and not one more.
        let evicted: [u64; 3] =
            std::array::from_fn(|status| self.counts.evicted[status].load(Ordering::Acquire));
        let [by_age, by_count, by_request] =
            std::array::from_fn(|cause| self.counts.causes[cause].load(Ordering::Acquire));
        let left = |ended: u64, evicted: u64| ended.saturating_sub(evicted) as usize;
        let ended = totals.completed + totals.cancelled + totals.failed;
        let oldest = self.evictor.lock().oldest_end(self);
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
        let last_sweep = self.counts.last_sweep.load(Ordering::Relaxed);
        stats.last_sweep = last_sweep.checked_sub(1).map(Duration::from_nanos);
        stats
    }

    /// Where the task stands.
    #[must_use]
    pub fn status(&self, id: TaskId) -> Option<TaskStatus> {
        let _pin = reclaim::pin();
        let word = self.directory.page_of(id.slot())?.slot(id.slot()).word();
        if word.generation() == id.generation() { word.status() } else { None }
    }

    /// The task's record.
    #[must_use]
    pub fn stats(&self, id: TaskId) -> Option<TaskStats> {
        let record = {
            let _pin = reclaim::pin();
            self.directory.page_of(id.slot())?.slot(id.slot()).read(id.generation())?
        };
        Some(task_stats(id, record, &self.clock.converter()))
    }

    /// All records.
    #[must_use]
    pub fn snapshot(&self) -> Vec<TaskStats> {
        let mut records = Vec::new();
        for page in 0..self.directory.end() {
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
        (0..self.directory.end()).all(|page| {
            self.each_in(page, |id, status, _| {
                if status.is_active() {
                    ids.push(id);
                }
            });
            ids.drain(..).all(&mut f)
        })
    }

    /// Looks at one page: at a page at a time, so that reclamation is not held up by a long list.
    fn each_in(
        &self,
        page: u32,
        mut f: impl FnMut(TaskId, TaskStatus, &crate::registry::slot::Slot),
    ) {
        let number = page;
        let _pin = reclaim::pin();
        let Some(page) = self.directory.page(number) else {
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
