//! Dumps: every active task of an executor, with what it is doing, for people to read.

use std::collections::HashMap;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::{TaskId, TaskKind, TaskStats, Timestamp};

/// Every active task of an executor, with what it is doing.
///
/// `Display` prints it for people: first a line of counts, then the tasks that are being polled, then those that are queued, then those
/// that wait, the oldest first. Tasks of the same name, kind and state that were spawned at the same place are printed as one entry,
/// unless they are being polled. At most [`MAX_PRINTED`](Self::MAX_PRINTED) entries are printed, and the others counted.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Dump {
    /// When it was made.
    pub taken_at: Timestamp,
    /// What the names of the executor's threads begin with.
    pub executor: String,
    /// The active tasks, at most [`MAX_TASKS`](Self::MAX_TASKS), in no particular order.
    pub tasks: Vec<TaskDump>,
    /// The number of active tasks that were left out.
    pub left_out: usize,
}

/// One active task.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TaskDump {
    /// The task's record.
    pub stats: TaskStats,
    /// What it is doing.
    pub state: TaskState,
    /// The name of the type of its future or closure, as the compiler prints it. That of an async block tells the function in which it
    /// stands.
    pub future: &'static str,
}

/// What an active task is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum TaskState {
    /// It is being polled, or its closure runs.
    Polled {
        /// The name of the thread, if it is known.
        thread: Option<String>,
        /// Since when, if that is known.
        since: Option<Timestamp>,
    },
    /// It is ready, and waits for a thread.
    Queued {
        /// Since when, if that is known.
        since: Option<Timestamp>,
    },
    /// It waits to be woken.
    Waiting {
        /// Since when, if that is known. Otherwise it is longer than the flight recorder remembers.
        since: Option<Timestamp>,
    },
}

impl TaskState {
    const fn since(&self) -> Option<Timestamp> {
        let (Self::Polled { since, .. } | Self::Queued { since } | Self::Waiting { since }) = self;
        *since
    }

    /// The place in the order in which states are printed, and the words for it.
    const fn order(&self) -> (usize, &'static str) {
        match self {
            Self::Polled { .. } => (0, "polled"),
            Self::Queued { .. } => (1, "queued"),
            Self::Waiting { .. } => (2, "waiting"),
        }
    }
}

impl TaskDump {
    /// Creates the entry of a task.
    #[must_use]
    pub const fn new(stats: TaskStats, state: TaskState, future: &'static str) -> Self {
        Self { stats, state, future }
    }
}

impl Dump {
    /// The largest number of tasks in a dump.
    pub const MAX_TASKS: usize = 100_000;

    /// The largest number of entries that are printed.
    pub const MAX_PRINTED: usize = 200;

    /// Creates a dump.
    #[must_use]
    pub const fn new(
        taken_at: Timestamp,
        executor: String,
        tasks: Vec<TaskDump>,
        left_out: usize,
    ) -> Self {
        Self { taken_at, executor, tasks, left_out }
    }

    /// Returns the entry of a task, if it is there.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<&TaskDump> {
        self.tasks.iter().find(|task| task.stats.id == id)
    }
}

/// What tasks that are printed as one entry have in common.
#[derive(PartialEq, Eq, Hash)]
struct Alike<'a> {
    state: usize,
    kind: TaskKind,
    name: Option<&'a str>,
    location: &'static Location<'static>,
    future: &'static str,
    /// A task that is being polled is alone.
    alone: Option<&'a TaskId>,
}

impl<'a> Alike<'a> {
    fn of(task: &'a TaskDump) -> Self {
        let TaskDump { stats, state, future } = task;
        let is_alone = matches!(state, TaskState::Polled { .. });
        Self {
            state: state.order().0,
            kind: stats.kind,
            name: stats.name.as_deref(),
            location: stats.location,
            future,
            alone: is_alone.then_some(&stats.id),
        }
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |order| self.tasks.iter().filter(|task| task.state.order().0 == order).count();
        writeln!(
            f,
            "executor {:?} at {}: active tasks: {}; {} polled, {} queued, {} waiting",
            self.executor,
            self.taken_at,
            self.tasks.len() + self.left_out,
            count(0),
            count(1),
            count(2),
        )?;
        let mut groups: HashMap<Alike<'_>, Vec<&TaskDump>> = HashMap::new();
        for task in &self.tasks {
            groups.entry(Alike::of(task)).or_default().push(task);
        }
        let mut groups: Vec<Vec<&TaskDump>> = groups.into_values().collect();
        for group in &mut groups {
            group.sort_by_key(|task| (task.stats.spawned_at, task.stats.id));
        }
        groups.sort_by_key(|group| {
            let oldest = group[0];
            (oldest.state.order().0, oldest.stats.spawned_at, oldest.stats.id)
        });
        for group in groups.iter().take(Self::MAX_PRINTED) {
            self.print(group, f)?;
        }
        let printed: usize = groups.iter().take(Self::MAX_PRINTED).map(Vec::len).sum();
        match self.tasks.len() - printed + self.left_out {
            0 => Ok(()),
            more => writeln!(f, "\n{more} more tasks are not printed"),
        }
    }
}

impl Dump {
    /// Prints tasks that are alike, the oldest first.
    fn print(&self, group: &[&TaskDump], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [oldest, .., youngest] = group else {
            let [task] = group else { return Ok(()) };
            let TaskDump { stats, state, future } = task;
            write!(f, "\ntask {}", stats.id)?;
            if let Some(name) = &stats.name {
                write!(f, " {name:?}")?;
            }
            write!(f, " ({}), {}", stats.kind, state.order().1)?;
            if let TaskState::Polled { thread: Some(thread), .. } = state {
                write!(f, " by {thread}")?;
            }
            match state.since() {
                Some(since) => writeln!(f, " for {}", Seconds(self.since(since)))?,
                None => writeln!(f)?,
            }
            self.print_origin(stats, future, f)?;
            write!(f, ", {} ago", Seconds(self.since(stats.spawned_at)))?;
            return match stats.polls {
                0 => writeln!(f),
                1 => writeln!(f, "; one poll has ended, and took {}", Seconds(stats.busy)),
                more => writeln!(f, "; {more} polls have ended, and took {}", Seconds(stats.busy)),
            };
        };
        let TaskDump { stats, state, future } = oldest;
        let number = group.len();
        write!(f, "\n{number} tasks")?;
        if let Some(name) = &stats.name {
            write!(f, " {name:?}")?;
        }
        writeln!(f, " ({}), {}; the oldest is task {}", stats.kind, state.order().1, stats.id)?;
        self.print_origin(stats, future, f)?;
        writeln!(
            f,
            ", {} to {} ago",
            Seconds(self.since(youngest.stats.spawned_at)),
            Seconds(self.since(stats.spawned_at)),
        )
    }

    fn print_origin(
        &self,
        stats: &TaskStats,
        future: &str,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        writeln!(f, "    in {future}")?;
        if let Some(note) = &stats.note {
            writeln!(f, "    note: {note:?}")?;
        }
        write!(f, "    spawned at {}", stats.location)
    }

    fn since(&self, moment: Timestamp) -> Duration {
        self.taken_at.saturating_since(moment)
    }
}

/// A duration with a unit that suits it.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            0 => write!(f, "{:.1?}", self.0),
            1..60 => write!(f, "{:.1} s", self.0.as_secs_f64()),
            60..3_600 => write!(f, "{} min {} s", seconds / 60, seconds % 60),
            _ => write!(f, "{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        }
    }
}
