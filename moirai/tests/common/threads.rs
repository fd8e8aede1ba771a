//! The process's threads, as the system shows them. On systems other than Linux none are found.

use std::fs;
use std::path::PathBuf;

/// Returns the directories in which the system shows the threads whose names begin with `prefix`.
fn entries(prefix: &str) -> Vec<PathBuf> {
    let Ok(tasks) = fs::read_dir("/proc/self/task") else {
        return Vec::new();
    };
    tasks
        .flatten()
        .map(|task| task.path())
        // A thread that has ended meanwhile has no name to read.
        .filter(|path| {
            fs::read_to_string(path.join("comm")).is_ok_and(|name| name.starts_with(prefix))
        })
        .collect()
}

/// Returns the number of threads whose names begin with `prefix`.
pub(crate) fn count(prefix: &str) -> usize {
    entries(prefix).len()
}

/// Returns how often the threads whose names begin with `prefix` have gone to sleep so far. A thread that wakes up, for whatever
/// reason, adds one when it sleeps again.
pub(crate) fn sleeps(prefix: &str) -> u64 {
    let of_one = |path: PathBuf| {
        let status = fs::read_to_string(path.join("status")).ok()?;
        let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"))?;
        line.split_whitespace().last()?.parse::<u64>().ok()
    };
    entries(prefix).into_iter().filter_map(of_one).sum()
}

/// Returns the name of the calling thread.
pub(crate) fn own_name() -> String {
    std::thread::current().name().unwrap_or_default().to_owned()
}
