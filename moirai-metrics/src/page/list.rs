//! Lists of tasks.

use std::ops::ControlFlow;

use moirai_core::TaskStats;
use serde_json::{Value, json};

use super::filter::Filter;
use super::limits::LISTED_TASKS;
use super::record;
use super::sort::Sort;
use crate::observable::Observer;

/// The tasks of a list, of which the first are kept while all are looked at.
struct First {
    sort: Sort,
    limit: usize,
    tasks: Vec<TaskStats>,
}

impl First {
    fn add(&mut self, task: TaskStats) {
        self.tasks.push(task);
        if self.tasks.len() >= 2 * self.limit.max(1) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.tasks.sort_by(|a, b| self.sort.compare(a, b));
        self.tasks.truncate(self.limit);
    }
}

/// Returns the first tasks of a list. `None` if the executor is gone.
pub(super) fn first(
    observer: &dyn Observer,
    filter: &Filter,
    sort: Sort,
    limit: usize,
) -> Option<(usize, usize, Vec<TaskStats>)> {
    let (mut all, mut matching) = (0, 0);
    let mut first = First { sort, limit: limit.min(LISTED_TASKS), tasks: Vec::new() };
    observer.each_task(&mut |task| {
        all += 1;
        if filter.matches(&task) {
            matching += 1;
            first.add(task);
        }
        ControlFlow::Continue(())
    })?;
    first.cut();
    Some((all, matching, first.tasks))
}

/// Returns a list of tasks as JSON. `None` if the executor is gone.
pub(super) fn tasks(
    observer: &dyn Observer,
    filter: &str,
    sort: &str,
    limit: usize,
) -> Option<Value> {
    let (all, matching, tasks) = first(observer, &Filter::parse(filter), Sort::parse(sort), limit)?;
    let tasks: Vec<Value> = tasks.iter().map(record::task).collect();
    Some(json!({ "all": all, "matching": matching, "tasks": tasks }))
}
