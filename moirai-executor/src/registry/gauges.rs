//! What the registry holds now, by kind, class and cause: read when somebody asks, from what it keeps anyway.

use moirai_core::{
    ActiveTasks, CancelCause, CancelledTasks, RetainedRecords, TaskKind, TaskStatus,
};

use super::task_registry::Registry;

/// All kinds of tasks, in the order in which they are reported.
const KINDS: [TaskKind; 3] = [TaskKind::Async, TaskKind::Parallel, TaskKind::Blocking];

impl Registry {
    /// Returns the number of active tasks of each kind, also of kinds of which there are none.
    ///
    /// It takes no lock, and looks at the word of each slot, one after the other: a task that is registered or ends meanwhile may be
    /// counted or not.
    #[must_use]
    pub fn active_by_kind(&self) -> Vec<ActiveTasks> {
        let mut active = KINDS.map(|kind| ActiveTasks::new(kind, 0, 0));
        for page in 0..self.store.directory.end() {
            self.each_in(page, |_, status, slot, _| {
                let kind = slot.word().kind();
                let Some(of_kind) = active.iter_mut().find(|active| active.kind == kind) else {
                    return;
                };
                match status {
                    TaskStatus::Queued => of_kind.queued += 1,
                    TaskStatus::Running => of_kind.running += 1,
                    _ => {}
                }
            });
        }
        active.into()
    }

    /// Returns the number of retained records of each class, the default class first. It takes no lock.
    #[must_use]
    pub fn retained_by_class(&self) -> Vec<RetainedRecords> {
        let classes = self.classes.described().map(|(described, class)| {
            RetainedRecords::new(described, self.store.retained(&class.logs), class.limits)
        });
        classes.collect()
    }

    /// Returns the number of tasks that each cause has cancelled since the registry was created, in the order of
    /// [`CancelCause::ALL`].
    #[must_use]
    pub fn cancelled_by_cause(&self) -> Vec<CancelledTasks> {
        let counts = self.store.counts.cancelled_by_cause();
        let counts = CancelCause::ALL.into_iter().zip(counts);
        counts.map(|(cause, tasks)| CancelledTasks::new(cause, tasks)).collect()
    }
}
