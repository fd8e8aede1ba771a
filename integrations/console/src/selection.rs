//! Which tasks are shown when there are more than the limit.

use moirai::TaskStats;

/// The tasks that are shown, and those that are not.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) shown: Vec<TaskStats>,
    pub(crate) left_out: Vec<TaskStats>,
}

/// Selects at most `limit` tasks: first those that `is_shown` says are shown as active now, whose ends are still to be told; then
/// other active ones, the oldest first; and then those that ended last.
///
/// It takes time in proportion to the number of tasks.
pub(crate) fn select(
    mut tasks: Vec<TaskStats>,
    limit: usize,
    is_shown: impl Fn(&TaskStats) -> bool,
) -> Selection {
    if tasks.len() <= limit {
        return Selection { shown: tasks, left_out: Vec::new() };
    }
    let rank = |task: &TaskStats| match task.finished_at {
        _ if is_shown(task) => (0, 0),
        None => (1, task.spawned_at.as_nanos()),
        Some(finished) => (2, u64::MAX - finished.as_nanos()),
    };
    // With fewer than `limit` before it, and none of a lower rank behind it.
    tasks.select_nth_unstable_by_key(limit, rank);
    let left_out = tasks.split_off(limit);
    Selection { shown: tasks, left_out }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use moirai::{Priority, TaskId, TaskKind, TaskStatus, Timestamp};

    use super::*;

    fn task(id: u64, spawned: u64, finished: Option<u64>) -> TaskStats {
        let mut task = TaskStats::queued(
            TaskId::from_u64(id).unwrap(),
            TaskKind::Async,
            Priority::Normal,
            Timestamp::new(0, spawned),
            Location::caller(),
        );
        if let Some(finished) = finished {
            task.status = TaskStatus::Completed;
            task.finished_at = Some(Timestamp::new(0, finished));
        }
        task
    }

    fn ids(tasks: &[TaskStats]) -> Vec<u64> {
        let mut ids: Vec<_> = tasks.iter().map(|task| task.id.get()).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn active_tasks_come_first_and_then_those_that_ended_last() {
        let tasks = || {
            vec![
                task(1, 0, Some(10)),
                task(2, 50, None),
                task(3, 0, Some(30)),
                task(4, 40, None),
                task(5, 0, Some(20)),
            ]
        };
        for (limit, wanted) in
            [(5, vec![1, 2, 3, 4, 5]), (4, vec![2, 3, 4, 5]), (3, vec![2, 3, 4]), (1, vec![4])]
        {
            let selection = select(tasks(), limit, |_| false);
            assert_eq!(ids(&selection.shown), wanted, "limit {limit}");
            assert_eq!(selection.shown.len() + selection.left_out.len(), 5);
        }
    }

    #[test]
    fn a_task_that_is_shown_stays_until_its_end_was_told() {
        let tasks = vec![task(1, 0, None), task(2, 90, None), task(3, 80, Some(81))];
        let selection = select(tasks, 2, |task| task.id.get() >= 2);
        assert_eq!(ids(&selection.shown), [2, 3]);
    }
}
