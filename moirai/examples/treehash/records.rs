//! What the executor has recorded by the end of the run.

use std::fmt;
use std::time::Duration;

use indicatif::HumanBytes;
use moirai::prelude::*;

/// How many of the slowest tasks are printed.
const SLOWEST: usize = 10;

/// The report of the shutdown, and the records of the tasks.
pub(crate) struct Records {
    pub(crate) report: ShutdownReport,
    pub(crate) stats: CleanupStats,
    /// The slowest of the tasks whose records are retained, the slowest first.
    pub(crate) slowest: Vec<TaskStats>,
}

impl Records {
    /// Reads the records of an executor that has been shut down.
    pub(crate) fn new(executor: &Moirai, report: ShutdownReport) -> Self {
        let mut slowest = executor.tasks();
        slowest.sort_by_key(|task| std::cmp::Reverse(task.busy));
        slowest.truncate(SLOWEST);
        Self { report, stats: executor.cleanup_stats(), slowest }
    }
}

impl fmt::Display for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { report, stats, slowest } = self;
        writeln!(f, "tasks     {report}")?;
        writeln!(
            f,
            "records   {} retained ({} completed, {} failed, {} cancelled, {} active), {}; evicted: {} by age, {} by count",
            stats.total_tasks,
            stats.completed_tasks,
            stats.failed_tasks,
            stats.cancelled_tasks,
            stats.active_tasks,
            HumanBytes(stats.memory_bytes as u64),
            stats.evicted_by_age,
            stats.evicted_by_count,
        )?;
        write!(f, "\nThe slowest {} of the tasks on record:\n", slowest.len())?;
        write!(
            f,
            "{:>10} {:>10}  {:<8}  {:<44}  name",
            "run time", "queue time", "kind", "spawned at"
        )?;
        for task in slowest {
            let queued = task.queue_time().map_or("never ran".to_owned(), short);
            let spawned = task.location.to_string();
            write!(
                f,
                "\n{:>10} {queued:>10}  {:<8}  {spawned:<44}  {}",
                short(task.busy),
                task.kind,
                task.name.as_deref().unwrap_or("-"),
            )?;
        }
        Ok(())
    }
}

fn short(duration: Duration) -> String {
    format!("{duration:.1?}")
}
