//! What one watcher has been shown, and the updates that bring it up to date.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::time::SystemTime;

use console_api::instrument::Update;
use console_api::tasks::{Stats, Task, TaskUpdate};
use moirai::{TaskId, TaskStats, Timestamp};
use prost::Message;

use crate::doing::AllDoing;
use crate::metadata;
use crate::phase::Phase;
use crate::selection::select;
use crate::task::{description, end, has_bad_end, stats};

/// The size above which an update is not extended, in bytes. A receiver refuses messages of more than four megabytes by default; one
/// task adds some hundred bytes as a rule, and a few thousand at most, if it has long tags.
const FULL: usize = 1 << 20;

/// What one watcher has been shown.
#[derive(Debug)]
pub(crate) struct View {
    limit: usize,
    shown: HashMap<TaskId, Shown>,
    /// The tasks that were left out last time. (Only those that were not are counted: by their times, which differ by a little from
    /// one copy of a record to the next, one could not tell which ones are new.)
    left_out: HashSet<TaskId>,
    /// Whether the metadata are still to be told.
    is_new: bool,
}

/// What a watcher knows of a task.
#[derive(Debug)]
enum Shown {
    /// It is active.
    Active(Box<ShownActive>),
    /// It has ended.
    Ended,
}

/// What a watcher knows of a task that is active.
#[derive(Debug)]
struct ShownActive {
    phase: Phase,
    polls: u32,
    stats: Stats,
}

impl View {
    /// Creates the view of a watcher who has been shown nothing yet.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, shown: HashMap::new(), left_out: HashSet::new(), is_new: true }
    }

    /// Returns updates that tell what has changed since the last call, at least one. `tasks` are all records, and `doing` tells of
    /// those that do not wait.
    pub(crate) fn updates(&mut self, tasks: Vec<TaskStats>, doing: &AllDoing) -> Vec<Update> {
        // The times of tasks are those of the executor's clock, which does not follow changes of the wall clock.
        let now = tasks.iter().map(|task| task.observed_at).max();
        let now = now.map_or_else(SystemTime::now, Timestamp::to_system_time);

        let mut before = mem::take(&mut self.shown);
        let is_active = |task: &TaskStats| matches!(before.get(&task.id), Some(Shown::Active(_)));
        let selection = select(tasks, self.limit, is_active);

        let mut updates = Updates::new(now, mem::take(&mut self.is_new));
        let mut bad_ends = Vec::new();
        for task in &selection.shown {
            let known = before.remove(&task.id);
            if matches!(known, Some(Shown::Ended)) {
                self.shown.insert(task.id, Shown::Ended);
                continue;
            }
            let phase = Phase::of(task, doing.get(&task.id).copied());
            let task_is_new = match known {
                Some(Shown::Active(known))
                    if known.polls == task.polls && phase.is_same(known.phase) =>
                {
                    self.shown.insert(task.id, Shown::Active(known));
                    continue;
                }
                known => known.is_none(),
            };
            let stats = stats(task, phase);
            updates.push(task.id, task_is_new.then(|| description(task)), stats);
            if phase == Phase::Ended {
                self.shown.insert(task.id, Shown::Ended);
                if !task_is_new && has_bad_end(task) {
                    bad_ends.push((task, stats));
                }
            } else {
                let known = ShownActive { phase, polls: task.polls, stats };
                self.shown.insert(task.id, Shown::Active(Box::new(known)));
            }
        }

        let mut left_out = HashSet::with_capacity(selection.left_out.len());
        for task in &selection.left_out {
            match before.remove(&task.id) {
                // It need not be told again if there is room for it later.
                Some(shown) => {
                    self.shown.insert(task.id, shown);
                }
                None => {
                    left_out.insert(task.id);
                }
            }
        }
        let newly_left_out = left_out.difference(&self.left_out).count() as u64;
        self.left_out = left_out;

        // The records of these are gone. Those that were active have ended meanwhile.
        for (id, shown) in before {
            if let Shown::Active(mut known) = shown {
                end(&mut known.stats, now);
                updates.push(id, None, known.stats);
            }
        }

        // A description that is told again replaces the task, also for whoever is looking at it at that moment, and would see its last
        // state for ever. So the end comes first, in an update before that.
        if !bad_ends.is_empty() {
            updates.begin_another();
        }
        for (task, stats) in bad_ends {
            updates.push(task.id, Some(description(task)), stats);
        }
        updates.finish(newly_left_out)
    }
}

/// Updates that are being composed.
#[derive(Debug)]
struct Updates {
    full: Vec<Update>,
    last: Update,
    /// About how many bytes the last one has.
    size: usize,
}

impl Updates {
    fn new(now: SystemTime, with_metadata: bool) -> Self {
        let mut last = empty(now.into());
        last.new_metadata = with_metadata.then(metadata::register);
        Self { full: Vec::new(), last, size: 0 }
    }

    /// Adds what is told of a task.
    fn push(&mut self, id: TaskId, task: Option<Task>, stats: Stats) {
        let size = stats.encoded_len() + task.as_ref().map_or(0, Message::encoded_len);
        if self.size + size > FULL {
            self.begin_another();
        }
        self.size += size;
        let update = self.last.task_update.get_or_insert_default();
        update.new_tasks.extend(task);
        update.stats_update.insert(id.get(), stats);
    }

    /// Adds what follows to another update, unless the last one is empty.
    fn begin_another(&mut self) {
        if mem::take(&mut self.size) > 0 {
            let next = empty(self.last.now.unwrap_or_default());
            self.full.push(mem::replace(&mut self.last, next));
        }
    }

    fn finish(mut self, left_out: u64) -> Vec<Update> {
        self.last.task_update.get_or_insert_default().dropped_events = left_out;
        self.full.push(self.last);
        self.full
    }
}

fn empty(now: prost_types::Timestamp) -> Update {
    Update {
        now: Some(now),
        task_update: Some(TaskUpdate::default()),
        resource_update: Some(Default::default()),
        async_op_update: Some(Default::default()),
        new_metadata: None,
    }
}
